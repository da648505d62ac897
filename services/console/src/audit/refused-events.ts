import type { Logger, Redis, Registry } from '@dicom-dispatch/runtime';
import { redisKeys } from '@dicom-dispatch/state/keys';
import { Counter } from 'prom-client';
import { bounded, type AuditFacts } from './audit-entry.ts';

/** A rejected request, with the number of equal requests that the event represents. */
export interface RefusedEvent extends AuditFacts {
  readonly id: string;
  readonly at: number;
  readonly count: number;
}

const windowMs = 60_000;
/** Maximum number of different events per minute; further ones are counted as one. */
const maxKinds = 60;
const keptEvents = 20_000;

type Reason = 'not signed in' | 'forbidden' | 'too many' | 'sign-in failed';

/**
 * Rejections, and requests of unknown callers, stored separately from the audit log. An event is recorded when it first occurs,
 * and after a minute with the number of repetitions. So rejected requests neither displace entries of the audit log, nor fill
 * Redis.
 */
export class RefusedEvents {
  readonly #redis: Redis;
  readonly #key: string;
  readonly #log: Logger;
  readonly #counter: Counter;
  #seen = new Map<string, { readonly facts: AuditFacts; more: number }>();
  #others = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(redis: Redis, prefix: string, log: Logger, metrics: Registry) {
    this.#redis = redis;
    this.#key = redisKeys(prefix).refused;
    this.#log = log;
    this.#counter = new Counter({
      name: 'dispatch_console_refused_total',
      help: 'requests that the console refused, by reason',
      labelNames: ['reason'],
      registers: [metrics],
    });
  }

  count(reason: Reason): void {
    this.#counter.inc({ reason });
  }

  note(given: AuditFacts): void {
    const facts = bounded(given);
    const kind = JSON.stringify([facts.who, facts.action, facts.outcome, facts.detail, facts.address]);
    this.#timer ??= setTimeout(() => void this.flush(), windowMs).unref();
    const known = this.#seen.get(kind);
    if (known) {
      known.more += 1;
      return;
    }
    if (this.#seen.size >= maxKinds) {
      this.#others += 1;
      return;
    }
    this.#seen.set(kind, { facts, more: 0 });
    this.#log.info({ refused: facts }, 'refused');
    void this.#write(facts, 1);
  }

  /** Records the number of repetitions of the events since they were first recorded. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const seen = this.#seen;
    const others = this.#others;
    this.#seen = new Map();
    this.#others = 0;
    for (const { facts, more } of seen.values()) if (more > 0) await this.#write(facts, more);
    if (others > 0) {
      const none = { who: '', role: '', subject: '', detail: 'various kinds, counted together', address: '' };
      await this.#write({ ...none, action: 'various', outcome: 'refused' }, others);
    }
  }

  /** The newest first. */
  async read(limit: number): Promise<RefusedEvent[]> {
    const found = await this.#redis.xrevrange(this.#key, '+', '-', 'COUNT', limit);
    return found.map(([id, flat]) => decodeRefused(id, flat));
  }

  async #write(facts: AuditFacts, count: number): Promise<void> {
    const fields = Object.entries({ ...facts, count: String(count) }).flat();
    try {
      await this.#redis.xadd(this.#key, 'MAXLEN', '~', keptEvents, '*', ...fields);
    } catch (error) {
      this.#log.warn({ err: error }, 'refused event not stored');
    }
  }
}

export function decodeRefused(id: string, flat: readonly string[]): RefusedEvent {
  const fields: Record<string, string> = {};
  for (let at = 0; at + 1 < flat.length; at += 2) fields[flat[at] ?? ''] = flat[at + 1] ?? '';
  const text = (name: string): string => fields[name] ?? '';
  return {
    id,
    at: Number(id.split('-')[0]),
    who: text('who'),
    role: text('role'),
    action: text('action'),
    subject: text('subject'),
    outcome: text('outcome') as RefusedEvent['outcome'],
    detail: text('detail'),
    address: text('address'),
    count: Number(text('count') || 1),
  };
}
