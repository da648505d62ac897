import type { AssociationCore } from '../association/association-core.ts';
import type { AcceptedContext } from '../association/contexts.ts';
import { DimseError } from '../errors/dimse-error.ts';

/** The accepted context for an abstract syntax, with any transfer syntax. @throws DimseError `no-presentation-context`. */
export function needContext(core: AssociationCore, abstractSyntax: string): AcceptedContext {
  const context = core.contexts.findAny(abstractSyntax);
  if (context !== undefined) return context;
  const refused = core.contexts.rejected.find((candidate) => candidate.abstractSyntax === abstractSyntax);
  const why = refused === undefined ? 'it was not proposed' : `the peer refused it: ${refused.reason}`;
  throw new DimseError('no-presentation-context', `no accepted presentation context for ${abstractSyntax}: ${why}`);
}
