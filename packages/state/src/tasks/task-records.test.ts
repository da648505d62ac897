import type { StudyTaskData } from '@dicom-dispatch/core';
import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { redisNow } from '../redis/index.ts';
import { TaskRecords } from './task-records.ts';

let server: RedisServer;
let redis: Redis;
let tasks: TaskRecords;

beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = new Redis(server.url);
  tasks = new TaskRecords(redis, '{dicom-dispatch}');
});
beforeEach(() => redis.flushall());
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

it('is written once, tried until it succeeds, and then kept, unless another target is added', async () => {
  const data = { studyTaskId: 's-1', source: 'main', targets: ['a'] } as unknown as StudyTaskData;
  const error = {
    code: 'source-unreachable',
    stage: 'finalize',
    fault: 'source',
    message: 'away',
    remedy: 'x',
  } as const;
  expect(await tasks.open(data)).toBe(true);
  expect(await tasks.open({ ...data, targets: ['b'] })).toBe(false);
  expect(await tasks.read('s-1')).toMatchObject({ state: 'waiting', attempts: 0, data: { targets: ['a'] } });
  expect(await tasks.toBeLookedAt(Date.now(), 10)).toEqual([]);
  expect(await tasks.putOff('s-1', 30_000, error)).toBe(true);
  expect(await tasks.putOff('s-1', 60_000, error)).toBe(true);
  const put = await tasks.read('s-1');
  expect(put).toMatchObject({ state: 'due', attempts: 2, error });
  expect((put?.nextAttemptAt ?? 0) - Date.now()).toBeGreaterThan(50_000);
  expect(await tasks.overdue()).toHaveLength(1);
  expect(await tasks.toBeLookedAt(Date.now() + 300_000, 10)).toEqual(['s-1']);
  expect(await tasks.finish('s-1', ['label x'], ['metadata y: the source cannot do it'])).toBe(true);
  expect(await tasks.putOff('s-1', 1, error)).toBe(false);
  expect(await tasks.read('s-1')).toMatchObject({ state: 'done', done: ['label x'], error: undefined });
  expect(await tasks.toBeLookedAt(Date.now() + 300_000, 10)).toEqual([]);
  expect(await tasks.open(data)).toBe(false);
  expect(await tasks.open({ ...data, targets: ['a', 'b'] }, { again: true })).toBe(true);
  expect(await tasks.read('s-1')).toMatchObject({ state: 'waiting', attempts: 0, data: { targets: ['a', 'b'] } });
});

const task = (id: string) => ({ studyTaskId: id, source: 'main', targets: ['a'] }) as unknown as StudyTaskData;
const away = { code: 'source-unreachable', stage: 'finalize', fault: 'source', message: 'm', remedy: 'r' } as const;
const index = '{dicom-dispatch}:index:tasks';

it('has its first values until it is tried, and those of its end afterwards', async () => {
  await tasks.open(task('s-1'));
  expect(await tasks.read('s-1')).toEqual({
    data: task('s-1'),
    state: 'waiting',
    attempts: 0,
    nextAttemptAt: undefined,
    error: undefined,
    done: [],
    left: [],
    updatedAt: expect.any(Number) as number,
  });
  await tasks.putOff('s-1', 30_000.4, away);
  const before = await redisNow(redis, '{dicom-dispatch}');
  // An operator does not want to wait: this is no further attempt, and its error stays.
  expect(await tasks.wake('s-1')).toBe(true);
  const woken = await tasks.read('s-1');
  expect(woken).toMatchObject({ state: 'due', attempts: 1, error: away });
  expect(woken?.nextAttemptAt).toBeGreaterThanOrEqual(before);
  expect(woken?.nextAttemptAt).toBeLessThanOrEqual(await redisNow(redis, '{dicom-dispatch}'));
  await tasks.finish('s-1', ['label'], ['metadata: no']);
  expect(await tasks.read('s-1')).toMatchObject({
    state: 'done',
    done: ['label'],
    left: ['metadata: no'],
    nextAttemptAt: undefined,
    error: undefined,
  });
  expect(await tasks.wake('s-1')).toBe(false);
  expect(await tasks.finish('s-9', [], [])).toBe(false);
});

it('several are read in the given order, those that do not exist as undefined', async () => {
  await tasks.open(task('s-1'));
  await tasks.open(task('s-2'));
  const read = await tasks.readAll(['s-2', 's-9', 's-1']);
  expect(read.map((one) => one?.data.studyTaskId)).toEqual(['s-2', undefined, 's-1']);
  expect(await tasks.readAll([])).toEqual([]);
  await redis.set('{dicom-dispatch}:task:s-3', 'no hash');
  await expect(tasks.readAll(['s-1', 's-3'])).rejects.toMatchObject({
    code: 'ledger-unavailable',
    message: 'a study task could not be read',
    cause: expect.any(Error) as Error,
  });
});

it('reconciliation checks open ones when they are due, and can enter a lost one again', async () => {
  for (const id of ['s-1', 's-2', 's-3']) await tasks.open(task(id));
  await tasks.putOff('s-2', 0, away);
  const later = Date.now() + 600_000;
  expect((await tasks.toBeLookedAt(later, 2)).length).toBe(2);
  await tasks.lookAgain('s-1', later + 0.5);
  await tasks.lookAgain('s-9', 1);
  expect((await tasks.toBeLookedAt(later, 9)).sort()).toEqual(['s-2', 's-3']);
  expect(await redis.zscore(index, 's-1')).toBe(String(later + 1));
  await tasks.drop('s-3');
  expect(await tasks.toBeLookedAt(later, 9)).toEqual(['s-2']);
  expect((await tasks.overdue()).map(({ data: { studyTaskId } }) => studyTaskId)).toEqual(['s-2']);
  await redis.zadd(index, 1, 's-1');
  expect(await tasks.overdue(1)).toEqual([]);
  // Opening it once more changes nothing but its index.
  expect(await tasks.open(task('s-3'))).toBe(false);
  expect(await redis.zscore(index, 's-3')).not.toBeNull();
  await tasks.finish('s-2', [], []);
  expect(await tasks.open(task('s-2'))).toBe(false);
  expect(await redis.zscore(index, 's-2')).toBeNull();
});
