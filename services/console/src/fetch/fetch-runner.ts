import { randomBytes } from 'node:crypto';
import type { Readable } from 'node:stream';
import { asDispatchError, DispatchError } from '@dicom-dispatch/core';
import { pullStudy, pullToSource, type PullDestination } from '@dicom-dispatch/operations/pull';
import { OperationError, type Actor, type PipelineContext } from '@dicom-dispatch/pipeline';
import type { Logger } from '@dicom-dispatch/runtime';
import { Fetches, type FetchOrder, type FetchProgress, type FetchRecord } from '@dicom-dispatch/state/fetches';
import { ZipDestination } from './zip-destination.ts';

/** Maximum number of studies that one console retrieves at the same time. */
const maxAtOnce = 4;
const reportMs = 1_000;
/** A download from which the client does not read for this time is aborted. */
const unreadMs = 120_000;

class Cancelled extends Error {}

/** Destination of a study, with functions for its end and progress. */
interface Sink {
  open(): Promise<PullDestination>;
  /** Called every second. @throws OperationError if it cannot continue */
  look?(): void;
  /**
   * Called when the retrieval has ended.
   *
   * @param missing - instances that the target did not return, as text
   * @throws OperationError if no instance was received
   */
  whole?(missing: string | undefined): void;
  broken?(error: Error): void;
}

export interface Download {
  readonly id: string;
  /** A ZIP file; destroying it ends the fetch. */
  readonly file: Readable;
  /** Its result. */
  readonly ended: Promise<FetchRecord>;
}

/** Retrieves studies from targets, into sources and as downloads, in this process, and stores their progress in Redis. */
export class FetchRunner {
  readonly #context: PipelineContext;
  readonly #fetches: Fetches;
  readonly #log: Logger;
  /** Running fetches, including those that are not stored yet. */
  #begun = 0;
  readonly #running = new Map<string, { readonly stop: AbortController; readonly ended: Promise<void> }>();

  constructor(context: PipelineContext, log: Logger) {
    this.#context = context;
    this.#fetches = new Fetches(context.redis, context.config().redis.prefix);
    this.#log = log;
  }

  list(): Promise<FetchRecord[]> {
    return this.#fetches.list();
  }

  /** @throws OperationError `not-found` for an unknown target or source; `conflict` if the maximum number is running */
  async start(order: { target: string; studyInstanceUid: string; source: string }, actor: Actor): Promise<FetchRecord> {
    const config = this.#context.config();
    const { source, studyInstanceUid } = order;
    if (!Object.hasOwn(config.sources, source)) throw new OperationError('not-found', `there is no source "${source}"`);
    const { id } = await this.#begin(order, actor, { open: () => pullToSource(config, source, studyInstanceUid) });
    return this.#read(id);
  }

  /**
   * Retrieves a study as a ZIP file, streamed. Resolves when the first instance has arrived.
   *
   * @throws OperationError as `start`, errors before the first instance arrives, and `unavailable` if none does;
   *   DispatchError
   */
  async download(order: { target: string; studyInstanceUid: string }, actor: Actor): Promise<Download> {
    const zip = new ZipDestination();
    let movedBytes = 0;
    let movedAt = Date.now();
    const failed = Promise.withResolvers<never>();
    failed.promise.catch(() => {});
    // Without a listener, an error of the stream would end the process.
    zip.output.on('error', () => {});
    const { id, stop, ended } = await this.#begin({ ...order, source: undefined }, actor, {
      open: async () => zip,
      look() {
        if (zip.movedBytes !== movedBytes || !zip.waitsForReader) [movedBytes, movedAt] = [zip.movedBytes, Date.now()];
        else if (Date.now() - movedAt > unreadMs)
          throw new OperationError('conflict', 'the client has stopped the download');
      },
      whole(missing) {
        if (zip.isEmpty) throw new OperationError('unavailable', missing ?? 'no instance was received');
        zip.finish(missing);
      },
      broken(error) {
        failed.reject(error);
        zip.break(error);
      },
    });
    zip.output.once('close', () => {
      if (!zip.output.readableEnded) stop.abort(zip.brokenBy ? asDispatchError(zip.brokenBy) : new Cancelled());
    });
    await Promise.race([zip.begun, failed.promise]);
    return { id, file: zip.output, ended: ended.then(() => this.#read(id)) };
  }

  /** @throws OperationError `not-found`; `conflict` unless it is running */
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

  async #begin(
    order: Omit<FetchOrder, 'by'>,
    actor: Actor,
    sink: Sink,
  ): Promise<{ readonly id: string; readonly stop: AbortController; readonly ended: Promise<void> }> {
    const { target } = order;
    if (!Object.hasOwn(this.#context.config().targets, target)) {
      throw new OperationError('not-found', `there is no target "${target}"`);
    }
    if (this.#begun >= maxAtOnce) {
      throw new OperationError(
        'conflict',
        `${maxAtOnce} studies are being fetched: wait until one has finished, or cancel it`,
      );
    }
    const id = `f-${randomBytes(6).toString('hex')}`;
    // Before the first await: other fetches may begin while this one is being stored.
    this.#begun += 1;
    try {
      await this.#fetches.begin(id, { ...order, by: actor.name });
    } catch (error) {
      this.#begun -= 1;
      throw error;
    }
    const stop = new AbortController();
    const ended = this.#run(id, order, stop, sink).finally(() => {
      this.#running.delete(id);
      this.#begun -= 1;
    });
    this.#running.set(id, { stop, ended });
    return { id, stop, ended };
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
    sink: Sink,
  ): Promise<void> {
    const { signal } = stop;
    let last: FetchProgress = { completed: 0, failed: 0, remaining: undefined };
    const report = async (): Promise<void> => {
      if (await this.#fetches.report(id, last).catch(() => false)) stop.abort(new Cancelled());
      try {
        sink.look?.();
      } catch (error) {
        stop.abort(error);
      }
    };
    const timer = setInterval(() => void report(), reportMs);
    try {
      const destination = await sink.open();
      try {
        const progress = (now: FetchProgress): void => void (last = now);
        const request = { target, studyInstanceUid, destination, progress, signal };
        last = await pullStudy(this.#context, request);
      } finally {
        await destination.close();
      }
      await report();
      const { failed } = last;
      const missing =
        failed === 0 ? undefined : `${target} did not send ${failed} instances: fetch the study again to retrieve them`;
      sink.whole?.(missing);
      await this.#fetches.end(id, failed === 0 ? 'done' : 'failed', missing);
    } catch (thrown) {
      const { reason } = signal as { reason: unknown };
      const error = reason instanceof OperationError || reason instanceof DispatchError ? reason : thrown;
      const isCancelled = reason instanceof Cancelled;
      const isKnown = error instanceof DispatchError || error instanceof OperationError;
      const why = isKnown ? error.message : 'internal error';
      sink.broken?.(
        isCancelled
          ? new OperationError('conflict', 'it was cancelled')
          : isKnown
            ? error
            : new OperationError('unavailable', why),
      );
      if (!isCancelled) this.#log.warn({ fetch: id, target, source, reason: why }, 'a study was not fetched');
      await this.#fetches.report(id, last).catch(() => false);
      await this.#fetches.end(id, isCancelled ? 'cancelled' : 'failed', isCancelled ? undefined : why).catch(() => {});
    } finally {
      clearInterval(timer);
    }
  }
}
