import { DispatchError } from '@dicom-dispatch/core';
import type { IncomingInstance } from 'dicom-dimse';
import type { RetrieveRequest } from '../../contract/index.ts';
import type { RetrieveTally } from '../../pull/index.ts';

const success = 0;
const outOfResources = 0xa700;
const processingFailure = 0x0110;
const notAskedFor = 0xc000;

/** Takes in what was asked for, as it arrives: the store SCP of a retrieval. */
export class Receiving {
  /** What is still to come: SOP Instance UIDs. */
  readonly missing: Set<string>;
  readonly #request: RetrieveRequest;
  readonly #tally: RetrieveTally;
  readonly #failed = new AbortController();

  constructor(request: RetrieveRequest, tally: RetrieveTally, missing: Iterable<string>) {
    this.#request = request;
    this.#tally = tally;
    this.missing = new Set(missing);
  }

  /** Aborted, with the error as its reason, when something cannot be kept here: no use to go on. */
  get failed(): AbortSignal {
    return this.#failed.signal;
  }

  /** A C-STORE. @returns its status */
  async store(instance: IncomingInstance): Promise<number> {
    const { sopInstanceUid } = instance;
    if (!this.missing.has(sopInstanceUid)) return notAskedFor;
    this.missing.delete(sopInstanceUid);
    let isTheirs = false;
    const body = noting(instance.part10(), () => {
      isTheirs = true;
    });
    try {
      await this.#request.store(sopInstanceUid, { sizeBytes: undefined, body });
    } catch (thrown) {
      this.missing.add(sopInstanceUid);
      if (isTheirs) return processingFailure;
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
}

async function* noting(body: AsyncIterable<Uint8Array>, note: () => void): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* body;
  } catch (thrown) {
    note();
    throw thrown;
  }
}
