import { setTimeout } from 'node:timers/promises';
import type { ConsoleConfig } from '@dicom-dispatch/core';
import type { Logger, Redis } from '@dicom-dispatch/runtime';
import { redisKeys } from '@dicom-dispatch/state/keys';
import { bounded, chainHash, type AuditEntry, type AuditFacts } from './audit-entry.ts';

type Settings = ConsoleConfig['audit'];

/**
 * KEYS: entries, head. ARGV: hash of the head as it was read, hash of the new entry, oldest id that is kept, maximum number of
 * entries, then the fields of the new entry. Adds the entry; if another one was added in between, returns the hash of that one
 * instead.
 */
const appendScript = `
local head = redis.call('HGET', KEYS[2], 'hash') or ''
if head ~= ARGV[1] then return {head} end
local fields = {}
for i = 5, #ARGV do fields[#fields + 1] = ARGV[i] end
local id = redis.call('XADD', KEYS[1], '*', unpack(fields))
redis.call('XTRIM', KEYS[1], 'MINID', '~', ARGV[3])
redis.call('XTRIM', KEYS[1], 'MAXLEN', '~', ARGV[4])
redis.call('HSET', KEYS[2], 'hash', ARGV[2], 'id', id)
redis.call('HINCRBY', KEYS[2], 'count', 1)
return 1
`;
const maxTries = 200;
const maxPauseMs = 20;

/**
 * The audit log, in a Redis stream; also written to the log. Each entry has a hash of itself and the previous one, so that
 * a changed or removed entry is detected. Rejections and actions of unknown callers are not included: see `RefusedEvents`.
 */
export class AuditLog {
  readonly #redis: Redis;
  readonly #key: string;
  readonly #headKey: string;
  readonly #log: Logger;
  readonly #settings: () => Settings;
  #last: Promise<unknown> = Promise.resolve();

  constructor(redis: Redis, prefix: string, log: Logger, settings: () => Settings) {
    this.#redis = redis;
    this.#key = redisKeys(prefix).audit;
    this.#headKey = redisKeys(prefix).auditHead;
    this.#log = log;
    this.#settings = settings;
  }

  async write(facts: AuditFacts): Promise<void> {
    const entry = bounded(facts);
    this.#log.info({ audit: entry }, 'audit');
    // Sequentially: entries of one process never conflict with each other.
    const written = this.#last.then(() => this.#append(entry));
    this.#last = written.catch(() => {});
    await written;
  }

  /** Entries, the newest first. `before` is the id of the last entry of the previous page. */
  async read(options: { readonly before?: string; readonly limit: number }): Promise<AuditEntry[]> {
    const end = options.before === undefined ? '+' : `(${options.before}`;
    const found = await this.#redis.xrevrange(this.#key, end, '-', 'COUNT', options.limit);
    return found.map(([id, fields]) => decodeEntry(id, fields));
  }

  /** All entries, the oldest first. */
  async *all(after?: string): AsyncGenerator<AuditEntry> {
    let start = after === undefined ? '-' : `(${after}`;
    for (;;) {
      const page = await this.#redis.xrange(this.#key, start, '+', 'COUNT', 1000);
      for (const [id, fields] of page) yield decodeEntry(id, fields);
      const last = page.at(-1);
      if (!last || page.length < 1000) return;
      start = `(${last[0]}`;
    }
  }

  /** The expected newest entry. */
  async head(): Promise<{ readonly hash: string; readonly id: string } | undefined> {
    const { hash, id } = await this.#redis.hgetall(this.#headKey);
    return hash === undefined || id === undefined ? undefined : { hash, id };
  }

  async #append(entry: AuditFacts): Promise<void> {
    const { keep, maxEntries } = this.#settings();
    let before = (await this.#redis.hget(this.#headKey, 'hash')) ?? '';
    for (let attempt = 0; attempt < maxTries; attempt += 1) {
      const time = await this.#redis.time();
      const at = Number(time[0]) * 1000 + Math.floor(Number(time[1]) / 1000);
      const hash = chainHash(before, { at, ...entry });
      const fields = Object.entries({ at: String(at), ...entry, hash }).flat();
      const oldest = keep === 0 ? 0 : Math.max(0, at - keep);
      const answer = await this.#redis.eval(
        appendScript,
        2,
        this.#key,
        this.#headKey,
        before,
        hash,
        oldest,
        maxEntries,
        ...fields,
      );
      if (!Array.isArray(answer)) return;
      before = String(answer[0]);
      // A random pause, so that consoles that write at the same time do not conflict repeatedly.
      if (attempt > 2) await setTimeout(Math.random() * maxPauseMs);
    }
    throw new Error('the audit log could not be written: other consoles write continuously');
  }
}

export function decodeEntry(id: string, flat: readonly string[]): AuditEntry {
  const fields: Record<string, string> = {};
  for (let at = 0; at + 1 < flat.length; at += 2) fields[flat[at] ?? ''] = flat[at + 1] ?? '';
  return {
    id,
    at: Number(fields['at'] ?? id.split('-')[0]),
    who: fields['who'] ?? '',
    role: fields['role'] ?? '',
    action: fields['action'] ?? '',
    subject: fields['subject'] ?? '',
    outcome: (fields['outcome'] ?? 'done') as AuditEntry['outcome'],
    detail: fields['detail'] ?? '',
    address: fields['address'] ?? '',
    hash: fields['hash'] ?? '',
  };
}
