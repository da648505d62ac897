/** No report waits longer than this for those of other instances. */
const maxTogetherMs = 50;

/**
 * Reports of the instances of a small part of a study, written together: one call stores their confirmations. A lane does not
 * wait for the report of its instance, unless `max` instances are in transit or not yet reported.
 */
export class ReportsTogether {
  readonly #max: number;
  /** Number of instances that have not been sent yet. */
  #left: number;
  #inTransit = 0;
  #writing = 0;
  #held: (() => Promise<void>)[] = [];
  #timer: NodeJS.Timeout | undefined;
  #blocked: (() => void)[] = [];
  #written: Promise<void> = Promise.resolve();
  readonly #failed: (thrown: unknown) => void;

  /**
   * @param count - number of instances
   * @param max - maximum number of instances in transit or not yet reported
   * @param failed - called when a report fails
   */
  constructor(count: number, max: number, failed: (thrown: unknown) => void) {
    this.#left = count;
    this.#max = max;
    this.#failed = failed;
  }

  /** Resolves when the lane may send an instance. */
  async begin(): Promise<void> {
    while (this.#inTransit + this.#held.length + this.#writing >= this.#max) {
      await new Promise<void>((resolve) => this.#blocked.push(resolve));
    }
    this.#inTransit += 1;
  }

  /** The instance is no longer in transit. @param report - writes its report; undefined if there is none */
  end(report: (() => Promise<void>) | undefined): void {
    this.#inTransit -= 1;
    if (report) {
      this.#held.push(report);
      this.#timer ??= setTimeout(() => this.#write(), maxTogetherMs);
    }
    this.skip();
  }

  /** An instance has ended, or was not sent at all. */
  skip(): void {
    this.#left -= 1;
    if (this.#inTransit > 0) return;
    if (this.#left === 0 || this.#held.length + this.#writing >= this.#max) this.#write();
  }

  /** Resolves when everything is reported. */
  async finish(): Promise<void> {
    this.#write();
    await this.#written;
  }

  #write(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const reports = this.#held.splice(0);
    if (reports.length === 0) return;
    this.#writing += reports.length;
    const writing = Promise.all(reports.map((report) => report().catch(this.#failed))).then(() => {
      this.#writing -= reports.length;
      for (const resolve of this.#blocked.splice(0)) resolve();
    });
    this.#written = Promise.all([this.#written, writing]).then(() => {});
  }
}
