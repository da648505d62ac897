import { performance } from 'node:perf_hooks';
import type { DeliveryProgress, DispatchError, Stage } from '@dicom-dispatch/core';

/** Receives the progress of an attempt: `update` at most once in `intervalMs`, changes of the stage immediately. */
export interface ProgressSink {
  update(progress: DeliveryProgress, addBytesSent: number): Promise<void>;
  entered(stage: Stage): void;
  /** A stage has ended, or the attempt ended in it. */
  left(stage: Stage, durationMs: number): void;
  quarantined(sopInstanceUid: string, error: DispatchError): void;
  /** Resolves when more may be sent. */
  throttle(bytes: number): Promise<void> | undefined;
}

const intervalMs = 500;
/** Longer while a study arrives: each report costs as much as an instance. */
const arrivingIntervalMs = 5_000;
const stagesAtTarget: ReadonlySet<Stage> = new Set(['transfer', 'verify', 'finalize']);

/** Counts the progress of an attempt, and reports it without slowing the transfer. */
export class DeliveryProgressTracker {
  readonly #sink: ProgressSink;
  readonly #attempt: number;
  #stage: Stage = 'resolve';
  /** When the stage was entered, on the clock of the process; undefined before the first and after the end. */
  #stageSince: number | undefined;
  readonly #durationsMs = new Map<Stage, number>();
  #total = 0;
  #confirmed = 0;
  #quarantined = 0;
  #sharedUids = 0;
  #replacedUnknown = 0;
  #existing = 0;
  #bytesSent = 0;
  #bytesTold = 0;
  #gained = 0;
  #isReached = false;
  #timer: NodeJS.Timeout | undefined;
  #intervalMs = intervalMs;
  #writing: Promise<void> = Promise.resolve();

  constructor(sink: ProgressSink, attempt: number) {
    this.#sink = sink;
    this.#attempt = attempt;
  }

  get stage(): Stage {
    return this.#stage;
  }

  get bytesSent(): number {
    return this.#bytesSent;
  }

  /** Duration of each completed stage of the attempt. */
  get durationsMs(): ReadonlyMap<Stage, number> {
    return this.#durationsMs;
  }

  /** Instances that were confirmed in this attempt, without those that were lost again. */
  get gained(): number {
    return this.#gained;
  }

  /** Whether the attempt got past connecting. */
  get isReached(): boolean {
    return this.#isReached;
  }

  get counts(): { total: number; confirmed: number; quarantined: number } {
    return { total: this.#total, confirmed: this.#confirmed, quarantined: this.#quarantined };
  }

  /** Instances that share their SOP Instance UID with another one of the manifest. */
  get sharedUids(): number {
    return this.#sharedUids;
  }

  /** Instances that replaced other content which this delivery's study had not sent. */
  get replacedUnknown(): number {
    return this.#replacedUnknown;
  }

  /** Instances that the target already had, according to its responses. */
  get existing(): number {
    return this.#existing;
  }

  enter(stage: Stage): void {
    if (stage === this.#stage && stage !== 'resolve') return;
    this.#leave();
    this.#stage = stage;
    if (stagesAtTarget.has(stage)) this.#isReached = true;
    this.#stageSince = performance.now();
    this.#sink.entered(stage);
    this.#soon();
  }

  begin(total: number, confirmed: number, quarantined: number, sharedUids = 0): void {
    this.#sharedUids = sharedUids;
    this.#total = total;
    this.#confirmed = confirmed;
    this.#quarantined = quarantined;
    this.#soon();
  }

  /** The following stages take as long as the reception of the study: progress is reported less often. */
  arrives(): void {
    this.#intervalMs = arrivingIntervalMs;
  }

  /** More instances have arrived of a study that is still being received. */
  grow(count: number): void {
    this.#total += count;
    this.#soon();
  }

  confirmed(): void {
    this.#confirmed += 1;
    this.#gained += 1;
    this.#soon();
  }

  replacesUnknown(): void {
    this.#replacedUnknown += 1;
  }

  existed(): void {
    this.#existing += 1;
  }

  revoked(): void {
    this.#confirmed -= 1;
    this.#gained -= 1;
    this.#soon();
  }

  quarantined(sopInstanceUid: string, error: DispatchError): void {
    this.#quarantined += 1;
    this.#sink.quarantined(sopInstanceUid, error);
    this.#soon();
  }

  sent(bytes: number): Promise<void> | undefined {
    this.#bytesSent += bytes;
    return this.#sink.throttle(bytes);
  }

  /** Reports the last state and ends; nothing is reported afterwards. */
  async end(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#leave();
    await this.#writing;
    await this.#write();
    clearTimeout(this.#timer);
  }

  #leave(): void {
    if (this.#stageSince === undefined) return;
    const ms = performance.now() - this.#stageSince;
    this.#durationsMs.set(this.#stage, (this.#durationsMs.get(this.#stage) ?? 0) + ms);
    this.#sink.left(this.#stage, ms);
    this.#stageSince = undefined;
  }

  #soon(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#writing = this.#writing.then(() => this.#write());
    }, this.#intervalMs);
  }

  async #write(): Promise<void> {
    const added = this.#bytesSent - this.#bytesTold;
    this.#bytesTold = this.#bytesSent;
    await this.#sink.update(
      {
        stage: this.#stage,
        attempt: this.#attempt,
        total: this.#total,
        confirmed: this.#confirmed,
        quarantined: this.#quarantined,
        bytesSent: this.#bytesSent,
      },
      added,
    );
  }
}
