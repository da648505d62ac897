import type { ChainableCommander } from 'ioredis';
import { redisKeys } from '../keys/redis-keys.ts';
import { indexDamagedDelivery, indexDamagedStudy, indexDelivery, indexStudy } from '../records/index-records.ts';
import type { RedisClient } from '../redis/redis-client.ts';
import type { KeyEntry, StudyEntry } from './key-entry.ts';

/** Arguments in one command. */
const atOnce = 1_000;

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

/**
 * Restores keys of a backup.
 *
 * @param now - by the clock of Redis: keys that have expired since are not restored
 */
export async function writeKeys(
  redis: RedisClient,
  prefix: string,
  entries: readonly KeyEntry[],
  now: number,
): Promise<void> {
  const pipeline = redis.pipeline();
  for (const entry of entries) {
    writeKey(pipeline, prefix, entry, now);
    const { index } = redisKeys(prefix);
    if (entry.name.startsWith('task:') && fieldsOf(entry)['state'] !== 'done') {
      pipeline.zadd(index('tasks'), now, entry.name.slice('task:'.length));
    }
  }
  await run(pipeline);
}

/**
 * Restores studies of a backup, with their deliveries and the indexes by which they are found. If a study occurs twice,
 * the first one is restored: otherwise the indexes would contain it under two states. Damaged records are restored as they
 * are, and entered in those indexes that do not depend on their content.
 *
 * @returns keys of damaged records
 */
export async function writeStudies(
  redis: RedisClient,
  prefix: string,
  studies: readonly StudyEntry[],
  now: number,
): Promise<string[]> {
  const keys = redisKeys(prefix);
  const there = redis.pipeline();
  for (const { source, orthancStudyId } of studies) there.exists(keys.study(source, orthancStudyId));
  const answers = await run(there);
  const written = new Set<string>();
  const damaged: string[] = [];
  const pipeline = redis.pipeline();
  for (const [at, study] of studies.entries()) {
    const { source, orthancStudyId, held, keys: entries } = study;
    const studyName = keys.study(source, orthancStudyId).slice(prefix.length + 1);
    if (answers[at] === 1 || written.has(studyName)) continue;
    written.add(studyName);
    for (const entry of entries) writeKey(pipeline, prefix, entry, now);
    damaged.push(...indexEntries(pipeline, prefix, study, now));
    if (held.length > 0) pipeline.sadd(keys.held, ...held);
  }
  await run(pipeline);
  return damaged;
}

/** @returns keys of damaged records */
function indexEntries(
  pipeline: ChainableCommander,
  prefix: string,
  { source, orthancStudyId, held, keys: entries }: StudyEntry,
  now: number,
): string[] {
  const keys = redisKeys(prefix);
  const study = { source, orthancStudyId };
  const damaged: string[] = [];
  const uids = new Set<string>();
  for (const entry of entries) {
    if (!entry.name.startsWith('delivery:')) continue;
    const id = entry.name.slice('delivery:'.length);
    const fields = fieldsOf(entry);
    try {
      const record = indexDelivery(pipeline, prefix, id, fields, held.includes(id));
      if (record) uids.add(record.studyInstanceUid);
    } catch {
      damaged.push(keys.delivery(id));
      indexDamagedDelivery(pipeline, prefix, id, { state: fields['state'], now });
    }
  }
  const studyKey = keys.study(source, orthancStudyId);
  const record = entries.find(({ name }) => `${prefix}:${name}` === studyKey);
  if (!record) return damaged;
  try {
    indexStudy(pipeline, prefix, study, utf8(record.values[0] ?? ''));
  } catch {
    damaged.push(studyKey);
    indexDamagedStudy(pipeline, prefix, study, { uids, now });
  }
  return damaged;
}

function writeKey(
  pipeline: ChainableCommander,
  prefix: string,
  { name, type, expiresAt, values }: KeyEntry,
  now: number,
): void {
  if (expiresAt !== null && expiresAt <= now) return;
  const key = `${prefix}:${name}`;
  pipeline.unlink(key);
  if (type === 'stream') writeStream(pipeline, key, values);
  else if (type === 'string') pipeline.set(key, bytes(values[0] ?? ''));
  else {
    for (let from = 0; from < values.length; from += atOnce) {
      const part = values.slice(from, from + atOnce).map(bytes);
      if (type === 'hash') pipeline.call('HSET', key, ...part);
      else if (type === 'list') pipeline.rpush(key, ...part);
      else if (type === 'set') pipeline.sadd(key, ...part);
      else pipeline.call('ZADD', key, ...scoresFirst(part));
    }
  }
  if (expiresAt !== null) pipeline.pexpireat(key, expiresAt);
}

function writeStream(pipeline: ChainableCommander, key: string, values: readonly string[]): void {
  for (let at = 0; at < values.length;) {
    const count = Number(values[at + 1]);
    pipeline.call('XADD', key, values[at] ?? '', ...values.slice(at + 2, at + 2 + count).map(bytes));
    at += 2 + count;
  }
}

/** Member, score, … as arguments of ZADD. */
function scoresFirst(part: readonly Buffer[]): Buffer[] {
  return part.map((_, at) => part[at ^ 1] as Buffer);
}

function fieldsOf({ values }: KeyEntry): Record<string, string> {
  const fields: Record<string, string> = {};
  for (let at = 0; at < values.length; at += 2) fields[utf8(values[at] ?? '')] = utf8(values[at + 1] ?? '');
  return fields;
}

function utf8(text: string): string {
  return bytes(text).toString('utf8');
}

/** @returns the reply to each command. @throws the first error among the replies */
export async function run(pipeline: ChainableCommander): Promise<unknown[]> {
  const answers = (await pipeline.exec()) ?? [];
  for (const [error] of answers) if (error) throw error;
  return answers.map(([, answer]) => answer);
}
