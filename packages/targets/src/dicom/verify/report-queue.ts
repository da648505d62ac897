import type { CommitmentReport } from 'dicom-dimse/dataset';
import { cancelledError } from '../../flow/index.ts';
import { commitmentReports } from './report-listener.ts';

/** The reports of one run, one after the other as they come. */
export class ReportQueue {
  readonly #signal: AbortSignal;
  readonly #reports: CommitmentReport[] = [];
  readonly #stops: (() => void)[] = [];
  #wake: () => void = () => {};
  #isOver = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  expect(transactionUid: string): void {
    const stop = commitmentReports.expect(transactionUid, (report) => {
      this.#reports.push(report);
      this.#wake();
    });
    this.#stops.push(stop);
  }

  /** From now on reports have so long to come. */
  limit(timeoutMs: number): void {
    this.#timer = setTimeout(() => this.end(), timeoutMs);
  }

  /** No more reports can come. */
  end(): void {
    this.#isOver = true;
    this.#wake();
  }

  /**
   * The next report; undefined when no more come, or not in time.
   *
   * @throws DispatchError when the signal aborts
   */
  async next(): Promise<CommitmentReport | undefined> {
    for (;;) {
      if (this.#signal.aborted) throw cancelledError(this.#signal);
      const report = this.#reports.shift();
      if (report || this.#isOver) return report;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#signal.removeEventListener('abort', this.#onAbort);
    for (const stop of this.#stops) stop();
  }

  readonly #onAbort = (): void => this.#wake();
}
