import { OrthancError, type OrthancClient, type SeriesPlace } from '@dicom-dispatch/orthanc';
import type { Logger, Redis } from '@dicom-dispatch/runtime';
import { redisKeys } from '@dicom-dispatch/state/keys';
import { defineScript } from '@dicom-dispatch/state/redis';

/** Maximum number of instances per lookup request. */
const atOnce = 500;
const probeMs = 5_000;
/** Retention after the last arrival. */
const keptMs = 90 * 86_400_000;

/**
 * KEYS: the studies. ARGV: study and number of its change, of each.
 * A study that was reported again meanwhile has a higher number, and stays.
 */
const removeScript = defineScript(`
for i = 1, #ARGV, 2 do
  if redis.call('ZSCORE', KEYS[1], ARGV[i]) == ARGV[i + 1] then redis.call('ZREM', KEYS[1], ARGV[i]) end
end
`);

/** An arrived instance, by its change in the feed. */
export interface MisdatedInstance {
  readonly orthancInstanceId: string;
  readonly seq: number;
}

/**
 * Studies of one source that received instances while its clock was set back: their dates are before the time from which the
 * source is routed, or from which it is followed; the numbers of their changes are not. The sweep, which only has dates,
 * checks them regardless of their dates, and they do not wait behind studies that existed before.
 */
export class MisdatedStudies {
  readonly #redis: Redis;
  readonly #key: string;
  readonly #source: string;
  readonly #log: Logger;
  readonly #series = new Map<string, SeriesPlace>();

  constructor(redis: Redis, prefix: string, source: string, log: Logger) {
    this.#redis = redis;
    this.#key = redisKeys(prefix).misdated(source);
    this.#source = source;
    this.#log = log;
  }

  /** @throws OrthancError if the source cannot be queried */
  async note(orthanc: OrthancClient, came: readonly MisdatedInstance[], signal: AbortSignal): Promise<void> {
    for (let from = 0; from < came.length; from += atOnce) {
      const part = came.slice(from, from + atOnce);
      const ids = part.map(({ orthancInstanceId }) => orthancInstanceId);
      const studies = await this.#studiesOf(orthanc, ids, signal);
      const seq = Math.max(...part.map((one) => one.seq));
      if (studies.length === 0) continue;
      await this.#redis
        .multi()
        .zadd(this.#key, 'GT', ...studies.flatMap((id) => [seq, id]))
        .pexpire(this.#key, keptMs)
        .exec();
    }
  }

  /** Whether a study arrived later than its dates show. */
  async has(orthancStudyId: string): Promise<boolean> {
    return (await this.#redis.zscore(this.#key, orthancStudyId)) !== null;
  }

  /** Orthanc's ids of the studies, with the number of the last change of each. */
  async all(): Promise<ReadonlyMap<string, string>> {
    const found = await this.#redis.zrange(this.#key, '0', '-1', 'WITHSCORES');
    const studies = new Map<string, string>();
    for (let at = 0; at < found.length; at += 2) studies.set(found[at] ?? '', found[at + 1] ?? '');
    return studies;
  }

  /** Removes studies that have been routed, in the state when `all` was read. */
  async routed(studies: readonly (readonly [orthancStudyId: string, seq: string])[]): Promise<void> {
    if (studies.length > 0) await removeScript.run(this.#redis, [this.#key], studies.flat());
  }

  async #studiesOf(orthanc: OrthancClient, ids: readonly string[], signal: AbortSignal): Promise<string[]> {
    try {
      const found = await orthanc.arrivedInstances('instances', ids, this.#series, { signal });
      return [...new Set(found.map(({ studyId }) => studyId))];
    } catch (error) {
      if (signal.aborted || !(error instanceof OrthancError)) throw error;
      await orthanc.system({ timeoutMs: probeMs, signal });
      // One of the instances cannot be read: it must not stop the feed, which has the studies when they are stable.
      this.#log.warn(
        { source: this.#source, err: error },
        'instances that arrived with an early date could not be read',
      );
      return [];
    } finally {
      if (this.#series.size > 10_000) this.#series.clear();
    }
  }
}
