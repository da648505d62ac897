import { MAX_CONTEXTS, TRANSFER_SYNTAX } from 'dicom-dimse';
import type { ProposedContext } from '../presentation-contexts.ts';

/** All but one are for storage. */
const mostContexts = MAX_CONTEXTS - 1;

/** As stored, whatever that is: first what every receiver has. */
const syntaxes = [
  TRANSFER_SYNTAX.explicitVrLittleEndian,
  TRANSFER_SYNTAX.implicitVrLittleEndian,
  ...Object.values(TRANSFER_SYNTAX).filter(
    (uid) => uid !== TRANSFER_SYNTAX.explicitVrLittleEndian && uid !== TRANSFER_SYNTAX.implicitVrLittleEndian,
  ),
];

/** Storage SOP classes (PS3.4 table B.5-1) to offer where the receiver does not tell which it has: `…5.1.4.1.1.` and these. */
const commonClasses = [
  '1 1.1 1.1.1 1.2 1.2.1 1.3 1.3.1 2 2.1 2.2 3.1 4 4.1 4.2 4.3 4.4 6.1 6.2 7 7.1 7.2 7.3 7.4',
  '9.1.1 9.1.2 9.1.3 9.2.1 9.3.1 9.4.1 9.4.2 9.5.1 9.6.1 11.1 11.2 11.3 11.4 11.5 11.6 11.7 11.8',
  '12.1 12.1.1 12.2 12.2.1 13.1.1 13.1.2 13.1.3 13.1.4 13.1.5 14.1 14.2 20 30 66 66.1 66.2 66.3 66.4 66.5 66.6 67',
  '77.1.1 77.1.1.1 77.1.2 77.1.2.1 77.1.3 77.1.4 77.1.4.1 77.1.5.1 77.1.5.2 77.1.5.3 77.1.5.4 77.1.6 78.1 79.1',
  '88.11 88.22 88.33 88.34 88.40 88.50 88.59 88.65 88.67 88.68 88.71 104.1 104.2 104.3 128 128.1 130',
  '481.1 481.2 481.3 481.4 481.5 481.6 481.7 481.8 481.9',
]
  .join(' ')
  .split(' ')
  .map((end) => `1.2.840.10008.5.1.4.1.1.${end}`);

/**
 * What to offer for a C-GET: for each class as many contexts of one transfer syntax as fit, so that instances come in
 * the syntax in which they are stored; the other syntaxes share the last one.
 */
export function storageContexts(sopClassUids: readonly (string | undefined)[]): ProposedContext[] {
  const known = sopClassUids.filter((uid) => uid !== undefined);
  const classes = [...new Set(known.length < sopClassUids.length ? [...known, ...commonClasses] : known)];
  const offered = classes.slice(0, mostContexts);
  const each = Math.max(1, Math.min(syntaxes.length, Math.floor(mostContexts / offered.length)));
  return offered.flatMap((abstractSyntax) => [
    ...syntaxes.slice(0, each - 1).map((syntax) => ({ abstractSyntax, transferSyntaxes: [syntax] })),
    { abstractSyntax, transferSyntaxes: syntaxes.slice(each - 1) },
  ]);
}
