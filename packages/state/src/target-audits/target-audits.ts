import { DispatchError } from '@dicom-dispatch/core';
import { redisKeys } from '../keys/index.ts';
import { defineScript, withDeadline, type RedisClient } from '../redis/index.ts';
import { noCounts, type AuditFinding, type AuditWish, type OpenFindings, type TargetAudit } from './audit-types.ts';

const timeoutMs = 10_000;
const leaseMs = 60_000;
const maxKept = 100;

/** KEYS: lease. ARGV: token, ms. Returns 1 if it was renewed. */
const renewScript = defineScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
`);

/** KEYS: lease. ARGV: token. */
const releaseScript = defineScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
`);

/**
 * Writes the progress of an audit, and its findings, while the lease is held.
 * KEYS: lease, audits, findings, history. ARGV: token, target, audit, 1 if it has ended, maximum number kept, then for
 * each finding its field and text, '' removes it. Returns 1 if it was written.
 */
const saveScript = defineScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
for i = 6, #ARGV, 2 do
  if ARGV[i + 1] == '' then redis.call('HDEL', KEYS[3], ARGV[i]) else redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1]) end
end
if ARGV[4] == '1' then
  redis.call('LPUSH', KEYS[4], ARGV[3])
  redis.call('LTRIM', KEYS[4], 0, tonumber(ARGV[5]) - 1)
end
return 1
`);

/** KEYS: requests. ARGV: target, text. Removes the request if it has not changed. */
const takenScript = defineScript(`
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then redis.call('HDEL', KEYS[1], ARGV[1]) end
return 1
`);

/** A change of an audit's findings: the field of a study, and the finding; undefined if the study has no findings. */
export type FindingChange = readonly [field: string, finding: AuditFinding | undefined];

/**
 * Audits of targets: requests of operators, progress and findings. One process at a time audits a
 * target, with a lease. Every method throws DispatchError `ledger-unavailable` if Redis fails or does not respond.
 */
export class TargetAudits {
  readonly #redis: RedisClient;
  readonly #keys: ReturnType<typeof redisKeys>;

  constructor(redis: RedisClient, prefix: string) {
    this.#redis = redis;
    this.#keys = redisKeys(prefix);
  }

  /** Stores a request, and replaces one that was not taken yet. */
  async ask(target: string, wish: AuditWish): Promise<void> {
    await ask(this.#redis.hset(this.#keys.targetAuditsAsked, target, JSON.stringify(wish)));
  }

  /** The requests that were not taken yet, by target. */
  async asked(): Promise<Map<string, AuditWish>> {
    return parsed<AuditWish>(await ask(this.#redis.hgetall(this.#keys.targetAuditsAsked)));
  }

  async take(target: string, wish: AuditWish): Promise<void> {
    await ask(takenScript.run(this.#redis, [this.#keys.targetAuditsAsked], [target, JSON.stringify(wish)]));
  }

  /** The running or last audit of each target. */
  async all(): Promise<Map<string, TargetAudit>> {
    const texts = await ask(this.#redis.hgetall(this.#keys.targetAudits));
    return new Map(Object.entries(texts).map(([name, text]) => [name, parseAudit(text)]));
  }

  async read(target: string): Promise<TargetAudit | undefined> {
    const text = await ask(this.#redis.hget(this.#keys.targetAudits, target));
    return text === null ? undefined : parseAudit(text);
  }

  /** Audits that have ended, the newest first. */
  async history(target: string): Promise<TargetAudit[]> {
    const texts = await ask(this.#redis.lrange(this.#keys.targetAuditHistory(target), 0, maxKept - 1));
    return texts.map(parseAudit);
  }

  /** The findings, by the field of the study. */
  async findings(target: string): Promise<Map<string, AuditFinding>> {
    return parsed<AuditFinding>(await ask(this.#redis.hgetall(this.#keys.targetAuditFindings(target))));
  }

  /** The findings of one study. */
  async finding(target: string, field: string): Promise<AuditFinding | undefined> {
    const text = await ask(this.#redis.hget(this.#keys.targetAuditFindings(target), field));
    return text === null ? undefined : (JSON.parse(text) as AuditFinding);
  }

  async open(target: string): Promise<OpenFindings> {
    const all = [...(await this.findings(target)).values()];
    const sum = (count: (finding: AuditFinding) => number): number => all.reduce((total, one) => total + count(one), 0);
    return {
      studies: all.length,
      missing: sum(({ missingCount }) => missingCount),
      different: sum(({ differentCount }) => differentCount),
      extra: sum(({ extraCount }) => extraCount),
    };
  }

  /** @returns whether this process may audit the target for a minute */
  async lease(target: string, token: string): Promise<boolean> {
    return (await ask(this.#redis.set(this.#keys.targetAuditLease(target), token, 'PX', leaseMs, 'NX'))) === 'OK';
  }

  /** Whether any process audits the target now. */
  async isLeased(target: string): Promise<boolean> {
    return (await ask(this.#redis.exists(this.#keys.targetAuditLease(target)))) === 1;
  }

  /** @returns false when another process has it */
  async renew(target: string, token: string): Promise<boolean> {
    return (await ask(renewScript.run(this.#redis, [this.#keys.targetAuditLease(target)], [token, leaseMs]))) === 1;
  }

  async release(target: string, token: string): Promise<void> {
    await ask(releaseScript.run(this.#redis, [this.#keys.targetAuditLease(target)], [token]));
  }

  /**
   * Writes the progress of an audit, and changes of its findings.
   *
   * @param isEnd - the audit has ended now, and is added to the history
   * @returns false if another process has the lease: then nothing was written
   */
  async save(
    audit: TargetAudit,
    token: string,
    changes: readonly FindingChange[] = [],
    { isEnd = false } = {},
  ): Promise<boolean> {
    const { target } = audit;
    const { targetAudits, targetAuditLease, targetAuditFindings, targetAuditHistory } = this.#keys;
    const keys = [targetAuditLease(target), targetAudits, targetAuditFindings(target), targetAuditHistory(target)];
    const fields = changes.flatMap(([field, finding]) => [field, finding ? JSON.stringify(finding) : '']);
    const args = [token, target, JSON.stringify(audit), isEnd ? '1' : '0', maxKept, ...fields];
    return (await ask(saveScript.run(this.#redis, keys, args))) === 1;
  }
}

/** Parses an audit; one of an older version may lack some counts. */
function parseAudit(text: string): TargetAudit {
  const audit = JSON.parse(text) as TargetAudit;
  return { ...audit, counts: { ...noCounts, ...audit.counts } };
}

function parsed<T>(fields: Readonly<Record<string, string>>): Map<string, T> {
  return new Map(Object.entries(fields).map(([name, text]) => [name, JSON.parse(text) as T]));
}

async function ask<T>(answer: Promise<T>): Promise<T> {
  try {
    return await withDeadline(answer, timeoutMs);
  } catch (cause) {
    throw new DispatchError('ledger-unavailable', 'Redis did not answer for an audit', { cause });
  }
}
