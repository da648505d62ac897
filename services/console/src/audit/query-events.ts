import type { Logger, Redis } from '@dicom-dispatch/runtime';
import { redisKeys } from '@dicom-dispatch/state/keys';
import { z } from 'zod';
import type { ConsoleKeys } from '../security/console-keys.ts';

const keptEvents = 10_000;
const keptMs = 30 * 86_400_000;
const sealed = z.object({ text: z.string() });

/** A search of the sources. */
export interface QueryEvent {
  readonly id: string;
  readonly at: number;
  readonly who: string;
  readonly address: string;
  /** The search text; undefined if it can no longer be decrypted. */
  readonly text: string | undefined;
}

/**
 * Searches for an audit record repository, in a Redis stream of limited length. A search may name a patient: it is encrypted, and
 * can be decrypted for 30 days.
 */
export class QueryEvents {
  readonly #redis: Redis;
  readonly #key: string;
  readonly #keys: ConsoleKeys;
  readonly #log: Logger;

  constructor(redis: Redis, prefix: string, keys: ConsoleKeys, log: Logger) {
    this.#redis = redis;
    this.#key = redisKeys(prefix).auditQueries;
    this.#keys = keys;
    this.#log = log;
  }

  async note({ who, address, text }: Pick<QueryEvent, 'who' | 'address'> & { readonly text: string }): Promise<void> {
    const data = this.#keys.seal('audit-query', { text: text.slice(0, 1000) }, keptMs);
    try {
      await this.#redis.xadd(this.#key, 'MAXLEN', '~', keptEvents, '*', 'who', who, 'address', address, 'sealed', data);
    } catch (error) {
      this.#log.error({ err: error }, 'a search was not recorded for the audit record repository');
    }
  }

  decode(id: string, flat: readonly string[]): QueryEvent {
    const fields: Record<string, string> = {};
    for (let at = 0; at + 1 < flat.length; at += 2) fields[flat[at] ?? ''] = flat[at + 1] ?? '';
    const opened = sealed.safeParse(this.#keys.open('audit-query', fields['sealed'] ?? ''));
    return {
      id,
      at: Number(id.split('-')[0]),
      who: fields['who'] ?? '',
      address: fields['address'] ?? '',
      text: opened.success ? opened.data.text : undefined,
    };
  }
}
