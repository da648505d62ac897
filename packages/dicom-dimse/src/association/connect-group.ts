import { DimseError } from '../errors/dimse-error.ts';
import type { StoreOptions, StoreResult } from '../operations/store-options.ts';
import type { ByteSource } from '../part10/byte-source.ts';
import { peekPart10 } from '../part10/peek-part10.ts';
import type { Association } from './association.ts';
import { connect } from './connect.ts';
import type { ConnectOptions } from './connect.ts';
import { MAX_CONTEXTS } from './contexts.ts';
import type { PresentationContextRequest } from './contexts.ts';

/** Several associations with one peer, for more presentation contexts than one association can have. */
export interface AssociationGroup {
  /** The associations that are open now. */
  readonly associations: readonly Association[];
  /**
   * Sends an instance over the association that has its context, which is opened on first use.
   *
   * @throws DimseError as `connect` and `Association.store`; `association-ended` after `release` or `abort`.
   */
  store(source: ByteSource, options?: StoreOptions): Promise<StoreResult>;
  release(): Promise<void>;
  abort(): void;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Splits a list of contexts into lists of at most 128, in the same order. */
export function splitPresentationContexts(
  contexts: readonly PresentationContextRequest[],
): PresentationContextRequest[][] {
  const groups: PresentationContextRequest[][] = [];
  for (let at = 0; at < contexts.length; at += MAX_CONTEXTS) groups.push(contexts.slice(at, at + MAX_CONTEXTS));
  return groups;
}

/**
 * Like `connect`, for any number of presentation contexts. Nothing is opened before the first `store`; an association
 * that has ended is opened again for the next instance.
 */
export function connectGroup(options: ConnectOptions): AssociationGroup {
  const groups = splitPresentationContexts(options.presentationContexts);
  const open = new Map<number, Promise<Association>>();
  const associations = new Set<Association>();
  let isClosed = false;

  const openOne = async (index: number): Promise<Association> => {
    const association = await connect({ ...options, presentationContexts: groups[index] ?? [] });
    associations.add(association);
    void association.ended.then(() => {
      associations.delete(association);
      open.delete(index);
    });
    if (isClosed) await association.release();
    return association;
  };

  const associationFor = (index: number): Promise<Association> => {
    if (isClosed) throw new DimseError('association-ended', 'the group of associations has been released');
    const known = open.get(index);
    if (known !== undefined) return known;
    const opening = openOne(index);
    open.set(index, opening);
    // The next instance tries to open a failed association again.
    opening.catch(() => open.delete(index));
    return opening;
  };

  return {
    get associations() {
      return [...associations];
    },
    async store(source, storing = {}) {
      const { meta, source: whole } = await peekPart10(source);
      const sopClass = storing.sopClassUid ?? meta.sopClassUid;
      const syntax = storing.transferSyntaxUid ?? meta.transferSyntaxUid;
      const index = groups.findIndex((group) =>
        group.some((one) => one.abstractSyntax === sopClass && one.transferSyntaxes.includes(syntax)),
      );
      if (index === -1) {
        throw new DimseError(
          'no-presentation-context',
          `SOP class ${sopClass} in transfer syntax ${syntax} is not among the given presentation contexts`,
        );
      }
      const association = await associationFor(index);
      return association.store(whole, storing);
    },
    async release() {
      isClosed = true;
      await Promise.all([...associations].map((association) => association.release()));
    },
    abort() {
      isClosed = true;
      for (const association of associations) association.abort();
    },
    async [Symbol.asyncDispose]() {
      await this.release();
    },
  };
}
