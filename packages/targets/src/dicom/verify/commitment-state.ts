import type { RunState } from '@dicom-dispatch/target-kit';

const stateKey = 'storage-commitment';
/** Maximum number of requests whose reports are awaited; the oldest are dropped. */
const maxTransactions = 50;

export interface Transaction {
  readonly transactionUid: string;
  /** SOP Instance UIDs of the request that still need its report. */
  readonly sopInstanceUids: readonly string[];
  /** Set if an attempt ended without the report: its instances are then requested again. */
  readonly overdue?: boolean;
}

interface Kept {
  readonly committed: readonly string[];
  readonly transactions: readonly Transaction[];
}

/** Progress of a storage commitment; stored with the delivery, so that it continues after a restart. */
export class CommitmentState {
  readonly committed: Set<string>;
  readonly #state: RunState;
  #transactions: Transaction[];

  private constructor(state: RunState, kept: Kept) {
    this.#state = state;
    this.committed = new Set(kept.committed);
    this.#transactions = [...kept.transactions];
  }

  static async load(state: RunState): Promise<CommitmentState> {
    return new CommitmentState(state, (await state.get<Kept>(stateKey)) ?? { committed: [], transactions: [] });
  }

  get transactions(): readonly Transaction[] {
    return this.#transactions;
  }

  /** Instances without an open request. */
  notAsked(sopInstanceUids: Iterable<string>): string[] {
    const asked = new Set(this.#transactions.filter((one) => !one.overdue).flatMap((one) => one.sopInstanceUids));
    return [...sopInstanceUids].filter((uid) => !asked.has(uid) && !this.committed.has(uid));
  }

  /** Keeps only instances to be verified, without those sent in this attempt: earlier reports were about other content. */
  keepOnly(sopInstanceUids: ReadonlySet<string>, sentNow: ReadonlySet<string>): void {
    const isKept = (uid: string): boolean => sopInstanceUids.has(uid) && !sentNow.has(uid);
    for (const uid of this.committed) if (!isKept(uid)) this.committed.delete(uid);
    this.#transactions = this.#transactions
      .map((one) => ({ ...one, sopInstanceUids: one.sopInstanceUids.filter(isKept) }))
      .filter((one) => one.sopInstanceUids.length > 0);
  }

  add(transaction: Transaction): void {
    this.#transactions = [...this.#transactions, transaction].slice(-maxTransactions);
  }

  end(transactionUid: string): void {
    this.#transactions = this.#transactions.filter((one) => one.transactionUid !== transactionUid);
  }

  /**
   * A report on a transaction has arrived: the transaction is closed, and older ones no longer apply to its instances.
   *
   * @returns Transaction UIDs of the older ones that have no instances left
   */
  answered(transactionUid: string): string[] {
    const index = this.#transactions.findIndex((one) => one.transactionUid === transactionUid);
    const answered = new Set(this.#transactions[index]?.sopInstanceUids);
    const older = this.#transactions.slice(0, Math.max(0, index)).map((one) => ({
      ...one,
      sopInstanceUids: one.sopInstanceUids.filter((uid) => !answered.has(uid)),
    }));
    this.#transactions = [
      ...older.filter((one) => one.sopInstanceUids.length > 0),
      ...this.#transactions.slice(index + 1),
    ];
    return older.filter((one) => one.sopInstanceUids.length === 0).map((one) => one.transactionUid);
  }

  allOverdue(): void {
    this.#transactions = this.#transactions.map((one) => ({ ...one, overdue: true }));
  }

  async save(): Promise<void> {
    await this.#state.set(stateKey, { committed: [...this.committed], transactions: this.#transactions });
  }
}
