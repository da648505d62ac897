import type { CommitmentReport } from 'dicom-dimse/dataset';
import type { Mailbox } from '@dicom-dispatch/target-kit';
import { cancelledError } from '@dicom-dispatch/target-kit/flow';
import { mailboxName, reportArrived } from './commitment-reports.ts';

/** A report may have come to another dispatcher: so often the mailbox is looked into. */
const lookEveryMs = 1_000;

/** The reports of one run, one after the other as they come. */
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

  /** To be called before the transaction is asked for: whoever receives its report then takes it. */
  async expect(transactionUid: string): Promise<void> {
    await this.#mailbox.expect(mailboxName(transactionUid));
    this.#open.add(transactionUid);
  }

  /** A transaction that was asked for before, perhaps by another process. */
  goOn(transactionUid: string): void {
    this.#open.add(transactionUid);
  }

  /** Its report was taken in, or nobody waits for it any more. */
  async forget(transactionUid: string): Promise<void> {
    this.#open.delete(transactionUid);
    await this.#mailbox.forget(mailboxName(transactionUid));
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
   * The next report; undefined when no more come, or not in time. It stays in the mailbox until it is forgotten.
   *
   * @throws DispatchError when the signal aborts, or the mailbox is unreachable
   */
  async next(): Promise<CommitmentReport | undefined> {
    for (;;) {
      // Armed before the look, so that what comes meanwhile is not missed.
      const { promise: woken, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const isLast = this.#isOver;
      // The newest first: what it says makes the word on older ones void.
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
