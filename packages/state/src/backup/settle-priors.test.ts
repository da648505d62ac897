import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import type { ChosenPrior, PriorsStep } from '../priors/index.ts';
import { settlePriors } from './index.ts';

const prefix = '{settle}';
const madeAt = 1_700_000_000_000;
const now = madeAt + 5_000;
const index = `${prefix}:index:priors`;
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

function prior(state: ChosenPrior['state'], deliveryId?: string): ChosenPrior {
  return { studyInstanceUid: '1.9', from: 'source', why: 'same region', state, ...(deliveryId && { deliveryId }) };
}

function step(study: string, more: Partial<PriorsStep> = {}): PriorsStep {
  return {
    source: 'main',
    orthancStudyId: study,
    id: 'p-1',
    studyInstanceUid: '1.2.3',
    target: 'pacs',
    deliveryId: `d-of-${study}`,
    terms: [],
    state: 'sending',
    openedAt: madeAt - 1_000,
    attempts: 2,
    nextAttemptAt: madeAt + 9,
    chosen: [],
    left: [],
    leftCount: 0,
    ...more,
  };
}

async function restore(...steps: readonly PriorsStep[]): Promise<void> {
  for (const one of steps) {
    await redis.hset(`${prefix}:priors:main:${one.orthancStudyId}`, {
      [one.id]: JSON.stringify(one),
      [`${one.id} lock`]: 'token',
      [`${one.id} without`]: '1',
    });
  }
}
const exists = (...ids: string[]) => Promise.all(ids.map((id) => redis.hset(`${prefix}:delivery:${id}`, 'data', '{}')));
const settle = (...studies: string[]) =>
  settlePriors(
    redis,
    prefix,
    studies.map((study) => `priors:main:${study}`),
    { now, madeAt },
  );
const stepOf = async (study: string) => {
  const text = await redis.hget(`${prefix}:priors:main:${study}`, 'p-1');
  return text === null ? undefined : (JSON.parse(text) as PriorsStep);
};

it('a step without its delivery is removed with its details, the others stay, and open ones are due', async () => {
  await restore(step('gone'), step('open'), step('done', { state: 'done' }));
  await exists('d-of-open', 'd-of-done');
  await settle('gone', 'open', 'done');
  expect(await redis.exists(`${prefix}:priors:main:gone`)).toBe(0);
  expect(await stepOf('open')).toEqual(step('open'));
  expect(await redis.hget(`${prefix}:priors:main:open`, 'p-1 without')).toBe('1');
  expect(await stepOf('done')).toEqual(step('done', { state: 'done' }));
  expect(await redis.zrange(index, '0', '-1', 'WITHSCORES')).toEqual(['main open p-1', String(now)]);
});

it('a prior whose delivery is missing is sent again, the others of its step are not', async () => {
  const chosen = [
    prior('sent', 'd-there'),
    prior('sent', 'd-lost'),
    prior('sent'),
    prior('there', 'd-lost'),
    prior('omitted'),
  ];
  await restore(step('one', { state: 'done', chosen }));
  await exists('d-of-one', 'd-there');
  await settle('one');
  const settled = await stepOf('one');
  expect(settled).toMatchObject({ state: 'sending', attempts: 0 });
  expect(settled).not.toHaveProperty('nextAttemptAt');
  expect(settled?.chosen).toEqual([chosen[0], prior('chosen'), ...chosen.slice(2)]);
  expect(await redis.zrange(index, '0', '-1')).toEqual(['main one p-1']);
});

it('a missing delivery of an old step counts as sent: its record was removed', async () => {
  const day = 86_400_000;
  const chosen = [prior('sent', 'd-lost')];
  await restore(
    step('old', { state: 'done', openedAt: madeAt - day - 1, chosen }),
    step('young', { state: 'done', openedAt: madeAt - day, chosen }),
  );
  await exists('d-of-old', 'd-of-young');
  await settle('old', 'young');
  expect((await stepOf('old'))?.state).toBe('done');
  expect((await stepOf('young'))?.state).toBe('sending');
});

it('settles all steps, also many, and none if there are none', async () => {
  await settle();
  const studies = Array.from({ length: 501 }, (_, at) => `s${at}`);
  await restore(...studies.map((study) => step(study)));
  await exists(...studies.map((study) => `d-of-${study}`));
  await settle(...studies, 'absent');
  expect(await redis.zcard(index)).toBe(501);
});
