import { randomBytes } from 'node:crypto';
import { DispatchError } from '@dicom-dispatch/core';
import { pullStudy, pullToSource } from '@dicom-dispatch/operations/pull';
import { OperationError, type Actor, type PipelineContext } from '@dicom-dispatch/pipeline';
import type { Logger } from '@dicom-dispatch/runtime';
import { Fetches, type FetchOrder, type FetchProgress, type FetchRecord } from '@dicom-dispatch/state/fetches';

/** Studies that one console gets at the same time. */
const maxAtOnce = 4;
const tellMs = 1_000;

class Cancelled extends Error {}

/** Gets studies from targets into sources, in this process, and writes down how far each is. */
export class FetchRunner {
  readonly #context: PipelineContext;
  readonly #fetches: Fetches;
  readonly #log: Logger;
  readonly #running = new Map<string, { readonly stop: AbortController; readonly ended: Promise<void> }>();

  constructor(context: PipelineContext, log: Logger) {
    this.#context = context;
    this.#fetches = new Fetches(context.redis, context.config().redis.prefix);
    this.#log = log;
  }

  list(): Promise<FetchRecord[]> {
    return this.#fetches.list();
  }

  /** @throws OperationError `not-found` for an unknown target or source; `conflict` while as many are under way as may be */
  async start(order: Omit<FetchOrder, 'by'>, actor: Actor): Promise<FetchRecord> {
    const { targets, sources } = this.#context.config();
    const { target, source } = order;
    if (!Object.hasOwn(targets, target)) throw new OperationError('not-found', `there is no target "${target}"`);
    if (!Object.hasOwn(sources, source)) throw new OperationError('not-found', `there is no source "${source}"`);
    if (this.#running.size >= maxAtOnce) {
      throw new OperationError(
        'conflict',
        `${maxAtOnce} studies are being fetched: wait for the end of one, or cancel it`,
      );
    }
    const id = `f-${randomBytes(6).toString('hex')}`;
    await this.#fetches.begin(id, { ...order, by: actor.name });
    const stop = new AbortController();
    const ended = this.#run(id, order, stop).finally(() => this.#running.delete(id));
    this.#running.set(id, { stop, ended });
    return this.#read(id);
  }

  /** @throws OperationError `not-found`; `conflict` unless it is under way */
  async cancel(id: string): Promise<FetchRecord> {
    const { state } = await this.#read(id);
    if (!(await this.#fetches.cancel(id))) throw new OperationError('conflict', `fetch ${id} is ${state}`);
    this.#running.get(id)?.stop.abort(new Cancelled());
    await this.#running.get(id)?.ended;
    return this.#read(id);
  }

  async stop(): Promise<void> {
    const running = [...this.#running.values()];
    for (const { stop } of running) stop.abort(new Error('the console is stopping'));
    await Promise.all(running.map(({ ended }) => ended));
  }

  async #read(id: string): Promise<FetchRecord> {
    const found = await this.#fetches.read(id);
    if (!found) throw new OperationError('not-found', `there is no fetch ${id}, or it is more than a day old`);
    return found;
  }

  async #run(
    id: string,
    { target, source, studyInstanceUid }: Omit<FetchOrder, 'by'>,
    stop: AbortController,
  ): Promise<void> {
    const { signal } = stop;
    const config = this.#context.config();
    let last: FetchProgress = { completed: 0, failed: 0, remaining: undefined };
    const tell = async (): Promise<void> => {
      if (await this.#fetches.told(id, last).catch(() => false)) stop.abort(new Cancelled());
    };
    const timer = setInterval(() => void tell(), tellMs);
    try {
      const destination = await pullToSource(config, source, studyInstanceUid);
      try {
        const progress = (now: FetchProgress): void => void (last = now);
        const request = { target, studyInstanceUid, destination, progress, signal };
        last = await pullStudy(this.#context, request);
      } finally {
        await destination.close();
      }
      await tell();
      const { failed } = last;
      if (failed === 0) await this.#fetches.end(id, 'done');
      else await this.#fetches.end(id, 'failed', `${target} did not give ${failed} instances: fetch it again for them`);
    } catch (error) {
      const isCancelled = signal.reason instanceof Cancelled;
      const isKnown = error instanceof DispatchError || error instanceof OperationError;
      const why = isKnown ? error.message : 'internal error';
      if (!isCancelled) this.#log.warn({ fetch: id, target, source, reason: why }, 'a study was not fetched');
      await this.#fetches.told(id, last).catch(() => false);
      await this.#fetches.end(id, isCancelled ? 'cancelled' : 'failed', isCancelled ? undefined : why).catch(() => {});
    } finally {
      clearInterval(timer);
    }
  }
}
