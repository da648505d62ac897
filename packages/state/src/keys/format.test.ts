import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { redisNow } from '../redis/index.ts';
import { backupOf, checkFormat, currentFormat, FormatError, migrations, openFormat, redisKeys } from './index.ts';
import { markPossibleLosses } from './mark-possible-losses.ts';
import type { StepContext } from './step-context.ts';

const prefix = '{format}';
const keys = redisKeys(prefix);
let server: RedisServer;
let redis: Redis;

beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = new Redis(server.url);
});
beforeEach(() => redis.flushall());
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

it('an empty Redis gets the format of this version, each step in its order, and the lock is released', async () => {
  const steps: number[] = [];
  expect(await openFormat(redis, prefix, { onStep: ({ to }) => steps.push(to) })).toEqual({
    version: currentFormat,
    found: undefined,
  });
  expect(steps).toEqual(migrations.map(({ to }) => to));
  expect(currentFormat).toBe(migrations.at(-1)?.to);
  expect(await redis.get(keys.format)).toBe(String(currentFormat));
  expect(await redis.exists(keys.formatLock)).toBe(0);
  // Ledgers of earlier deliveries are folded in the background.
  expect(await redis.get(keys.ledgerFolding)).toBe('');
  expect(await openFormat(redis, prefix, { onStep: ({ to }) => steps.push(to) })).toEqual({
    version: currentFormat,
    found: currentFormat,
  });
  expect(steps.length).toBe(migrations.length);
});

it('only the steps after the found format are executed, each with its format and its mark', async () => {
  await redis.set(keys.format, 2);
  const steps: number[] = [];
  const own = [1, 2, 3, 4].map((to) => ({
    to,
    what: `step ${to}`,
    async run() {
      steps.push(to);
      expect(await redis.mget(keys.format, keys.formatPending)).toEqual([String(to), String(to)]);
      // The lock is renewed for each step.
      expect(await redis.pttl(keys.formatLock)).toBeGreaterThan(30_000);
      await redis.pexpire(keys.formatLock, 20_000);
    },
  }));
  await openFormat(redis, prefix, { migrations: own });
  expect(steps).toEqual([3, 4]);
  expect(await redis.keys('*')).toEqual([keys.format]);
});

it('a step that was interrupted is completed at the next start, and commands refuse the data until then', async () => {
  await redis.set(keys.format, currentFormat);
  await redis.set(keys.formatPending, currentFormat);
  await expect(checkFormat(redis, prefix)).rejects.toThrow(
    `the data in Redis are being migrated to format ${currentFormat}, or this was interrupted: start the services`,
  );
  const steps: number[] = [];
  const state = await openFormat(redis, prefix, { onStep: ({ to }) => steps.push(to) });
  expect(state).toEqual({ version: currentFormat, found: currentFormat - 1 });
  expect(steps).toEqual([currentFormat]);
  expect(await redis.keys('*')).toEqual([keys.format]);
  await checkFormat(redis, prefix);
});

it('a step during which the lock was lost counts as interrupted, and the lock of another process stays', async () => {
  await redis.set(keys.format, 1);
  const ran: (string | null)[] = [];
  const takenBy = (ms: number) => redis.set(keys.formatLock, 'of another', 'PX', ms);
  const step = {
    to: 2,
    what: 'step 2',
    async run(_redis: Redis, _prefix: string, context?: StepContext) {
      ran.push(await redis.get(keys.formatPending));
      await redis.pexpire(keys.formatLock, 30_000);
      await context?.renew();
      expect(await redis.pttl(keys.formatLock)).toBeGreaterThan(30_000);
      if (ran.length > 2) return;
      await takenBy(300);
      // Within the step, and at its end.
      if (ran.length === 1) await context?.renew();
    },
  };
  await openFormat(redis, prefix, { migrations: [step] });
  expect(ran).toEqual(['2', '2', '2']);
  expect(await redis.keys('*')).toEqual([keys.format]);
  const failing = {
    to: 3,
    what: 'step 3',
    async run() {
      await takenBy(600_000);
      throw new Error('broken');
    },
  };
  await expect(openFormat(redis, prefix, { migrations: [failing] })).rejects.toThrow('broken');
  expect(await redis.get(keys.formatLock)).toBe('of another');
});

it('the format is read again with the lock, and never becomes lower', async () => {
  await redis.set(keys.format, 1);
  await redis.set(keys.formatLock, 'of another');
  const steps: number[] = [];
  const own = [2, 3].map((to) => ({
    to,
    what: `step ${to}`,
    async run() {
      steps.push(to);
    },
  }));
  // The other process completes step 2 between the look at the format and the lock.
  const slow = new Proxy(redis, {
    get(of, name) {
      if (name !== 'set') return Reflect.get(of, name) as unknown;
      return async (...args: Parameters<Redis['set']>) => {
        await of.set(keys.format, 2);
        await of.del(keys.formatLock);
        return of.set(...args);
      };
    },
  });
  await openFormat(slow, prefix, { migrations: own });
  expect(steps).toEqual([3]);
  // A mark that was left beside a higher format.
  await redis.set(keys.format, 3);
  await redis.set(keys.formatPending, 2);
  await openFormat(redis, prefix, { migrations: own });
  expect(steps).toEqual([3, 2, 3]);
  expect(await redis.get(keys.format)).toBe('3');
});

