import type { ChainableCommander } from 'ioredis';
import { redisKeys } from '../keys/redis-keys.ts';
import { decodeDelivery } from './delivery-codec.ts';
import { addPlace, hashPlace, uidPlace } from './lookup.ts';
import type { StudyKey } from './record-reader.ts';
import { decodeStudy } from './stored-form.ts';

/**
 * Adds a study with a restored record to the indexes, like `routedScript`.
 *
 * @param text - its record in the stored form
 */
export function indexStudy(pipeline: ChainableCommander, prefix: string, key: StudyKey, text: string): void {
  const { index } = redisKeys(prefix);
  const study = decodeStudy(text, key);
  const { source, orthancStudyId, studyInstanceUid, routedAt, rules } = study;
  const member = `${source} ${orthancStudyId}`;
  pipeline.zadd(index('studies'), routedAt, member);
  addPlace(pipeline, uidPlace(prefix, studyInstanceUid, member));
  pipeline.zadd(index(`studies-source:${source}`), routedAt, member);
  for (const rule of rules) pipeline.zadd(index(`studies-rule:${rule}`), routedAt, member);
  for (const hash of study.search?.hashes ?? []) addPlace(pipeline, hashPlace(prefix, hash, member));
}

/**
 * Adds a delivery with a restored record to the indexes, like `changeScript`. The next reconciliation checks open ones,
 * oldest first, because they have no job.
 */
export function indexDelivery(
  pipeline: ChainableCommander,
  prefix: string,
  deliveryId: string,
  fields: Readonly<Record<string, string>>,
  isHeld: boolean,
): void {
  const { index } = redisKeys(prefix);
  for (const record of decodeDelivery(fields, deliveryId)) {
    const { deliveryId: id, state, target, source, rules, error, failStage, updatedAt, routedAt, since, wake } = record;
    const isKeptBack = isHeld || wake === 'person' || wake === 'schedule';
    pipeline.zadd(index(`state:${state}`), updatedAt, id);
    pipeline.zadd(index(`target:${target}:${state}`), updatedAt, id);
    pipeline.zadd(index(`source:${source}`), updatedAt, id);
    for (const rule of rules) pipeline.zadd(index(`rule:${rule}`), updatedAt, id);
    if (state === 'waiting' && !isKeptBack) pipeline.zadd(index(`waiting:${target}`), since, id);
    if (state === 'waiting' || state === 'active') pipeline.zadd(index('open'), routedAt, id);
    if (!error) continue;
    const name = [target, state, failStage ?? error.stage, error.code].join(' ');
    pipeline.zadd(index(`error:${name}`), updatedAt, id);
    pipeline.sadd(index('errors'), name);
  }
}
