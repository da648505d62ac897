import type { IncomingNRequest, NAnswer } from 'dicom-dimse';
import { readCommitmentReport, type CommitmentReport } from 'dicom-dimse/dataset';

/** Reports that are kept until a run asks for them. */
const mostKept = 200;
const processingFailure = 0x0110;

/**
 * Hands the reports of storage commitments to the runs that wait for them. A report comes to the process, on whatever
 * association and perhaps between two attempts of its delivery: one that was asked for here is kept until then.
 */
export class CommitmentReports {
  readonly #waiting = new Map<string, (report: CommitmentReport) => void>();
  readonly #due = new Set<string>();
  readonly #kept = new Map<string, CommitmentReport>();

  /** Calls back when the report on a transaction is here, at once if it is. @returns how to stop; it stays due */
  expect(transactionUid: string, onReport: (report: CommitmentReport) => void): () => void {
    const kept = this.#kept.get(transactionUid);
    if (kept) {
      this.#kept.delete(transactionUid);
      onReport(kept);
      return () => {};
    }
    this.#due.add(transactionUid);
    this.#waiting.set(transactionUid, onReport);
    return () => void this.#waiting.delete(transactionUid);
  }

  /** Whether there are reports to come that were asked for here. */
  get isDue(): boolean {
    return this.#due.size > 0;
  }

  /** Nobody will ask for these any more. */
  forget(transactionUids: Iterable<string>): void {
    for (const uid of transactionUids) {
      this.#due.delete(uid);
      this.#kept.delete(uid);
    }
  }

  /** Gives up on all that no run waits for now. */
  forgetUnwaited(): void {
    this.forget([...this.#due, ...this.#kept.keys()].filter((uid) => !this.#waiting.has(uid)));
  }

  /** An N-EVENT-REPORT (PS3.4 section J.3.3). One that nobody here asked for is refused, so that it may come again. */
  async take(request: IncomingNRequest): Promise<NAnswer> {
    const report = await readCommitmentReport(request);
    const { transactionUid } = report;
    if (!this.#due.has(transactionUid)) return { status: processingFailure };
    this.#due.delete(transactionUid);
    const onReport = this.#waiting.get(transactionUid);
    this.#waiting.delete(transactionUid);
    if (onReport) onReport(report);
    else {
      this.#kept.set(transactionUid, report);
      const [oldest] = this.#kept.keys();
      if (this.#kept.size > mostKept && oldest !== undefined) this.#kept.delete(oldest);
    }
    return { status: 0 };
  }
}
