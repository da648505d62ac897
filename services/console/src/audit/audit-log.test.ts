import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { connectRedis, createLogger, type Redis } from '@dicom-dispatch/runtime';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AuditLog, verifyAudit, type AuditFacts } from './index.ts';

const log = createLogger('console', { level: 'fatal', format: 'json' });
const prefix = '{audit-test}';
let server: RedisServer;
let redis: Redis;
let settings = { keep: 0, maxEntries: 100_000 };
beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = connectRedis(server.url, 'test', log);
});
beforeEach(async () => {
  await redis.flushall();
  settings = { keep: 0, maxEntries: 100_000 };
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

const open = (): AuditLog => new AuditLog(redis, prefix, log, () => settings);
const facts = (action: string): AuditFacts => ({
  who: 'ada',
  role: 'administrator',
  action,
  subject: 'pacs',
  outcome: 'done',
  detail: '',
  address: '127.0.0.1',
});
const verify = async (audit: AuditLog) => verifyAudit(audit.all(), await audit.head());

describe('the chain of the audit log', () => {
  it('is consistent if several consoles write at the same time', async () => {
    const consoles = [open(), open(), open()];
    await Promise.all(Array.from({ length: 90 }, (_, count) => consoles[count % 3]!.write(facts(`act ${count}`))));
    expect(await verify(open())).toMatchObject({ entries: 90, unchained: 0, broken: [] });
  });

  it.each<[string, (ids: string[]) => Promise<unknown>]>([
    ['an entry was removed', (ids) => redis.xdel(`${prefix}:audit`, ids[3]!)],
    ['the end was cut off', (ids) => redis.xdel(`${prefix}:audit`, ...ids.slice(7))],
    [
      'an entry was changed',
      async () => {
        const all = await redis.xrange(`${prefix}:audit`, '-', '+');
        await redis.del(`${prefix}:audit`);
        for (const [id, fields] of all) {
          await redis.xadd(`${prefix}:audit`, id, ...fields.map((one) => (one === 'act 5' ? 'another act' : one)));
        }
      },
    ],
  ])('tells that %s', async (_, tamper) => {
    const audit = open();
    for (let count = 0; count < 10; count += 1) await audit.write(facts(`act ${count}`));
    expect((await verify(audit)).broken).toEqual([]);
    const ids = (await redis.xrange(`${prefix}:audit`, '-', '+')).map(([id]) => id);
    await tamper(ids);
    expect((await verify(audit)).broken.length).toBeGreaterThan(0);
  });

  it('shows a truncated end to the owner of a hash, also if all of Redis was rewritten', async () => {
    const audit = open();
    for (let count = 0; count < 5; count += 1) await audit.write(facts(`act ${count}`));
    const kept = (await audit.head())!;
    await redis.flushall();
    for (let count = 0; count < 3; count += 1) await audit.write(facts(`act ${count}`));
    expect((await verify(audit)).broken).toEqual([]);
    expect((await verifyAudit(audit.all(), kept)).broken).toMatchObject([
      { reason: expect.stringContaining('was removed') },
    ]);
  });

  it('begins after entries of versions without hashes', async () => {
    await redis.xadd(`${prefix}:audit`, '1-1', ...Object.entries(facts('old')).flat());
    const audit = open();
    await audit.write(facts('new'));
    expect(await verify(audit)).toMatchObject({ entries: 2, unchained: 1, broken: [] });
  });

  it('holds after old entries were removed for their age and their number', async () => {
    settings = { keep: 3_600_000, maxEntries: 1000 };
    const audit = open();
    for (let count = 0; count < 1300; count += 1) await audit.write(facts(`act ${count}`));
    const verdict = await verify(audit);
    expect(verdict.entries).toBeLessThan(1300);
    expect(verdict.entries).toBeGreaterThanOrEqual(1000);
    expect(verdict.broken).toEqual([]);
    settings = { keep: 1, maxEntries: 1000 };
    for (let count = 0; count < 300; count += 1) await audit.write(facts(`later ${count}`));
    expect((await verify(audit)).entries).toBeLessThan(700);
    expect((await verify(audit)).broken).toEqual([]);
  });

  it('stores no control characters, and only texts of limited length', async () => {
    const audit = open();
    await audit.write({ ...facts('x'), subject: '\u001b[2J\u0007gone', detail: 'y'.repeat(5000) });
    const [entry] = await audit.read({ limit: 1 });
    expect(entry?.subject).toBe(' [2J gone');
    expect(entry?.detail.length).toBe(500);
  });
});
