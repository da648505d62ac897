import type { ChainableCommander } from 'ioredis';
import { redisKeys } from '../keys/redis-keys.ts';
import { indexDelivery, indexStudy } from '../records/index-records.ts';
import type { PriorsStep } from '../priors/index.ts';
import type { RedisClient } from '../redis/redis-client.ts';
import type { KeyEntry, StudyEntry } from './key-entry.ts';

/** Arguments in one command. */
const atOnce = 1_000;

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

/**
 * Puts keys of a backup back.
 *
 * @param now - by the clock of Redis: what has expired since stays away
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
    } else if (entry.name.startsWith('priors:')) {
      for (const member of openPriors(entry)) pipeline.zadd(index('priors'), now, member);
    }
  }
  await run(pipeline);
}

/** Puts studies of a backup back, with their deliveries and the indexes by which they are found. */
export async function writeStudies(
  redis: RedisClient,
  prefix: string,
  studies: readonly StudyEntry[],
  now: number,
): Promise<void> {
  const keys = redisKeys(prefix);
  const pipeline = redis.pipeline();
  for (const { source, orthancStudyId, held, keys: entries } of studies) {
    const studyName = keys.study(source, orthancStudyId).slice(prefix.length + 1);
    for (const entry of entries) {
      writeKey(pipeline, prefix, entry, now);
      if (entry.name === studyName) indexStudy(pipeline, prefix, utf8(entry.values[0] ?? ''));
      else if (entry.name.startsWith('delivery:')) {
        indexDelivery(pipeline, prefix, fieldsOf(entry), held.includes(entry.name.slice('delivery:'.length)));
      }
    }
    if (held.length > 0) pipeline.sadd(keys.held, ...held);
  }
  await run(pipeline);
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

/** Member, score, … as ZADD wants them. */
function scoresFirst(part: readonly Buffer[]): Buffer[] {
  return part.map((_, at) => part[at ^ 1] as Buffer);
}

/** Members of the index of priors that are not all sent yet; fields with a space say more of a step. */
function openPriors(entry: KeyEntry): string[] {
  return Object.entries(fieldsOf(entry)).flatMap(([id, text]) => {
    if (id.includes(' ')) return [];
    const { source, orthancStudyId, state } = JSON.parse(text) as PriorsStep;
    return state === 'done' ? [] : [`${source} ${orthancStudyId} ${id}`];
  });
}

function fieldsOf({ values }: KeyEntry): Record<string, string> {
  const fields: Record<string, string> = {};
  for (let at = 0; at < values.length; at += 2) fields[utf8(values[at] ?? '')] = utf8(values[at + 1] ?? '');
  return fields;
}

function utf8(text: string): string {
  return bytes(text).toString('utf8');
}

async function run(pipeline: ChainableCommander): Promise<void> {
  for (const [error] of (await pipeline.exec()) ?? []) if (error) throw error;
}
