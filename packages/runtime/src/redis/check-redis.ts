import type { Redis } from 'ioredis';
import { mastersOf } from './connect-redis.ts';
import { isForbidden, parseInfo } from './read-info.ts';

export interface RedisFinding {
  readonly severity: 'refused' | 'warning';
  readonly message: string;
}

/**
 * Whether this Redis is suitable for a ledger: its version, that it does not evict, that it persists its data. In a
 * Cluster every master is checked. Checks that the ACL user may not run are reported, and assumed to be passed.
 */
export async function checkRedis(redis: Redis): Promise<RedisFinding[]> {
  const masters = mastersOf(redis);
  const findings = await Promise.all(
    masters.map(async ({ address, redis: master }) => {
      const where = masters.length > 1 ? `${address}: ` : '';
      return (await checkMaster(master)).map(({ severity, message }) => ({ severity, message: where + message }));
    }),
  );
  return findings.flat();
}

/** Commands that queues, ledger and records need. */
const needed = [
  'EVAL',
  'EVALSHA',
  'SCRIPT',
  'XADD',
  'ZADD',
  'SUBSCRIBE',
  'PUBLISH',
  'MULTI',
  'SCAN',
  'BZPOPMIN',
  'UNLINK',
];

/** Commands that `rename-command` of redis.conf has removed. If an ACL forbids COMMAND, none are reported. */
async function missingCommands(redis: Redis): Promise<RedisFinding[]> {
  const found = (await redis.call('COMMAND', 'INFO', ...needed).catch(() => undefined)) as unknown[] | undefined;
  const missing = needed.filter((_, at) => found?.[at] === null);
  if (missing.length === 0) return [];
  const message = `it has no ${missing.join(', ')}: remove "rename-command" for these from its configuration`;
  return [{ severity: 'refused', message }];
}

async function checkMaster(redis: Redis): Promise<RedisFinding[]> {
  return [...(await missingCommands(redis)), ...(await checkInfo(redis))];
}

async function checkInfo(redis: Redis): Promise<RedisFinding[]> {
  let text: string;
  try {
    text = await redis.info();
  } catch (error) {
    if (!isForbidden(error)) throw error;
    return [
      {
        severity: 'warning',
        message:
          'its ACL user has no permission for INFO, so version, maxmemory-policy and persistence could not be checked: allow "+info", or check yourself that Redis is 6.2 or newer with "maxmemory-policy noeviction" and "appendonly yes"',
      },
    ];
  }
  const info = parseInfo(text);
  const findings: RedisFinding[] = [];
  const version = info.get('valkey_version') ?? info.get('redis_version') ?? '0';
  const [major = 0, minor = 0] = (info.get('redis_version') ?? '0').split('.').map(Number);
  if (major < 6 || (major === 6 && minor < 2)) {
    findings.push({ severity: 'refused', message: `Redis ${version} is too old: use 6.2 or newer, or Valkey` });
  }
  const policy = info.get('maxmemory_policy');
  if (policy !== undefined && policy !== 'noeviction') {
    findings.push({
      severity: info.get('maxmemory') === '0' ? 'warning' : 'refused',
      message: `maxmemory-policy is ${policy}, so Redis may delete queues and confirmations: set "maxmemory-policy noeviction"`,
    });
  }
  if (info.get('aof_enabled') !== '1') {
    findings.push({
      severity: 'warning',
      message:
        'append-only persistence is off, so a crash of Redis loses all data since its last snapshot: set "appendonly yes"',
    });
  }
  return findings;
}
