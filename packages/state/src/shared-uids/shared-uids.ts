import { DispatchError } from '@dicom-dispatch/core';
import type { Redis } from 'ioredis';
import { redisKeys } from '../keys/redis-keys.ts';
import type { StudyKey } from '../records/record-reader.ts';
import { addNameScript, addScript, findScript, removeNameScript, removeScript } from './shared-uids-scripts.ts';
import { blocksOf, nameShard, studyHash } from './uid-block.ts';

/** Blocks in one call: well below a millisecond for Redis. */
const blocksAtOnce = 200;

/**
 * Studies that may share a SOP Instance UID, among all that were sent to targets that identify instances by this UID
 * alone. It returns candidates; their ledgers show what a target has (docs/decisions/0020-shared-uids.md).
 */
export class SharedUids {
  readonly #redis: Redis;
  readonly #prefix: string;

  constructor(redis: Redis, prefix: string) {
    this.#redis = redis;
    this.#prefix = prefix;
  }

  /**
   * Adds the instances of a study that targets have, and returns in the same step which other studies may have them: if
   * two are added at the same time, the call for the later one returns the other.
   *
   * @param uids - SOP Instance UIDs
   * @throws DispatchError `ledger-unavailable`
   */
  async add(study: StudyKey, uids: Iterable<string>): Promise<StudyKey[]> {
    return this.#others(study, uids, true);
  }

  /**
   * Returns which other studies may have some UIDs of a study, without adding it.
   *
   * @param uids - SOP Instance UIDs
   * @throws DispatchError `ledger-unavailable`
   */
  async find(study: StudyKey, uids: Iterable<string>): Promise<StudyKey[]> {
    return this.#others(study, uids, false);
  }

  async #others(study: StudyKey, uids: Iterable<string>, isAdded: boolean): Promise<StudyKey[]> {
    const member = memberOf(study);
    const hash = studyHash(member);
    const blocks = blocksOf(uids);
    const others = new Map<string, Buffer>();
    return asked(async () => {
      if (isAdded && blocks.length > 0) {
        await addNameScript.run(this.#redis, [this.#namesOf(hash)], [hash, member]);
      }
      for (let from = 0; from < blocks.length; from += blocksAtOnce) {
        const some = blocks.slice(from, from + blocksAtOnce);
        const found = await (isAdded ? addScript : findScript).runBuffer(
          this.#redis,
          some.map(({ bucket }) => this.#keys.uidBlocks(bucket)),
          [hash, ...some.flatMap((block) => [block.hash, block.low, block.high])],
        );
        for (const other of found as Buffer[]) others.set(other.toString('hex'), other);
      }
      const names = await Promise.all(
        Array.from(others.values(), (other) => this.#redis.hget(this.#namesOf(other), other as never)),
      );
      return names.flatMap((name) => (name ?? '').split('\n').flatMap(studyOf));
    });
  }

  /**
   * Removes the entries of a study.
   *
   * @throws DispatchError `ledger-unavailable`
   */
  async remove(study: StudyKey, uids: Iterable<string>): Promise<void> {
    const member = memberOf(study);
    const hash = studyHash(member);
    const blocks = blocksOf(uids);
    await asked(async () => {
      for (let from = 0; from < blocks.length; from += blocksAtOnce) {
        const some = blocks.slice(from, from + blocksAtOnce);
        await removeScript.run(
          this.#redis,
          some.map(({ bucket }) => this.#keys.uidBlocks(bucket)),
          [hash, ...some.map((block) => block.hash)],
        );
      }
      await removeNameScript.run(this.#redis, [this.#namesOf(hash)], [hash, member]);
    });
  }

  get #keys(): ReturnType<typeof redisKeys> {
    return redisKeys(this.#prefix);
  }

  #namesOf(hash: Buffer): string {
    return this.#keys.uidStudies(nameShard(hash));
  }
}

function memberOf({ source, orthancStudyId }: StudyKey): string {
  return `${source} ${orthancStudyId}`;
}

function studyOf(member: string): StudyKey[] {
  const [source, orthancStudyId] = member.split(' ');
  return source && orthancStudyId ? [{ source, orthancStudyId }] : [];
}

async function asked<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    throw new DispatchError('ledger-unavailable', 'Redis did not answer for a record', { cause: error });
  }
}
