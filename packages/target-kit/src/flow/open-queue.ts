import type { DeliveryRun, ManifestInstance } from '../contract/index.ts';
import { metered, type MeteredBytes } from './metered.ts';

/**
 * Number of large instances that are read and sent in parallel: the source holds each of them in memory, as do many receivers.
 */
export const largeAtOnce = 2;

/** Size in bytes from which an instance is large. */
export const largeBytes = 64_000_000;

/** An instance whose bytes are available. */
export interface OpenedInstance {
  readonly instance: ManifestInstance;
  readonly bytes: MeteredBytes;
}

/** The next instance; `opened` rejects if it cannot be opened. */
export type NextInstance = { readonly instance: ManifestInstance; readonly opened: Promise<MeteredBytes> };

export interface OpenQueueOptions {
  readonly instances: readonly ManifestInstance[];
  /** Maximum number of instances that are opened before a lane requests them. */
  readonly prefetch: number;
  readonly signal: AbortSignal;
  /** The transfer syntax to request from the source; default the stored one. */
  readonly transferSyntaxUid?: ((instance: ManifestInstance) => string | undefined) | undefined;
  /** Whether the target needs Part 10 files: see `OpenOptions`. */
  readonly asPart10?: boolean | undefined;
  /** Whether one is opened after the other while the source opens them quickly: over one connection instead of several. */
  readonly inTurn?: boolean | undefined;
}

/** An instance that takes longer to open does not delay the next one. */
const quicklyMs = 30;

/** Returns instances in order, a few of them opened ahead. */
export class OpenQueue {
  readonly #run: Pick<DeliveryRun<unknown>, 'open' | 'sent'>;
  readonly #options: OpenQueueOptions;
  readonly #ahead: NextInstance[] = [];
  #position = 0;
  /** Resolves when the last instance is open, has failed to open, or takes longer. */
  #last: Promise<unknown> | undefined;

  constructor(run: Pick<DeliveryRun<unknown>, 'open' | 'sent'>, options: OpenQueueOptions) {
    this.#run = run;
    this.#options = options;
  }

  /** The next instance, or undefined if all were returned or the signal is aborted. */
  next(): NextInstance | undefined {
    if (this.#options.signal.aborted) return undefined;
    const first = this.#ahead.shift() ?? this.#openOne();
    while (this.#ahead.length < this.#options.prefetch) {
      const further = this.#openOne();
      if (!further) break;
      this.#ahead.push(further);
    }
    return first;
  }

  /** Closes instances that were opened ahead and not requested. */
  async close(): Promise<void> {
    this.#position = this.#options.instances.length;
    for (const { opened } of this.#ahead.splice(0)) {
      // The signal has been aborted if there is still something here: it ends a slow open.
      opened.then((bytes) => bytes.release()).catch(() => {});
    }
  }

  #openOne(): NextInstance | undefined {
    const instance = this.#options.instances[this.#position];
    if (!instance || this.#options.signal.aborted) return undefined;
    this.#position += 1;
    const opened = this.#options.inTurn === true ? this.#openInTurn(instance) : this.#open(instance);
    // A failure is thrown when a lane takes the instance; until then it must not count as an unhandled rejection.
    opened.catch(() => {});
    return { instance, opened };
  }

  async #openInTurn(instance: ManifestInstance): Promise<MeteredBytes> {
    const before = this.#last;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last = promise;
    await before;
    const timer = setTimeout(resolve, quicklyMs);
    try {
      return await this.#open(instance);
    } finally {
      clearTimeout(timer);
      resolve();
    }
  }

  async #open(instance: ManifestInstance): Promise<MeteredBytes> {
    const { signal, transferSyntaxUid, asPart10 } = this.#options;
    const wanted = transferSyntaxUid?.(instance);
    const bytes = await this.#run.open(instance, {
      signal,
      ...(wanted !== undefined && { transferSyntaxUid: wanted }),
      ...(asPart10 === true && { asPart10 }),
    });
    return metered(bytes, { sent: (count) => this.#run.sent(count), signal });
  }
}
