import { parsePutOff, type PutOffReason } from '@dicom-dispatch/state/feed';
import { redisKeys } from '@dicom-dispatch/state/keys';
import { joinCalls, type Redis } from '@dicom-dispatch/runtime';

const firstMs = 2_000;
const maxMs = 3_600_000;
/** Maximum accepted `Retry-After` of a source. */
const maxAskedMs = 86_400_000;
const maxStudies = 10_000;
const maxWords = 300;
const restoredAtOnce = 1_000;

/** Why a study is put off. */
export interface StudyFailure {
  readonly code: string;
  readonly message: string;
  readonly retryAfterMs?: number | undefined;
  /** When Orthanc first reported, without interruption, that it does not have the study. */
  readonly claimedAt?: number | undefined;
  /** Pause in milliseconds, instead of the increasing one. */
  readonly waitMs?: number | undefined;
  /** The study is still being read: no attempt has failed. */
  readonly isSlow?: boolean;
}

/** Stored data of a postponed study. */
export interface PutOffEntry {
  /** When it is tried again, by Redis TIME. */
  readonly dueAt: number;
  readonly tries: number;
  /** Code of the last error; undefined in entries of earlier versions. */
  readonly code: string | undefined;
  readonly claimedAt: number | undefined;
}

/**
 * Studies of one source that cannot be routed for a reason specific to them, stored in Redis until they can be, or were
 * deleted. They are read again after increasing pauses, and not earlier on any request.
 */
export class PutOff {
  readonly #redis: Redis;
  readonly #dueKey: string;
  readonly #whyKey: string;
  readonly #now: () => number;
  readonly #dueAt = joinCalls((ids: readonly string[]) => this.#redis.zmscore(this.#dueKey, ...ids));

  constructor(redis: Redis, prefix: string, source: string, now: () => number) {
    const keys = redisKeys(prefix);
    this.#redis = redis;
    this.#dueKey = keys.feedLater(source);
    this.#whyKey = keys.feedLaterWhy(source);
    this.#now = now;
  }

  async read(orthancStudyId: string): Promise<PutOffEntry | undefined> {
    const dueAt = await this.#dueAt(orthancStudyId);
    if (dueAt === null) return undefined;
    const text = await this.#redis.hget(this.#whyKey, orthancStudyId);
    const { tries = 0, code, claimedAt } = parsePutOff(text);
    return { dueAt: Number(dueAt), tries, code, claimedAt };
  }

  /** Which of the studies are postponed and not due. */
  async notDue(orthancStudyIds: readonly string[]): Promise<ReadonlySet<string>> {
    if (orthancStudyIds.length === 0) return new Set();
    const scores = await this.#redis.zmscore(this.#dueKey, ...orthancStudyIds);
    const now = this.#now();
    return new Set(orthancStudyIds.filter((_, at) => scores[at] !== null && Number(scores[at]) > now));
  }

  /**
   * Postpones a study, longer each time.
   *
   * @returns when it is tried again; undefined if too many are postponed, so that the next sweep handles it
   */
  async add(orthancStudyId: string, failure: StudyFailure): Promise<number | undefined> {
    const known = await this.#redis.hget(this.#whyKey, orthancStudyId);
    if (known === null && (await this.#redis.zcard(this.#dueKey)) >= maxStudies) return undefined;
    const now = this.#now();
    const { tries = 0, since = now } = parsePutOff(known);
    const growing = Math.min(maxMs, firstMs * 2 ** Math.min(tries, 20));
    const waitMs = failure.waitMs ?? Math.max(growing, Math.min(failure.retryAfterMs ?? 0, maxAskedMs));
    const { code, claimedAt } = failure;
    const message = failure.message.slice(0, maxWords);
    const why: PutOffReason = {
      tries: failure.isSlow ? tries : tries + 1,
      since,
      code,
      message,
      ...(claimedAt !== undefined && { claimedAt }),
    };
    await this.#redis
      .multi()
      .zadd(this.#dueKey, now + waitMs, orthancStudyId)
      .hset(this.#whyKey, orthancStudyId, JSON.stringify(why))
      .exec();
    return now + waitMs;
  }

  async remove(orthancStudyId: string): Promise<void> {
    await this.#redis.multi().zrem(this.#dueKey, orthancStudyId).hdel(this.#whyKey, orthancStudyId).exec();
  }

  /** Ids of the studies that are due, earliest first. */
  async due(max: number): Promise<string[]> {
    const [times, reasons] = await Promise.all([this.#redis.zcard(this.#dueKey), this.#redis.hlen(this.#whyKey)]);
    if (times < reasons) await this.#restore();
    return this.#redis.zrangebyscore(this.#dueKey, '-inf', this.#now(), 'LIMIT', 0, max);
  }

  /** Restores lost times. If only the times were lost, and not the reasons, postponed studies are tried now. */
  async #restore(): Promise<void> {
    const ids = await this.#redis.hkeys(this.#whyKey);
    const now = this.#now();
    for (let from = 0; from < ids.length; from += restoredAtOnce) {
      const part = ids.slice(from, from + restoredAtOnce);
      await this.#redis.zadd(this.#dueKey, 'NX', ...part.flatMap((id) => [now, id]));
    }
  }
}
