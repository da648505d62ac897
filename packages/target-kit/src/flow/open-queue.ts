import type { DeliveryRun, ManifestInstance } from '../contract/index.ts';
import { metered, type MeteredBytes } from './metered.ts';

/** Number of large instances that are read and sent at the same time: the source has each of them whole in memory, as many receivers do. */
export const largeAtOnce = 2;

/** Bytes of an instance from which on it is large. */
export const largeBytes = 64_000_000;

/** An instance whose bytes are on offer. */
export interface OpenedInstance {
  readonly instance: ManifestInstance;
  readonly bytes: MeteredBytes;
}

/** One instance whose turn it is: opened, or why it could not be. */
export type NextInstance = { readonly instance: ManifestInstance; readonly opened: Promise<MeteredBytes> };

export interface OpenQueueOptions {
  readonly instances: readonly ManifestInstance[];
  /** How many are opened before a lane asks for them. */
  readonly prefetch: number;
  readonly signal: AbortSignal;
  /** The transfer syntax to ask the source for; default the stored one. */
  readonly transferSyntaxUid?: ((instance: ManifestInstance) => string | undefined) | undefined;
  /** Whether the target needs Part 10 files, whatever the source has. */
  readonly asPart10?: boolean | undefined;
}

/** Hands instances out in order, a few of them opened ahead. */
export class OpenQueue {
  readonly #run: Pick<DeliveryRun<unknown>, 'open' | 'sent'>;
  readonly #options: OpenQueueOptions;
  readonly #ahead: NextInstance[] = [];
  #position = 0;

  constructor(run: Pick<DeliveryRun<unknown>, 'open' | 'sent'>, options: OpenQueueOptions) {
    this.#run = run;
    this.#options = options;
  }

  /** The next instance, or undefined when all were handed out or the signal is aborted. */
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

  /** Lets go of what was opened ahead and not asked for. */
  async close(): Promise<void> {
    this.#position = this.#options.instances.length;
    for (const { opened } of this.#ahead.splice(0)) {
      // The signal has been aborted when there is still something here: a slow open ends by it.
      opened.then((bytes) => bytes.release()).catch(() => {});
    }
  }

  #openOne(): NextInstance | undefined {
    const instance = this.#options.instances[this.#position];
    if (!instance || this.#options.signal.aborted) return undefined;
    this.#position += 1;
    const opened = this.#open(instance);
    // A failure is for the lane that takes the instance; until then nobody listens.
    opened.catch(() => {});
    return { instance, opened };
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
