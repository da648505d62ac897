import type { StudyTaskData } from '@dicom-dispatch/core';
import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { TaskRecords } from './task-records.ts';

let server: RedisServer;
let redis: Redis;
let tasks: TaskRecords;

beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = new Redis(server.url);
  tasks = new TaskRecords(redis, '{dicom-dispatch}');
});
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
