import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { noCounts, TargetAudits, type AuditFinding, type TargetAudit } from './index.ts';

const prefix = '{audits}';
let server: RedisServer;
let redis: Redis;
let audits: TargetAudits;

beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = new Redis(server.url);
  audits = new TargetAudits(redis, prefix);
});
beforeEach(() => redis.flushall());
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

function audit(more: Partial<TargetAudit> = {}): TargetAudit {
  return {
    id: 'a-1',
    target: 'pacs',
    by: 'otto',
    scope: { sample: 1, content: false },
    startedAt: 1,
    state: 'running',
    counts: { ...noCounts, studies: 3 },
    open: { studies: 0, missing: 0, different: 0, extra: 0 },
    ...more,
  };
}

function finding(missing: number, different: number, extra: number): AuditFinding {
  return {
    auditId: 'a-1',
    at: 1,
    source: 'main',
    orthancStudyId: 'o-1',
    studyInstanceUid: '1.2.3',
    deliveryId: 'd-1',
    missing: [],
    missingCount: missing,
    different: [],
    differentCount: different,
    extra: [],
    extraCount: extra,
  };
}

it('a request replaces an earlier one of its target, and is removed only as it was read', async () => {
  const stop = { kind: 'stop', by: 'otto' } as const;
  const send = { kind: 'send', by: 'anna', study: '1.2.3' } as const;
  expect(await audits.asked()).toEqual(new Map());
  await audits.ask('pacs', stop);
  await audits.ask('pacs', send);
  await audits.ask('cloud', stop);
  expect(await audits.asked()).toEqual(
    new Map<string, object>([
      ['pacs', send],
      ['cloud', stop],
    ]),
  );
  await audits.take('pacs', stop);
  expect((await audits.asked()).get('pacs')).toEqual(send);
  await audits.take('pacs', send);
  expect([...(await audits.asked()).keys()]).toEqual(['cloud']);
});

it('one process at a time audits a target, for a minute at a time', async () => {
  expect(await audits.isLeased('pacs')).toBe(false);
  expect(await audits.lease('pacs', 'one')).toBe(true);
  expect(await audits.isLeased('pacs')).toBe(true);
  expect(await audits.lease('pacs', 'two')).toBe(false);
  expect(await audits.lease('cloud', 'two')).toBe(true);
  await redis.pexpire(`${prefix}:target-audit-lease:pacs`, 30_000);
  expect(await audits.renew('pacs', 'two')).toBe(false);
  expect(await redis.pttl(`${prefix}:target-audit-lease:pacs`)).toBeLessThanOrEqual(30_000);
  expect(await audits.renew('pacs', 'one')).toBe(true);
  expect(await redis.pttl(`${prefix}:target-audit-lease:pacs`)).toBeGreaterThan(30_000);
  expect(await redis.pttl(`${prefix}:target-audit-lease:pacs`)).toBeLessThanOrEqual(60_000);
  await audits.release('pacs', 'two');
  expect(await audits.isLeased('pacs')).toBe(true);
  await audits.release('pacs', 'one');
  expect(await audits.lease('pacs', 'two')).toBe(true);
  expect(await audits.renew('pacs', 'one')).toBe(false);
});

it('progress and findings are written by the process with the lease only, together', async () => {
  await audits.lease('pacs', 'one');
  expect(await audits.read('pacs')).toBeUndefined();
  expect(await audits.save(audit(), 'two', [['s-1', finding(1, 0, 0)]])).toBe(false);
  expect(await redis.dbsize()).toBe(1);
  const changes = [
    ['s-1', finding(1, 2, 3)],
    ['s-2', finding(10, 20, 30)],
    ['s-3', finding(0, 0, 1)],
  ] as const;
  expect(await audits.save(audit(), 'one', changes)).toBe(true);
  expect(await audits.read('pacs')).toEqual(audit());
  expect(await audits.all()).toEqual(new Map([['pacs', audit()]]));
  expect(await audits.findings('pacs')).toEqual(new Map(changes));
  expect(await audits.finding('pacs', 's-2')).toEqual(finding(10, 20, 30));
  expect(await audits.finding('pacs', 's-9')).toBeUndefined();
  expect(await audits.open('pacs')).toEqual({ studies: 3, missing: 11, different: 22, extra: 34 });
  // A study without findings any more.
  expect(await audits.save(audit(), 'one', [['s-2', undefined]])).toBe(true);
  expect([...(await audits.findings('pacs')).keys()].sort()).toEqual(['s-1', 's-3']);
  expect(await audits.open('cloud')).toEqual({ studies: 0, missing: 0, different: 0, extra: 0 });
  expect(await audits.history('pacs')).toEqual([]);
});

it('audits that have ended are listed, the newest first, at most 100', async () => {
  await audits.lease('pacs', 'one');
  for (let number = 1; number <= 101; number += 1) {
    const ended = audit({ id: `a-${number}`, state: 'done' });
    expect(await audits.save(ended, 'one', [], { isEnd: true })).toBe(true);
  }
  const ids = (await audits.history('pacs')).map(({ id }) => id);
  expect([ids.length, ids[0], ids.at(-1)]).toEqual([100, 'a-101', 'a-2']);
  expect(await redis.llen(`${prefix}:target-audit-history:pacs`)).toBe(100);
});

it('an audit of an older version has a zero for each count that it lacks', async () => {
  const { counts: _, ...older } = audit();
  await redis.hset(`${prefix}:target-audits`, 'pacs', JSON.stringify({ ...older, counts: { studies: 7 } }));
  await redis.lpush(`${prefix}:target-audit-history:pacs`, JSON.stringify({ ...older, counts: { studies: 8 } }));
  expect((await audits.read('pacs'))?.counts).toEqual({ ...noCounts, studies: 7 });
  expect((await audits.all()).get('pacs')?.counts).toEqual({ ...noCounts, studies: 7 });
  expect((await audits.history('pacs'))[0]?.counts).toEqual({ ...noCounts, studies: 8 });
});

it('without Redis is a fault of the ledger', async () => {
  const away = new Redis({ host: '127.0.0.1', port: 1, lazyConnect: true, retryStrategy: () => null });
  away.on('error', () => {});
  const unknown = new TargetAudits(away, prefix);
  for (const act of [
    () => unknown.asked(),
    () => unknown.lease('pacs', 'one'),
    () => unknown.renew('pacs', 'one'),
    () => unknown.save(audit(), 'one'),
    () => unknown.read('pacs'),
    () => unknown.history('pacs'),
  ]) {
    await expect(act()).rejects.toMatchObject({
      code: 'ledger-unavailable',
      message: 'Redis did not answer for an audit',
      cause: expect.any(Error),
    });
  }
  away.disconnect();
});
