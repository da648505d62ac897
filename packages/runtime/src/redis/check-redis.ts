import type { Redis } from 'ioredis';

export interface RedisFinding {
  readonly severity: 'refused' | 'warning';
  readonly message: string;
}

/**
 * Whether this Redis can be trusted with a ledger: its version, that it evicts nothing, that it keeps its data. Servers
 * that do not permit CONFIG are judged by INFO alone.
 */
export async function checkRedis(redis: Redis): Promise<RedisFinding[]> {
  const info = parseInfo(await redis.info());
  const findings: RedisFinding[] = [];
  const version = info.get('redis_version') ?? '0';
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major < 6 || (major === 6 && minor < 2)) {
    findings.push({ severity: 'refused', message: `Redis ${version} is too old: use 6.2 or newer, or Valkey` });
  }
  const policy = info.get('maxmemory_policy');
  if (policy !== undefined && policy !== 'noeviction') {
    findings.push({
      severity: info.get('maxmemory') === '0' ? 'warning' : 'refused',
      message: `maxmemory-policy is ${policy}, so Redis may throw away queues and confirmations: set "maxmemory-policy noeviction"`,
    });
  }
  if (info.get('aof_enabled') !== '1') {
    findings.push({
      severity: 'warning',
      message:
        'append-only persistence is off, so a crash of Redis loses what happened since its last snapshot: set "appendonly yes"',
    });
  }
  return findings;
}

function parseInfo(text: string): Map<string, string> {
  return new Map(
    text.split('\r\n').flatMap((line): [string, string][] => {
      const colon = line.indexOf(':');
      return colon > 0 ? [[line.slice(0, colon), line.slice(colon + 1)]] : [];
    }),
  );
}
