import type { CommitmentReport } from 'dicom-dimse/dataset';
import type { Mailbox } from '@dicom-dispatch/target-kit';
import { cancelledError } from '@dicom-dispatch/target-kit/flow';
import { mailboxName, reportArrived } from './commitment-reports.ts';
import type { ClosedTransaction } from './closed-transaction.ts';

/** Interval of mailbox checks: another dispatcher may have received a report. */
const lookEveryMs = 1_000;

/** The reports of one run; those of newer requests first. */
export class ReportQueue {
  readonly #mailbox: Mailbox;
  readonly #signal: AbortSignal;
  readonly #open = new Set<string>();
  #wake: () => void = () => {};
  #isOver = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(mailbox: Mailbox, signal: AbortSignal) {
    this.#mailbox = mailbox;
    this.#signal = signal;
    signal.addEventListener('abort', this.#onEvent, { once: true });
    reportArrived.addEventListener('report', this.#onEvent);
  }

  /** Call this before the transaction is requested, so that every dispatcher accepts its report. */
  async expect(transactionUid: string): Promise<void> {
    await this.#mailbox.expect(mailboxName(transactionUid));
    this.#open.add(transactionUid);
  }

  /** Waits for the report of a transaction that was requested earlier, possibly by another process. */
  goOn(transactionUid: string): void {
    this.#open.add(transactionUid);
  }

  /**
   * Closes a transaction whose report was read. Facts about it are kept, to detect a later report that contradicts it.
   *
   * @returns the report at this moment: another one may have been added to the one that was read
   */
  async conclude(transactionUid: string, facts: ClosedTransaction): Promise<CommitmentReport | undefined> {
    this.#open.delete(transactionUid);
    return this.#mailbox.close<CommitmentReport>(mailboxName(transactionUid), facts);
  }

  /** Ends a transaction whose report is no longer expected. */
  async forget(transactionUid: string): Promise<void> {
    this.#open.delete(transactionUid);
    await this.#mailbox.forget(mailboxName(transactionUid));
  }

  /** Starts the time limit for reports. */
  limit(timeoutMs: number): void {
    this.#timer = setTimeout(() => this.end(), timeoutMs);
  }

  /** Call this when no more reports can arrive. */
  end(): void {
    this.#isOver = true;
    this.#wake();
  }

  /**
   * The next report; undefined if no more arrive, or not in time. It stays in the mailbox until `conclude` or `forget`.
   *
   * @throws DispatchError if the signal aborts, or the mailbox is unreachable
   */
  async next(): Promise<CommitmentReport | undefined> {
    for (;;) {
      // Armed before the check, so that a report in between is not missed.
      const { promise: woken, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const isLast = this.#isOver;
      // Newest first: its results replace those of older ones.
      for (const transactionUid of [...this.#open].toReversed()) {
        const report = await this.#mailbox.look<CommitmentReport>(mailboxName(transactionUid));
        if (report) return report;
      }
      if (this.#signal.aborted) throw cancelledError(this.#signal);
      if (isLast) return undefined;
      const timer = setTimeout(resolve, lookEveryMs);
      await woken;
      clearTimeout(timer);
    }
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#signal.removeEventListener('abort', this.#onEvent);
    reportArrived.removeEventListener('report', this.#onEvent);
  }

  readonly #onEvent = (): void => this.#wake();
}
