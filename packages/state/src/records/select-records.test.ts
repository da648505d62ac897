import type { DeliveryData } from '@dicom-dispatch/core';
import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { act } from './delivery-acts.ts';
import type { DeliverySelection } from './delivery-index.ts';
import { Records, type StudyRecord } from './index.ts';
import type { Place } from './walk-index.ts';

const prefix = '{select}';
const start = 1_700_000_000_000;
const count = 60;
let server: RedisServer;
let redis: Redis;
let records: Records;

interface Known {
  readonly id: string;
  readonly target: string;
  readonly source: string;
  readonly rule: string;
  readonly at: number;
  readonly isHeld: boolean;
}
const known: Known[] = Array.from({ length: count }, (_, index) => ({
  id: `d-${String(index).padStart(2, '0')}`,
  target: ['pacs', 'cloud', 'web'][index % 3] ?? '',
  source: index % 2 === 0 ? 'main' : 'other',
  rule: index % 5 === 0 ? 'rare' : 'all',
  // Three at a time.
  at: start + Math.floor(index / 3),
  isHeld: index % 4 === 0,
}));

beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = new Redis(server.url);
  records = new Records(redis, prefix);
  for (const { id, target, source, rule, at, isHeld } of known) {
    const data = {
      source,
      orthancStudyId: `o-${id}`,
      epoch: '1',
      studyInstanceUid: '1.2',
      contentHash: 'h',
      instanceCount: 3,
      modalities: ['CT'],
      rules: [rule],
      targets: [target],
      studyTaskId: 's',
      routedAt: at,
      lastUpdate: undefined,
      target,
      priority: 'normal',
      deliveryId: id,
      ...(isHeld && { hold: true }),
    } as unknown as StudyRecord & DeliveryData;
    await records.routed(data, [data]);
  }
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

/** Latest first; of one time the last name first. */
function expected({ target, source, rule, since = 0, until = Infinity, state }: DeliverySelection): string[] {
  return known
    .filter((one) => (target === undefined || one.target === target) && (source === undefined || one.source === source))
    .filter((one) => (rule === undefined || one.rule === rule) && one.at >= since && one.at < until)
    .filter((one) => state === undefined || (state === 'held' ? one.isHeld : state === 'waiting'))
    .toSorted((one, other) => other.at - one.at || (one.id < other.id ? 1 : -1))
    .map(({ id }) => id);
}

async function found(selection: DeliverySelection, limit: number): Promise<string[]> {
  const ids: string[] = [];
  let after: Place | undefined;
  do {
    const page = await records.deliveries({ ...selection, limit, after });
    expect(page.records.length).toBeLessThanOrEqual(limit);
    ids.push(...page.records.map(({ deliveryId }) => deliveryId));
    after = page.next;
  } while (after !== undefined);
  return ids;
}

const selections: DeliverySelection[] = [
  {},
  { target: 'pacs' },
  { source: 'other' },
  { rule: 'rare' },
  { rule: 'absent' },
  { state: 'waiting', target: 'cloud', source: 'main' },
  { state: 'active' },
  { state: 'held' },
  { state: 'held', target: 'web', source: 'main' },
  { rule: 'rare', source: 'main', target: 'pacs' },
];
const windows = [
  {},
  { since: start + 5 },
  { until: start + 5 },
  { since: start + 5, until: start + 6 },
  { since: start + 5, until: start + 5 },
  { since: start + 3, until: start + 15 },
];

it.each(selections.map((selection) => ({ selection })))(
  'deliveries of $selection are listed in their order, page by page, and counted, within any time',
  async ({ selection }) => {
    for (const window of windows) {
      const all = { ...selection, ...window };
      const ids = expected(all);
      for (const limit of [1, 4, 100]) expect(await found(all, limit), JSON.stringify([all, limit])).toEqual(ids);
      expect(await records.countDeliveries(all), JSON.stringify(all)).toBe(ids.length);
    }
  },
);

it('a page begins after any place, known or not', async () => {
  const ids = expected({});
  const after = async (place: Place, selection: DeliverySelection = {}) =>
    (await records.deliveries({ ...selection, limit: 2, after: place })).records.map(({ deliveryId }) => deliveryId);
  const tenth = known.find(({ id }) => id === ids[9])!;
  expect(await after({ score: tenth.at, member: tenth.id })).toEqual(ids.slice(10, 12));
  expect(await after({ score: start + 2, member: '' })).toEqual(expected({ until: start + 2 }).slice(0, 2));
  expect(await after({ score: start + 2, member: 'x' })).toEqual(expected({ until: start + 3 }).slice(0, 2));
  expect(await after({ score: start - 1, member: '' })).toEqual([]);
  // The earlier of both ends counts.
  expect(await after({ score: start + 9, member: '' }, { until: start + 4 })).toEqual(
    expected({ until: start + 4 }).slice(0, 2),
  );
  expect(await after({ score: start + 3, member: '' }, { until: start + 4 })).toEqual(
    expected({ until: start + 3 }).slice(0, 2),
  );
});

it('deliveries with errors are found and counted by each part of the error', async () => {
  const error = (code: 'target-full' | 'instance-refused', stage: 'transfer' | 'verify') =>
    ({ code, stage, fault: 'target', message: 'm', remedy: 'r' }) as const;
  const fail = async (id: string, code: 'target-full' | 'instance-refused', stage: 'transfer' | 'verify') => {
    await records.update(id, { state: 'active' });
    await records.change(id, { ...act('end'), patch: { state: 'failed', error: error(code, stage) } });
  };
  await fail('d-01', 'target-full', 'transfer');
  await fail('d-02', 'target-full', 'verify');
  await fail('d-07', 'instance-refused', 'transfer');
  await records.update('d-10', { error: error('target-full', 'transfer') });
  const ids = async (selection: DeliverySelection) => (await found(selection, 9)).sort();
  expect(await ids({ code: 'target-full' })).toEqual(['d-01', 'd-02', 'd-10']);
  expect(await ids({ code: 'target-full', state: 'failed' })).toEqual(['d-01', 'd-02']);
  expect(await ids({ code: 'target-full', state: 'held' })).toEqual([]);
  expect(await ids({ stage: 'transfer' })).toEqual(['d-01', 'd-07', 'd-10']);
  expect(await ids({ stage: 'transfer', target: 'cloud', state: 'failed' })).toEqual(['d-01', 'd-07']);
  expect(await ids({ stage: 'verify', target: 'cloud' })).toEqual([]);
  expect(await ids({ code: 'instance-refused', source: 'main' })).toEqual([]);
  expect(await records.countDeliveries({ code: 'target-full', target: 'cloud' })).toBe(2);
  const groups = (await records.errors({ code: 'target-full' })).map(
    ({ target, state, stage, code, count: some }) => `${target} ${state} ${stage} ${code} ${some}`,
  );
  expect(groups.sort()).toEqual([
    'cloud failed transfer target-full 1',
    'cloud waiting transfer target-full 1',
    'web failed verify target-full 1',
  ]);
  expect((await records.errors({ state: 'waiting' })).length).toBe(1);
  expect((await records.errors({ stage: 'verify' })).length).toBe(1);
  expect((await records.errors({ target: 'pacs' })).length).toBe(0);
  expect((await records.errors()).length).toBe(4);
});
