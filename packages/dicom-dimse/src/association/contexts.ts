import { DimseError } from '../errors/dimse-error.ts';
import type { ProposedPresentationContext } from '../pdu/pdu.ts';

/**
 * A request of a caller of `connect`: one abstract syntax with the transfer syntaxes in which it may be sent, in order of
 * preference.
 */
export interface PresentationContextRequest {
  readonly abstractSyntax: string;
  readonly transferSyntaxes: readonly string[];
}

/** A negotiated context. */
export interface AcceptedContext {
  readonly id: number;
  readonly abstractSyntax: string;
  readonly transferSyntax: string;
  /** Whether this end may be SCU and SCP on it (PS3.7 annex D.3.3.4). */
  readonly isScu: boolean;
  readonly isScp: boolean;
}

/** A context that the acceptor rejected, with the reason of PS3.8 table 9-18. */
export interface RejectedContext {
  readonly id: number;
  readonly abstractSyntax: string;
  readonly transferSyntaxes: readonly string[];
  readonly reason:
    | 'user-rejection'
    | 'no-reason'
    | 'abstract-syntax-not-supported'
    | 'transfer-syntaxes-not-supported'
    | 'not-answered'
    | 'unknown';
}

/** Odd numbers of one byte: PS3.8 section 9.3.2.2. */
export const MAX_CONTEXTS = 128;

/** Numbers the contexts 1, 3, 5 … and checks them. @throws DimseError `too-many-presentation-contexts`, `invalid-argument`. */
export function numberContexts(requests: readonly PresentationContextRequest[]): ProposedPresentationContext[] {
  if (requests.length === 0) {
    throw new DimseError('invalid-argument', 'presentationContexts is empty; at least one is required');
  }
  if (requests.length > MAX_CONTEXTS) {
    throw new DimseError(
      'too-many-presentation-contexts',
      `presentationContexts has ${requests.length} entries; an association allows ${MAX_CONTEXTS}: use connectGroup`,
    );
  }
  return requests.map(({ abstractSyntax, transferSyntaxes }, index) => {
    checkUid(abstractSyntax, 'abstractSyntax');
    if (transferSyntaxes.length === 0) {
      throw new DimseError('invalid-argument', `presentation context ${abstractSyntax}: transferSyntaxes is empty`);
    }
    for (const uid of transferSyntaxes) checkUid(uid, 'transferSyntax');
    return { id: 2 * index + 1, abstractSyntax, transferSyntaxes };
  });
}

/** PS3.5 section 9.1: at most 64 digits and dots. */
export function isUid(text: string): boolean {
  return /^[0-9.]{1,64}$/.test(text);
}

/** @throws DimseError `invalid-argument`. */
export function checkUid(uid: string, field: string): void {
  if (!isUid(uid)) {
    throw new DimseError('invalid-argument', `${field} is not a UID (1 to 64 digits and dots)`);
  }
}

/** The accepted contexts of an association, by id and by their syntaxes. */
export class ContextTable {
  readonly accepted: readonly AcceptedContext[];
  readonly rejected: readonly RejectedContext[];
  readonly #byId = new Map<number, AcceptedContext>();
  readonly #bySyntaxes = new Map<string, Map<string, AcceptedContext>>();

  constructor(accepted: readonly AcceptedContext[], rejected: readonly RejectedContext[]) {
    this.accepted = accepted;
    this.rejected = rejected;
    for (const context of accepted) {
      this.#byId.set(context.id, context);
      let syntaxes = this.#bySyntaxes.get(context.abstractSyntax);
      if (syntaxes === undefined) {
        syntaxes = new Map();
        this.#bySyntaxes.set(context.abstractSyntax, syntaxes);
      }
      if (context.isScu && !syntaxes.has(context.transferSyntax)) syntaxes.set(context.transferSyntax, context);
    }
  }

  byId(id: number): AcceptedContext | undefined {
    return this.#byId.get(id);
  }

  /** For sending an instance in its own transfer syntax; a context in which this end is SCU. */
  find(abstractSyntax: string, transferSyntax: string): AcceptedContext | undefined {
    return this.#bySyntaxes.get(abstractSyntax)?.get(transferSyntax);
  }

  /** For a service whose data sets we can encode in any transfer syntax; a context in which this end is SCU. */
  findAny(abstractSyntax: string): AcceptedContext | undefined {
    return this.#bySyntaxes.get(abstractSyntax)?.values().next().value;
  }
}
