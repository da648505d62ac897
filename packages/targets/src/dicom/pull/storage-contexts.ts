import { MAX_CONTEXTS, TRANSFER_SYNTAX } from 'dicom-dimse';
import type { ProposedContext } from '../presentation-contexts.ts';

/** One presentation context is for C-GET itself. */
const maxContexts = MAX_CONTEXTS - 1;

/** Instances may be stored in any transfer syntax: first the ones that receivers support most, then those that archives store most. */
const first = [
  TRANSFER_SYNTAX.explicitVrLittleEndian,
  TRANSFER_SYNTAX.implicitVrLittleEndian,
  TRANSFER_SYNTAX.jpegLosslessSv1,
  TRANSFER_SYNTAX.jpeg2000Lossless,
  TRANSFER_SYNTAX.jpegBaseline,
  TRANSFER_SYNTAX.jpeg2000,
  TRANSFER_SYNTAX.jpegLsLossless,
  TRANSFER_SYNTAX.rleLossless,
  TRANSFER_SYNTAX.jpegExtended,
  TRANSFER_SYNTAX.jpegLsNearLossless,
  TRANSFER_SYNTAX.jpegLossless,
];
const syntaxes = [...new Set<string>([...first, ...Object.values(TRANSFER_SYNTAX)])];

/**
 * Presentation contexts for a C-GET: for each class as many contexts with one transfer syntax as fit, so that instances are sent in
 * their stored transfer syntax; the other transfer syntaxes share the last context of the class.
 */
export function storageContexts(classes: readonly string[]): ProposedContext[] {
  const offered = classes.slice(0, maxContexts);
  const each = Math.max(1, Math.min(syntaxes.length, Math.floor(maxContexts / offered.length)));
  return offered.flatMap((abstractSyntax) => [
    ...syntaxes.slice(0, each - 1).map((syntax) => ({ abstractSyntax, transferSyntaxes: [syntax] })),
    { abstractSyntax, transferSyntaxes: syntaxes.slice(each - 1) },
  ]);
}
