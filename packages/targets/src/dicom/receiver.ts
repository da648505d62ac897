import { connect, type Association, type ConnectOptions } from 'dicom-dimse';

/** How long a limit of the receiver is remembered; then more associations are requested again. */
const rememberMs = 10 * 60_000;

/** A receiver as seen by all deliveries of this process: how many of our associations it has, and how many it accepts. */
export class Receiver {
  #open = 0;
  /** Associations that are being requested. */
  #asking = 0;
  #max: { readonly count: number; readonly until: number } | undefined;
  #waiting: (() => void)[] = [];

  /** Our associations that are open now. */
  get open(): number {
    return this.#open;
  }

  /** How many it accepts at a time; undefined while this is unknown. */
  get max(): number | undefined {
    if (this.#max && performance.now() > this.#max.until) this.#max = undefined;
    return this.#max?.count;
  }

  get isFull(): boolean {
    return this.#open + this.#asking >= (this.max ?? Number.POSITIVE_INFINITY);
  }

  /**
   * Opens an association with the receiver.
   *
   * @param waitSignal - if the receiver is full, waits for the end of an association until this signal aborts
   */
  async connect(options: ConnectOptions, waitSignal?: AbortSignal): Promise<Association> {
    for (;;) {
      if (waitSignal === undefined || waitSignal.aborted || !this.isFull) break;
      await this.#oneEnds(waitSignal);
    }
    // No await since the check, so that only one of two callers that waited for the same association takes it.
    this.#asking += 1;
    let association: Association;
    try {
      association = await connect(options);
    } finally {
      this.#asking -= 1;
      this.#wake();
    }
    this.#open += 1;
    if (this.#open > (this.max ?? this.#open)) this.#max = undefined;
    void association.ended.then(() => {
      this.#open -= 1;
      this.#wake();
    });
    return association;
  }

  /**
   * Call this when the receiver did not accept a further association while others of ours were open: their number is its limit.
   *
   * @returns whether the limit is new
   */
  refused(): boolean {
    if (this.#open === 0) return false;
    const isNews = this.max !== this.#open;
    this.#max = { count: this.#open, until: performance.now() + rememberMs };
    return isNews;
  }

  async #oneEnds(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.#waiting.push(done);
      signal.addEventListener('abort', done, { once: true });
    });
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

/** Shared by all deliveries of the process: targets with the same address have the same limit. */
const receivers = new Map<string, Receiver>();

export function receiverAt({
  host,
  port,
  calledAeTitle,
}: Pick<ConnectOptions, 'host' | 'port' | 'calledAeTitle'>): Receiver {
  const key = `${host}:${port} ${calledAeTitle}`;
  const receiver = receivers.get(key) ?? new Receiver();
  receivers.set(key, receiver);
  return receiver;
}
