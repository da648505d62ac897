import { OrthancError } from '@dicom-dispatch/orthanc';
import { skewLimitMs, type Logger } from '@dicom-dispatch/runtime';
import { SourceClock, type OrthancClient } from '@dicom-dispatch/sources';
import type { SourceStatus } from '@dicom-dispatch/state/feed';

/** How long a reading of the source's clock is valid. */
const askEveryMs = 20_000;
/** How long a router may have been stopped before the first reading. */
const awayMs = 60_000;

/** The clock of one source, kept up to date; reports when it differs from that of Redis, and when it jumps. */
export class SourceTime {
  readonly #source: string;
  readonly #clock = new SourceClock();
  readonly #redisNow: () => number;
  readonly #log: Logger;
  #askedAt = Number.NEGATIVE_INFINITY;
  #isSkewed = false;
  #isSilent = false;
  #jump: SourceStatus['jump'];
  #unseenMs = awayMs;

  constructor(source: string, redisNow: () => number, log: Logger) {
    this.#source = source;
    this.#redisNow = redisNow;
    this.#log = log;
  }

  /** How far it is ahead of Redis; undefined before the first reading. */
  get skewMs(): number | undefined {
    const now = this.#clock.now();
    return now === undefined ? undefined : Math.round(now - this.#redisNow());
  }

  /** The last time it was set. */
  get jump(): SourceStatus['jump'] {
    return this.#jump;
  }

  /** How long before the latest reading its clock may have been set. */
  get unseenMs(): number {
    return this.#unseenMs;
  }

  /** @throws OrthancError if the source cannot be queried, and was not before */
  async now(orthanc: OrthancClient, signal: AbortSignal): Promise<number> {
    if (performance.now() - this.#askedAt > askEveryMs) await this.#ask(orthanc, signal);
    // A source that hides its clock is assumed to agree with Redis.
    return this.#clock.now() ?? this.#redisNow();
  }

  async #ask(orthanc: OrthancClient, signal: AbortSignal): Promise<void> {
    try {
      const { jumpMs } = await this.#clock.ask(orthanc, { signal });
      const now = performance.now();
      this.#unseenMs = Number.isFinite(this.#askedAt) ? now - this.#askedAt : awayMs;
      this.#askedAt = now;
      this.#isSilent = false;
      this.#note(jumpMs);
    } catch (error) {
      if (signal.aborted || !isHidden(error)) throw error;
      this.#askedAt = performance.now();
      if (!this.#isSilent) this.#log.warn({ source: this.#source }, 'the source does not report its time (/tools/now)');
      this.#isSilent = true;
    }
  }

  #note(jumpMs: number): void {
    if (Math.abs(jumpMs) > skewLimitMs) {
      this.#jump = { ms: Math.round(jumpMs), at: this.#redisNow() };
      this.#log.warn({ source: this.#source, jumpMs: Math.round(jumpMs) }, 'the clock of the source has jumped');
    }
    const skewMs = this.skewMs ?? 0;
    const isSkewed = Math.abs(skewMs) > skewLimitMs;
    if (isSkewed === this.#isSkewed) return;
    this.#isSkewed = isSkewed;
    const facts = { source: this.#source, skewMs };
    if (isSkewed) this.#log.warn(facts, 'the clock of the source and the clock of Redis differ');
    else this.#log.info(facts, 'the clock of the source agrees with the clock of Redis again');
  }
}

/** Whether the source hides its clock: a proxy may forbid the request. Unavailability of a source is reported elsewhere. */
function isHidden(error: unknown): boolean {
  return error instanceof OrthancError && ['not-found', 'forbidden', 'bad-request'].includes(error.code);
}
