import { DispatchError } from '@dicom-dispatch/core';
import type { IncomingInstance } from 'dicom-dimse';
import type { RetrieveRequest } from '@dicom-dispatch/target-kit';
import { peekIdentity, type PeekedInstance, type RetrieveTally } from '../../pull/index.ts';
import type { InstanceIdentity } from '../../conflict/index.ts';
import { listedKey, type ListedInstance } from './list-instances.ts';

const success = 0;
const outOfResources = 0xa700;
const processingFailure = 0x0110;
const notAskedFor = 0xc000;
/** Maximum number of unrequested instances: some receivers send the complete series for one of its instances. */
const maxUnexpected = 10_000;

/** Stores requested instances as they arrive: the Storage SCP of a retrieval. */
export class Receiving {
  /** Requested instances that have not arrived yet, by `listedKey`. */
  readonly missing: Map<string, ListedInstance>;
  readonly #request: RetrieveRequest;
  readonly #tally: RetrieveTally;
  readonly #failed = new AbortController();
  /** Patient ID of instances that have arrived or are arriving, by `listedKey`; with an empty series if it cannot be read. */
  readonly #taken = new Map<string, string | undefined>();
  /** SOP Instance UIDs under which other content arrived, with a description of it. */
  readonly #foreign = new Map<string, string>();
  /** Number of instances that the receiver has but does not list, and that have not arrived. */
  #unlisted: number;
  #unasked = 0;
  #arrived = 0;

  /** @param wanted - `present` by `listedKey` */
  constructor(
    request: RetrieveRequest,
    tally: RetrieveTally,
    wanted: {
      readonly missing: readonly ListedInstance[];
      readonly present: Iterable<string>;
      readonly unlisted: number;
    },
  ) {
    this.#request = request;
    this.#tally = tally;
    this.missing = new Map(wanted.missing.map((one) => [listedKey(one), one]));
    for (const key of wanted.present) this.#taken.set(key, undefined);
    this.#unlisted = wanted.unlisted;
  }

  /**
   * Aborts, with the error as its reason, when the retrieval cannot continue: instances cannot be stored here, or too many arrive.
   */
  get failed(): AbortSignal {
    return this.#failed.signal;
  }

  /** Instances that have arrived, requested or not. */
  get arrived(): number {
    return this.#arrived;
  }

  /** Number of unlisted instances that have not arrived. */
  get unlisted(): number {
    return this.#unlisted;
  }

  /** Why content with this SOP Instance UID was not stored; undefined if none arrived. */
  whyRefused(sopInstanceUid: string): string | undefined {
    return this.#foreign.get(sopInstanceUid);
  }

  /** Handles a C-STORE request. @returns the status of its response */
  async store(instance: IncomingInstance): Promise<number> {
    this.#arrived += 1;
    const peeked = await peekIdentity({ sizeBytes: undefined, body: instance.part10() }).catch(() => undefined);
    if (!peeked) return processingFailure;
    const name = this.#nameOf(instance.sopInstanceUid, peeked.identity);
    const status = name === undefined ? this.#refuse() : await this.#take(name, peeked);
    await peeked.giveUp();
    return status;
  }

  async #take(name: ListedInstance, { identity, whole }: PeekedInstance): Promise<number> {
    const { sopInstanceUid, seriesInstanceUid } = name;
    const key = listedKey(name);
    const listed = this.missing.get(key);
    if (!listed && this.#taken.has(key)) {
      const isOther = identity && this.#taken.get(key) !== undefined && this.#taken.get(key) !== identity.patientId;
      if (isOther && !this.#foreign.has(sopInstanceUid)) {
        const reason = 'the receiver also has an instance of another patient with the same UIDs, which was not stored';
        this.#foreign.set(sopInstanceUid, reason);
        this.#tally.failedBesides({ sopInstanceUid, reason });
      }
      return this.#refuse();
    }
    if (!listed && this.#unlisted <= 0) return this.#refuse();
    if (listed) this.missing.delete(key);
    else this.#unlisted -= 1;
    this.#taken.set(key, identity?.patientId);
    const series = seriesInstanceUid === '' ? undefined : seriesInstanceUid;
    if (!listed && (await this.#request.has(sopInstanceUid, series))) {
      this.#tally.completed();
      return success;
    }
    let isTheirs = false;
    const body = noting(whole.body, () => {
      isTheirs = true;
    });
    try {
      await this.#request.store(sopInstanceUid, { sizeBytes: undefined, body }, series);
    } catch (thrown) {
      if (listed) this.missing.set(key, listed);
      else this.#unlisted += 1;
      this.#taken.delete(key);
      if (isTheirs) return processingFailure;
      if (thrown instanceof DispatchError && thrown.fault === 'instance') {
        // Only this instance cannot be stored: it is not requested again.
        this.missing.delete(key);
        this.#taken.set(key, identity?.patientId);
        this.#tally.failed({ sopInstanceUid, reason: thrown.message });
        return notAskedFor;
      }
      this.#failed.abort(
        thrown instanceof DispatchError
          ? thrown
          : new DispatchError('internal', 'received instances cannot be stored', { cause: thrown }),
      );
      return outOfResources;
    }
    this.#tally.completed();
    return success;
  }

  /** The instance as listed, or by the UIDs in its data set; undefined if the data set is another instance or of another study. */
  #nameOf(sopInstanceUid: string, identity: InstanceIdentity | undefined): ListedInstance | undefined {
    if (!identity) {
      const some = [...this.missing.values()].find((one) => one.sopInstanceUid === sopInstanceUid);
      return some ?? { sopInstanceUid, seriesInstanceUid: '', sopClassUid: undefined };
    }
    const { studyInstanceUid, seriesInstanceUid } = identity;
    if (studyInstanceUid === this.#request.studyInstanceUid && identity.sopInstanceUid === sopInstanceUid) {
      const own = { sopInstanceUid, seriesInstanceUid, sopClassUid: undefined };
      if (this.missing.has(listedKey(own)) || this.#taken.has(listedKey(own)) || this.#unlisted > 0) return own;
      // Some receivers list corrected series, and send the original file.
      const [listed, ...more] = [...this.missing.values()].filter((one) => one.sopInstanceUid === sopInstanceUid);
      return listed && more.length === 0 ? listed : own;
    }
    const what = identity.sopInstanceUid === sopInstanceUid ? 'an instance of another study' : 'another instance';
    this.#foreign.set(sopInstanceUid, `the receiver sent ${what} under its SOP Instance UID`);
    return undefined;
  }

  #refuse(): number {
    this.#unasked += 1;
    if (this.#unasked > maxUnexpected) {
      this.#failed.abort(
        new DispatchError('target-error', `the receiver sent ${this.#unasked} instances that were not requested`, {
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
