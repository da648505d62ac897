import { DispatchError } from '@dicom-dispatch/core';
import type { IncomingInstance } from 'dicom-dimse';
import type { RetrieveRequest } from '../../contract/index.ts';
import type { RetrieveTally } from '../../pull/index.ts';

const success = 0;
const outOfResources = 0xa700;
const processingFailure = 0x0110;
const notAskedFor = 0xc000;
/** Instances that nobody asked for: some receivers send the whole series for one of it, but not without end. */
const mostUnasked = 10_000;

/** Takes in what was asked for, as it arrives: the store SCP of a retrieval. */
export class Receiving {
  /** What is still to come: SOP Instance UIDs. */
  readonly missing: Set<string>;
  readonly #request: RetrieveRequest;
  readonly #tally: RetrieveTally;
  readonly #failed = new AbortController();
  /** What has come, or is on its way. */
  readonly #taken = new Set<string>();
  /** How many the receiver has that it does not list. */
  #unlisted: number;
  #unasked = 0;
  #arrived = 0;

  constructor(
    request: RetrieveRequest,
    tally: RetrieveTally,
    wanted: { readonly missing: Iterable<string>; readonly present: Iterable<string>; readonly unlisted: number },
  ) {
    this.#request = request;
    this.#tally = tally;
    this.missing = new Set(wanted.missing);
    for (const uid of wanted.present) this.#taken.add(uid);
    this.#unlisted = wanted.unlisted;
  }

  /** Aborted, with the error as its reason, when something cannot be kept here, or too much comes: no use to go on. */
  get failed(): AbortSignal {
    return this.#failed.signal;
  }

  /** Instances that have come, wanted or not. */
  get arrived(): number {
    return this.#arrived;
  }

  /** How many of those that the receiver does not list have not come either. */
  get unlisted(): number {
    return this.#unlisted;
  }

  /** A C-STORE. @returns its status */
  async store(instance: IncomingInstance): Promise<number> {
    const { sopInstanceUid } = instance;
    this.#arrived += 1;
    const isListed = this.missing.has(sopInstanceUid);
    if (!isListed && (this.#unlisted <= 0 || this.#taken.has(sopInstanceUid))) return this.#refuse();
    if (isListed) this.missing.delete(sopInstanceUid);
    else this.#unlisted -= 1;
    this.#taken.add(sopInstanceUid);
    if (!isListed && (await this.#request.has(sopInstanceUid))) {
      this.#tally.completed();
      return success;
    }
    let isTheirs = false;
    const body = noting(instance.part10(), () => {
      isTheirs = true;
    });
    try {
      await this.#request.store(sopInstanceUid, { sizeBytes: undefined, body });
    } catch (thrown) {
      if (isListed) this.missing.add(sopInstanceUid);
      else this.#unlisted += 1;
      this.#taken.delete(sopInstanceUid);
      if (isTheirs) return processingFailure;
      if (thrown instanceof DispatchError && thrown.fault === 'instance') {
        // Only this one cannot be kept: it is not asked for again.
        this.missing.delete(sopInstanceUid);
        this.#taken.add(sopInstanceUid);
        this.#tally.failed({ sopInstanceUid, reason: thrown.message });
        return notAskedFor;
      }
      this.#failed.abort(
        thrown instanceof DispatchError
          ? thrown
          : new DispatchError('internal', 'what arrives cannot be kept', { cause: thrown }),
      );
      return outOfResources;
    }
    this.#tally.completed();
    return success;
  }

  #refuse(): number {
    this.#unasked += 1;
    if (this.#unasked > mostUnasked) {
      this.#failed.abort(
        new DispatchError('target-error', `the receiver sent ${this.#unasked} instances that were not asked for`, {
          stage: 'transfer',
        }),
      );
    }
    return notAskedFor;
  }
}

async function* noting(body: AsyncIterable<Uint8Array>, note: () => void): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* body;
  } catch (thrown) {
    note();
    throw thrown;
  }
}
