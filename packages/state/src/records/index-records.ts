import type { ChainableCommander } from 'ioredis';
import { redisKeys } from '../keys/redis-keys.ts';
import { decodeDelivery } from './delivery-codec.ts';
import { addPlace, hashPlace, uidPlace } from './lookup.ts';
import { memberOf, type StudyKey } from './record-reader.ts';
import type { DeliveryRecord } from './record-types.ts';
import { decodeStudy } from './stored-form.ts';

/**
 * Adds a study with a restored record to the indexes, like `routedScript`.
 *
 * @param text - its record in the stored form
 * @throws SyntaxError if it is damaged: then use {@link indexDamagedStudy}
 */
export function indexStudy(pipeline: ChainableCommander, prefix: string, key: StudyKey, text: string): void {
  const { index } = redisKeys(prefix);
  const study = decodeStudy(text, key);
  const { source, studyInstanceUid, routedAt, rules } = study;
  const member = memberOf(key);
  pipeline.zadd(index('studies'), routedAt, member);
  addPlace(pipeline, uidPlace(prefix, studyInstanceUid, member));
  pipeline.zadd(index(`studies-source:${source}`), routedAt, member);
  for (const rule of rules) pipeline.zadd(index(`studies-rule:${rule}`), routedAt, member);
  for (const hash of study.search?.hashes ?? []) addPlace(pipeline, hashPlace(prefix, hash, member));
}

/**
 * Adds a study with a damaged record to those indexes in which it is found without its content.
 *
 * @param uids - Study Instance UIDs that its deliveries have
 */
export function indexDamagedStudy(
  pipeline: ChainableCommander,
  prefix: string,
  key: StudyKey,
  { uids, now }: { readonly uids: Iterable<string>; readonly now: number },
): void {
  const { index } = redisKeys(prefix);
  const member = memberOf(key);
  pipeline.zadd(index('studies'), now, member);
  pipeline.zadd(index(`studies-source:${key.source}`), now, member);
  for (const uid of uids) addPlace(pipeline, uidPlace(prefix, uid, member));
}

/** The same for a delivery whose data are damaged: reconciliation finds it by its state, and names it. */
export function indexDamagedDelivery(
  pipeline: ChainableCommander,
  prefix: string,
  deliveryId: string,
  { state = 'waiting', now }: { readonly state: string | undefined; readonly now: number },
): void {
  pipeline.zadd(redisKeys(prefix).index(`state:${state}`), now, deliveryId);
}

/**
 * Adds a delivery with a restored record to the indexes, like `changeScript`. The next reconciliation checks open ones,
 * oldest first, because they have no job.
 *
 * @returns its record
 * @throws SyntaxError if it is damaged: then use {@link indexDamagedDelivery}
 */
export function indexDelivery(
  pipeline: ChainableCommander,
  prefix: string,
  deliveryId: string,
  fields: Readonly<Record<string, string>>,
  isHeld: boolean,
): DeliveryRecord | undefined {
  const { index } = redisKeys(prefix);
  const records = decodeDelivery(fields, deliveryId);
  for (const record of records) {
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
  return records[0];
}
