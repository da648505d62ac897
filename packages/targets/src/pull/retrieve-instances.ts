import { DispatchError } from '@dicom-dispatch/core';
import type { InstanceBytes, RetrieveRequest } from '@dicom-dispatch/target-kit';
import { cancelledError } from '@dicom-dispatch/target-kit/flow';
import { malformedName, type RetrieveTally } from './retrieve-tally.ts';
import { expectInstance, type AskedInstance } from './expect-instance.ts';

/** One instance at the target and how to fetch it. */
export interface RemoteInstance extends AskedInstance {
  fetch(signal: AbortSignal): Promise<InstanceBytes>;
}

/**
 * Retrieves instances in parallel lanes into `request.store`. A failed instance is tried twice, then counted as failed; the others
 * continue.
 *
 * @throws {DispatchError} if the target can no longer be queried, or the signal aborts; errors of `store` are passed on
 */
export async function retrieveInstances(
  instances: readonly RemoteInstance[],
  request: Pick<RetrieveRequest, 'store' | 'canKeep'>,
  { lanes, tally, signal }: { readonly lanes: number; readonly tally: RetrieveTally; readonly signal: AbortSignal },
): Promise<void> {
  const stop = new AbortController();
  const both = AbortSignal.any([signal, stop.signal]);
  let ending: unknown;
  let position = 0;

  async function runLane(): Promise<void> {
    for (let instance = instances[position++]; instance && !both.aborted; instance = instances[position++]) {
      const { sopInstanceUid } = instance;
      if (!(request.canKeep?.(sopInstanceUid) ?? true)) {
        tally.failed(malformedName(sopInstanceUid));
        continue;
      }
      const first = await fetchOne(instance, request, both);
      const failure = first?.mayComeYet ? await fetchOne(instance, request, both) : first;
      if (failure === undefined) tally.completed();
      else tally.failed({ sopInstanceUid, reason: failure.reason });
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

interface Failure {
  readonly reason: string;
  /** Whether a second try may succeed. */
  readonly mayComeYet: boolean;
}

/** Why this instance was not retrieved; undefined if it was. Throws if the other instances would fail too. */
async function fetchOne(
  instance: RemoteInstance,
  request: Pick<RetrieveRequest, 'store'>,
  signal: AbortSignal,
): Promise<Failure | undefined> {
  let ofTarget: unknown;
  try {
    const bytes = await instance
      .fetch(signal)
      .then((fetched) => expectInstance(instance, fetched))
      .catch((thrown: unknown) => {
        ofTarget = thrown;
        throw thrown;
      });
    const body = noting(exactly(bytes), (thrown) => {
      ofTarget = thrown;
    });
    const { sopInstanceUid, seriesInstanceUid } = instance;
    await request.store(sopInstanceUid, { sizeBytes: bytes.sizeBytes, body }, seriesInstanceUid);
    return undefined;
  } catch (thrown) {
    if (signal.aborted) throw thrown;
    if (ofTarget === undefined) {
      // The destination cannot store this instance, but may store the others.
      if (thrown instanceof DispatchError && thrown.fault === 'instance') {
        return { reason: thrown.message, mayComeYet: false };
      }
      throw thrown;
    }
    if (isHopeless(ofTarget)) throw ofTarget;
    const reason = ofTarget instanceof DispatchError ? `: ${ofTarget.message}` : '';
    return { reason: `the target did not send it${reason}`, mayComeYet: true };
  }
}

/** @throws {DispatchError} `target-error` if the body does not have the announced length */
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
  return new DispatchError('target-error', `the target announced ${sizeBytes} bytes of an instance, and sent ${came}`);
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
