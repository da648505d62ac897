import type { SettledStudy } from '@dicom-dispatch/state/feed';
import { redisKeys } from '@dicom-dispatch/state/keys';
import { joinCalls, type Redis } from '@dicom-dispatch/runtime';
import { unfinished, type StudyNote } from './notes.ts';

const batch = 500;

/**
 * Studies of one source that are not sent again, or only in part, until they change: the state before Redis lost its
 * data, and studies that the source had before it was followed.
 */
export class SettledStudies {
  readonly #redis: Redis;
  readonly #key: string;
  readonly #textOf = joinCalls((ids: readonly string[]) => this.#redis.hmget(this.#key, ...ids));

  constructor(redis: Redis, prefix: string, source: string) {
    this.#redis = redis;
    this.#key = redisKeys(prefix).settled(source);
  }

  async write(studies: ReadonlyMap<string, StudyNote>): Promise<void> {
    const all = Array.from(studies, ([id, note]) => [id, JSON.stringify(toSettled(note))] as const);
    for (let from = 0; from < all.length; from += batch) {
      await this.#redis.hset(this.#key, Object.fromEntries(all.slice(from, from + batch)));
    }
    // A former version let the key expire: instances that had arrived would be sent again.
    await this.#redis.persist(this.#key);
  }

  /** Studies that the source had before it was followed: they are not routed until they change. */
  async leave(studies: readonly { readonly ID: string; readonly LastUpdate?: string | undefined }[]): Promise<void> {
    const note = (lastUpdate: string | undefined): StudyNote => ({ lastUpdate, routedAt: 0, deliveries: [] });
    await this.write(new Map(studies.map(({ ID, LastUpdate }) => [ID, note(LastUpdate)])));
  }

  async readOne(orthancStudyId: string): Promise<SettledStudy | undefined> {
    return parse(await this.#textOf(orthancStudyId));
  }

  async read(orthancStudyIds: readonly string[]): Promise<(SettledStudy | undefined)[]> {
    if (orthancStudyIds.length === 0) return [];
    const texts = await this.#redis.hmget(this.#key, ...orthancStudyIds);
    return texts.map(parse);
  }

  /** All as notes, for a router that has not seen their routing. */
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

function parse(text: string | null): SettledStudy | undefined {
  return text === null ? undefined : (JSON.parse(text) as SettledStudy);
}

function toSettled(note: StudyNote): SettledStudy {
  const open = unfinished(note);
  const only = open.flatMap(({ target, group }) => (group ? [target, group] : [target]));
  return { lastUpdate: note.lastUpdate, only, routedAt: note.routedAt };
}
