import { DispatchError } from '@dicom-dispatch/core';
import type { InstanceBytes, RetrieveProgress, RetrieveRequest } from '../contract/index.ts';
import { cancelledError } from '../flow/index.ts';

/** One instance at the target and how to fetch it. */
export interface RemoteInstance {
  readonly sopInstanceUid: string;
  fetch(signal: AbortSignal): Promise<InstanceBytes>;
}

/** Counts what came, what failed and what is left, and says so after each step. */
export class RetrieveTally {
  readonly #tell: (progress: RetrieveProgress) => void;
  #completed = 0;
  #failed = 0;
  #total: number | undefined;

  constructor(tell: (progress: RetrieveProgress) => void) {
    this.#tell = tell;
  }

  get progress(): RetrieveProgress {
    const remaining = this.#total === undefined ? undefined : this.#total - this.#completed - this.#failed;
    return { completed: this.#completed, failed: this.#failed, remaining };
  }

  /** How many there are in all, those that are here already included. */
  total(count: number): void {
    this.#total = count;
    this.#tell(this.progress);
  }

  completed(): void {
    this.#completed += 1;
    this.#tell(this.progress);
  }

  failed(): void {
    this.#failed += 1;
    this.#tell(this.progress);
  }
}

/**
 * Fetches instances in parallel lanes into `request.store`. An instance that cannot be had is tried twice, then counted
 * as failed; the others go on.
 *
 * @throws {DispatchError} when the target cannot be asked any more and when cancelled; what `store` throws is passed on
 */
export async function retrieveInstances(
  instances: readonly RemoteInstance[],
  request: Pick<RetrieveRequest, 'store'>,
  { lanes, tally, signal }: { readonly lanes: number; readonly tally: RetrieveTally; readonly signal: AbortSignal },
): Promise<void> {
  const stop = new AbortController();
  const both = AbortSignal.any([signal, stop.signal]);
  let ending: unknown;
  let position = 0;

  async function runLane(): Promise<void> {
    for (let instance = instances[position++]; instance && !both.aborted; instance = instances[position++]) {
      const came = (await fetchOne(instance, request, both)) || (await fetchOne(instance, request, both));
      if (came) tally.completed();
      else tally.failed();
    }
  }

  const running = Array.from({ length: Math.min(lanes, instances.length) }, () =>
    runLane().catch((thrown: unknown) => {
      ending ??= thrown;
      stop.abort(thrown);
    }),
  );
  await Promise.all(running);
  if (signal.aborted) throw cancelledError(signal);
  if (ending !== undefined) throw ending;
}

/** False when the target did not give this instance; throws when it is of no use to go on. */
async function fetchOne(
  instance: RemoteInstance,
  request: Pick<RetrieveRequest, 'store'>,
  signal: AbortSignal,
): Promise<boolean> {
  let ofTarget: unknown;
  try {
    const bytes = await instance.fetch(signal).catch((thrown: unknown) => {
      ofTarget = thrown;
      throw thrown;
    });
    await request.store(instance.sopInstanceUid, {
      sizeBytes: bytes.sizeBytes,
      body: noting(exactly(bytes), (thrown) => {
        ofTarget = thrown;
      }),
    });
    return true;
  } catch (thrown) {
    if (signal.aborted || ofTarget === undefined) throw thrown;
    if (isHopeless(ofTarget)) throw ofTarget;
    return false;
  }
}

/** Neither less nor more than was said. */
async function* exactly({ sizeBytes, body }: InstanceBytes): AsyncGenerator<Uint8Array, void, undefined> {
  let length = 0;
  for await (const chunk of body) {
    length += chunk.byteLength;
    if (sizeBytes !== undefined && length > sizeBytes) throw wrongSize(sizeBytes, 'more');
    yield chunk;
  }
  if (sizeBytes !== undefined && length < sizeBytes) throw wrongSize(sizeBytes, `only ${length}`);
}

function wrongSize(sizeBytes: number, came: string): DispatchError {
  return new DispatchError('target-error', `the target said ${sizeBytes} bytes of an instance, and gave ${came}`);
}

function isHopeless(thrown: unknown): boolean {
  if (!(thrown instanceof DispatchError)) return true;
  return thrown.disposition === 'wait' || thrown.disposition === 'halt';
}

async function* noting(
  body: AsyncIterable<Uint8Array>,
  note: (thrown: unknown) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* body;
  } catch (thrown) {
    note(thrown);
    throw thrown;
  }
}
