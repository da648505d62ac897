import { redisKeys } from '@dicom-dispatch/state/keys';
import type { Redis } from '@dicom-dispatch/runtime';
import { unfinished, type StudyNote } from './notes.ts';

/** What is kept of a recovery is of use until its studies have been routed again, or are old. */
const keptMs = 90 * 86_400_000;
const batch = 500;

/** What the notes say of one study. */
export interface SettledStudy {
  /** Its LastUpdate when all its deliveries had ended: with this one it is not sent again. */
  readonly lastUpdate: string | undefined;
  /** Targets and groups whose deliveries had not ended: only they get it again. Empty: all had. */
  readonly only: readonly string[];
  /** By Redis TIME. */
  readonly routedAt: number;
}

/** What was known of the studies of one source before Redis lost its data, for as long as they are not routed anew. */
export class SettledStudies {
  readonly #redis: Redis;
  readonly #key: string;

  constructor(redis: Redis, prefix: string, source: string) {
    this.#redis = redis;
    this.#key = redisKeys(prefix).settled(source);
  }

  async write(studies: ReadonlyMap<string, StudyNote>): Promise<void> {
    const all = Array.from(studies, ([id, note]) => [id, JSON.stringify(toSettled(note))] as const);
    for (let from = 0; from < all.length; from += batch) {
      await this.#redis.hset(this.#key, Object.fromEntries(all.slice(from, from + batch)));
    }
    if (all.length > 0) await this.#redis.pexpire(this.#key, keptMs);
  }

  async read(orthancStudyIds: readonly string[]): Promise<(SettledStudy | undefined)[]> {
    if (orthancStudyIds.length === 0) return [];
    const texts = await this.#redis.hmget(this.#key, ...orthancStudyIds);
    return texts.map((text) => (text === null ? undefined : (JSON.parse(text) as SettledStudy)));
  }

  /** All as notes, for a router that has not seen how they were routed. */
  async notes(): Promise<Map<string, StudyNote>> {
    const all = await this.#redis.hgetall(this.#key);
    return new Map(
      Object.entries(all).map(([id, text]) => {
        const { lastUpdate, only, routedAt } = JSON.parse(text) as SettledStudy;
        const deliveries = only.map((target) => ({ id: '', target, group: undefined, state: 'waiting' }));
        return [id, { lastUpdate, routedAt, deliveries }];
      }),
    );
  }

  async forget(orthancStudyId: string): Promise<void> {
    await this.#redis.hdel(this.#key, orthancStudyId);
  }
}

function toSettled(note: StudyNote): SettledStudy {
  const open = unfinished(note);
  const only = open.flatMap(({ target, group }) => (group ? [target, group] : [target]));
  return { lastUpdate: note.lastUpdate, only, routedAt: note.routedAt };
}
