import type { Circuits } from '@dicom-dispatch/state/circuit';
import type { Worker } from 'bullmq';

const lookMs = 1_000;

/**
 * Stops a worker from taking deliveries while the circuit of its target is open: they keep their places in the queue, and
 * no jobs have to be moved, even with a hundred thousand of them.
 *
 * BullMQ's own rate limit is not used for this: its other slots continue to fetch, and fetched jobs are held without
 * renewing their locks until the pause is over.
 */
export class TargetGate {
  readonly #worker: Worker;
  readonly #target: string;
  readonly #circuits: Circuits;
  #timer: NodeJS.Timeout | undefined;
  #isEnded = false;

  constructor(worker: Worker, target: string, circuits: Circuits) {
    this.#worker = worker;
    this.#target = target;
    this.#circuits = circuits;
  }

  get isClosed(): boolean {
    return this.#timer !== undefined;
  }

  close(): void {
    if (this.#timer || this.#isEnded) return;
    this.#timer = setTimeout(() => void this.#look(), lookMs);
    // Running deliveries continue.
    void this.#worker.pause(true).catch(() => {});
  }

  /** Called when the worker is being closed: it is not resumed any more. */
  end(): void {
    this.#isEnded = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  async #look(): Promise<void> {
    let waitMs = 0;
    try {
      const { state, retryInMs } = await this.#circuits.state(this.#target);
      // A running probe decides; the others need not check meanwhile.
      waitMs = state === 'probing' ? lookMs : retryInMs;
    } catch {
      waitMs = lookMs;
    }
    if (this.#isEnded) return;
    if (waitMs > 0) {
      // It may close before that: another dispatcher has got through.
      this.#timer = setTimeout(() => void this.#look(), Math.min(lookMs, waitMs));
      return;
    }
    this.#timer = undefined;
    await this.#worker.resume();
    // Its loop may just have been ending when it was resumed.
    setTimeout(() => {
      const { isRunning, isPaused } = { isRunning: this.#worker.isRunning(), isPaused: this.#worker.isPaused() };
      if (this.#isEnded || isRunning || isPaused) return;
      void this.#worker.run().catch(() => {});
    }, lookMs).unref();
  }
}
