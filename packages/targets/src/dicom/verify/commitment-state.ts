import type { RunState } from '@dicom-dispatch/target-kit';

const stateKey = 'storage-commitment';
/** Requests that are listened for; older ones were not answered. */
const maxTransactions = 50;

export interface Transaction {
  readonly transactionUid: string;
  /** Of all instances that it asks for. */
  readonly sopInstanceUids: readonly string[];
  /** Set when an attempt ended without its report: its instances are then asked for anew. */
  readonly overdue?: boolean;
}

interface Kept {
  readonly committed: readonly string[];
  readonly transactions: readonly Transaction[];
}

/** How far a storage commitment has come; kept with the delivery, so that a restart of ours goes on waiting. */
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

  /** What no open request asks for. */
  notAsked(sopInstanceUids: Iterable<string>): string[] {
    const asked = new Set(this.#transactions.filter((one) => !one.overdue).flatMap((one) => one.sopInstanceUids));
    return [...sopInstanceUids].filter((uid) => !asked.has(uid) && !this.committed.has(uid));
  }

  /** Keeps only what is to be verified, without what was sent anew: earlier answers were about other bytes. */
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
   * A transaction has been reported on: it ends, and older ones have no say on its instances any more.
   *
   * @returns those that have nothing left to say
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
