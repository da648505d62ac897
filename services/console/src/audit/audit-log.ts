import { redisKeys } from '@dicom-dispatch/state/keys';
import type { Redis } from '@dicom-dispatch/runtime';
import type { Logger } from '@dicom-dispatch/runtime';

const keptEntries = 200_000;

/** One thing that somebody did, or tried to do. No patient data. */
export interface AuditEntry {
  readonly id: string;
  /** ms since 1970 */
  readonly at: number;
  readonly who: string;
  readonly role: string;
  /** `retry`, `sign-in`, … */
  readonly action: string;
  /** What it was done to: the id of a delivery, the name of a target … */
  readonly subject: string;
  readonly outcome: 'done' | 'refused' | 'failed';
  readonly detail: string;
  readonly address: string;
}

/** Who did what, in a Redis stream; also written to the log, for those who keep logs elsewhere. */
export class AuditLog {
  readonly #redis: Redis;
  readonly #key: string;
  readonly #log: Logger;

  constructor(redis: Redis, prefix: string, log: Logger) {
    this.#redis = redis;
    this.#key = redisKeys(prefix).audit;
    this.#log = log;
  }

  async write(entry: Omit<AuditEntry, 'id' | 'at'>): Promise<void> {
    this.#log.info({ audit: entry }, 'audit');
    const fields = Object.entries(entry).flat();
    await this.#redis.xadd(this.#key, 'MAXLEN', '~', keptEntries, '*', ...fields);
  }

  /** The newest first. `before` is the id of the last entry of the page before. */
  async read(options: { readonly before?: string; readonly limit: number }): Promise<AuditEntry[]> {
    const end = options.before === undefined ? '+' : `(${options.before}`;
    const found = await this.#redis.xrevrange(this.#key, end, '-', 'COUNT', options.limit);
    return found.map(([id, fields]) => decode(id, fields));
  }

  /** All entries, the oldest first. */
  async *all(): AsyncGenerator<AuditEntry> {
    let start = '-';
    for (;;) {
      const page = await this.#redis.xrange(this.#key, start, '+', 'COUNT', 1000);
      for (const [id, fields] of page) yield decode(id, fields);
      const last = page.at(-1);
      if (!last || page.length < 1000) return;
      start = `(${last[0]}`;
    }
  }
}

function decode(id: string, flat: readonly string[]): AuditEntry {
  const fields: Record<string, string> = {};
  for (let at = 0; at + 1 < flat.length; at += 2) fields[flat[at] ?? ''] = flat[at + 1] ?? '';
  return {
    id,
    at: Number(id.split('-')[0]),
    who: fields['who'] ?? '',
    role: fields['role'] ?? '',
    action: fields['action'] ?? '',
    subject: fields['subject'] ?? '',
    outcome: (fields['outcome'] ?? 'done') as AuditEntry['outcome'],
    detail: fields['detail'] ?? '',
    address: fields['address'] ?? '',
  };
}