it('nothing is migrated or read while a backup is being restored', async () => {
  await redis.set(keys.restoring, 'backup-7');
  for (const act of [openFormat(redis, prefix), checkFormat(redis, prefix)]) {
    const failed = await act.then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(failed).toBeInstanceOf(FormatError);
    expect(failed).toMatchObject({
      name: 'FormatError',
      message: expect.stringContaining('the backup backup-7 is being restored') as string,
    });
  }
  expect(await redis.exists(keys.format)).toBe(0);
});

it('does not begin a step if a service of an older version has been started since the last look', async () => {
  await redis.set(keys.format, 1);
  const run = vi.fn(async () => undefined);
  const opened = openFormat(redis, prefix, {
    migrations: [{ to: 2, what: 'a test', run }],
    onStep: () => {
      void redis.set(keys.process('late'), JSON.stringify({ services: ['router'], host: 'east', pid: 9, format: 1 }));
      void redis.zadd(keys.processes, Date.now() + 600_000, 'late');
    },
  });
  await expect(opened).rejects.toThrow('services of an older version run: router on east (process 9)');
  expect(run).not.toHaveBeenCalled();
  // The next start runs the step.
  expect(await redis.get(keys.formatPending)).toBe('2');
  await redis.zrem(keys.processes, 'late');
  await openFormat(redis, prefix, { migrations: [{ to: 2, what: 'a test', run }] });
  expect(run).toHaveBeenCalledOnce();
  expect(await redis.exists(keys.formatPending)).toBe(0);
});

it('the step of possible losses fails if a record cannot be read, instead of passing over it', async () => {
  await redis.zadd(keys.index('state:delivered'), 1, 'd-wrong');
  await redis.set(keys.delivery('d-wrong'), 'no hash');
  await expect(markPossibleLosses(redis, prefix)).rejects.toThrow('WRONGTYPE');
});

it('services of an older version count as running for 20 seconds after their last beat', async () => {
  await redis.set(keys.format, currentFormat - 1);
  // Beats that are in the future remain recent on a slow machine.
  const later = 600_000;
  const run = async (id: string, inMs: number, about: object | undefined) => {
    await redis.zadd(keys.processes, (await redisNow(redis, prefix)) + inMs, id);
    if (about) await redis.set(keys.process(id), JSON.stringify(about));
  };
  await run('gone', later, undefined);
  await run('ended', -20_001, { services: ['console'], host: 'west', pid: 1 });
  await openFormat(redis, prefix);
  await redis.set(keys.format, currentFormat - 1);
  // One of before there were formats.
  await run('first', later, { services: ['router', 'console'], host: 'east', pid: 7 });
  await run('second', later, { host: 'north', pid: 8, format: 1 });
  const refused = expect.stringMatching(
    /^services of an older version run: .*router and console on east \(process 7\).*\. Stop them first: this version migrates/,
  ) as string;
  await expect(openFormat(redis, prefix)).rejects.toMatchObject({ message: refused });
  await expect(openFormat(redis, prefix)).rejects.toThrow('on north (process 8)');
  await expect(openFormat(redis, prefix)).rejects.not.toThrow('west');
});

it('a possible loss is marked in every state, and in all of many deliveries', async () => {
  const notice = 'the target shows only one of both';
  const states = [
    'waiting',
    'active',
    'delivered',
    'partial',
    'failed',
    'source-gone',
    'cancelled',
    'moved',
    'resolved',
  ];
  for (const state of states) {
    await redis.zadd(keys.index(`state:${state}`), 1, `d-${state}`);
    await redis.hset(keys.delivery(`d-${state}`), 'notice', notice);
  }
  const many = Array.from({ length: 700 }, (_, index) => `d-many-${index}`);
  await redis.zadd(keys.index('state:delivered'), ...many.flatMap((id) => [1, id]));
  await Promise.all(many.map((id) => redis.hset(keys.delivery(id), 'notice', notice)));
  await redis.zadd(keys.index('state:delivered'), 1, 'd-without', 1, 'd-gone');
  await redis.hset(keys.delivery('d-without'), 'state', 'delivered');
  await markPossibleLosses(redis, prefix);
  for (const id of [...states.map((state) => `d-${state}`), ...many]) {
    expect(await redis.hget(keys.delivery(id), 'mayBeLost'), id).toBe('true');
  }
  expect(await redis.hexists(keys.delivery('d-without'), 'mayBeLost')).toBe(0);
  expect(await redis.exists(keys.delivery('d-gone'))).toBe(0);
});

it('each key of a backup is read in its part, and others are read with their study or not at all', () => {
  expect(backupOf('ledger-folding')).toBe('first');
  expect(backupOf('batch-todo:b-1')).toBe('first');
  expect(backupOf('priors:main:o-1')).toBe('before');
  expect(backupOf('task:s-1')).toBe('last');
  expect(backupOf('uids:0a1b')).toBe('last');
  for (const name of ['delivery:d-1', 'ledger:main:o-1:pacs:0', 'lease:main', 'held', 'unknown', 'task', 'task:a:b']) {
    expect(backupOf(name), name).toBeUndefined();
  }
});
