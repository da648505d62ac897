import { deliveryId, studyTaskId, type DeliveryData } from '@dicom-dispatch/core';
import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { act } from './delivery-acts.ts';
import type { DeliverySelection } from './delivery-index.ts';
import type { StudyRecord } from './record-types.ts';
import { Records } from './records.ts';
import { placeOf, placeText } from './walk-index.ts';

const prefix = '{records}';
const start = 1_750_000_000_000;
let server: RedisServer;
let redis: Redis;
let records: Records;

beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = new Redis(server.url);
  records = new Records(redis, prefix);
});
beforeEach(() => redis.flushall());
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

interface Routed {
  readonly source?: string;
  readonly rules?: readonly string[];
  readonly targets?: readonly string[];
  readonly routedAt?: number;
  readonly contentHash?: string;
  readonly keepsStudy?: boolean;
}

/** Writes study number `index`; returns the ids of its deliveries. */
async function route(index: number, options: Routed = {}): Promise<string[]> {
  const {
    source = 'main',
    rules = ['all'],
    targets = ['pacs'],
    routedAt = start + index,
    contentHash = 'h',
    keepsStudy,
  } = options;
  const identity = { source, orthancStudyId: `o-${index}`, contentHash };
  const study: StudyRecord = {
    ...identity,
    epoch: '1',
    studyInstanceUid: `1.2.${index}`,
    instanceCount: 3,
    modalities: ['CT'],
    rules,
    targets,
    studyTaskId: studyTaskId(identity),
    routedAt,
    lastUpdate: undefined,
  };
  const deliveries = targets.map(
    (target) =>
      ({
        ...study,
        target,
        priority: 'normal',
        deliveryId: deliveryId({ ...identity, target }),
      }) as unknown as DeliveryData,
  );
  await records.routed(study, deliveries, { ...(keepsStudy !== undefined && { keepsStudy }) });
  return deliveries.map((delivery) => delivery.deliveryId);
}

function refused(code: 'target-full' | 'instance-refused') {
  return {
    failStage: 'transfer' as const,
    error: { code, stage: 'transfer' as const, fault: 'target' as const, message: `it is ${code}`, remedy: 'look' },
  };
}

/** All matches, page by page. */
async function every(selection: DeliverySelection, limit: number): Promise<string[]> {
  const found: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await records.deliveries({
      ...selection,
      limit,
      after: cursor === undefined ? undefined : placeOf(cursor),
    });
    expect(page.records.length).toBeLessThanOrEqual(limit);
    found.push(...page.records.map((record) => record.deliveryId));
    cursor = page.next && placeText(page.next);
  } while (cursor !== undefined);
  return found;
}

it('the record of a known study is preserved on request, and its new deliveries are added', async () => {
  await route(1, { rules: ['whole'], contentHash: 'whole' });
  const key = { source: 'main', orthancStudyId: 'o-1' };
  const before = await records.study(key);
  const [id = ''] = await route(1, { rules: ['early'], contentHash: '', targets: ['cloud'], keepsStudy: true });
  expect(await records.study(key)).toEqual(before);
  expect(await records.delivery(id)).toMatchObject({ state: 'waiting', target: 'cloud' });
  expect((await records.studies({ rule: 'early', limit: 9 })).records).toEqual([]);
  await route(2, { keepsStudy: true });
  expect(await records.study({ ...key, orthancStudyId: 'o-2' })).toMatchObject({ rules: ['all'] });
});

it('what a router reads of an arriving delivery is what its record has', async () => {
  const [id = ''] = await route(1);
  const read = async () => {
    const { deliveryId: found, arriving, state, wake } = (await records.delivery(id)) ?? {};
    return { deliveryId: found, arriving, state, wake };
  };
  expect(await records.arrival(id)).toEqual(await read());
  await records.update(id, { state: 'waiting', wake: 'arrival' });
  expect(await records.arrival(id)).toMatchObject({ state: 'waiting', wake: 'arrival' });
  expect(await records.arrival(id)).toEqual(await read());
  expect(await records.arrival('unknown')).toBeUndefined();
});

describe('lists of deliveries', () => {
  it('give each once, page by page, though many have changed in the same millisecond', async () => {
    const ids: string[] = [];
    for (let index = 0; index < 40; index += 1) {
      ids.push(...(await route(index, { routedAt: start, targets: ['pacs', 'cloud'] })));
    }
    for (const limit of [1, 7, 80, 200]) {
      const found = await every({}, limit);
      expect(found).toHaveLength(80);
      expect(new Set(found)).toEqual(new Set(ids));
    }
    expect((await every({ target: 'cloud' }, 7)).length).toBe(40);
  });

  it('have a next page only if there is more', async () => {
    for (let index = 0; index < 4; index += 1) await route(index);
    expect((await records.deliveries({ limit: 4 })).next).toBeUndefined();
    expect((await records.deliveries({ limit: 3 })).next).toMatchObject({ score: start + 1 });
  });

  it('are found by state, target, rule, source, stage, code and time together, and counted without reading them', async () => {
    const [first = ''] = await route(1, { rules: ['ct', 'all'], targets: ['pacs'] });
    const [second = ''] = await route(2, { rules: ['all'], targets: ['pacs'], source: 'other' });
    const [third = ''] = await route(3, { rules: ['ct'], targets: ['cloud'] });
    await records.update(first, { state: 'failed', ...refused('target-full') });
    await records.update(second, { state: 'waiting', ...refused('target-full') });
    await records.update(third, { state: 'failed', ...refused('instance-refused') });
    const cases: [DeliverySelection, string[]][] = [
      [{ rule: 'ct' }, [third, first]],
      [{ source: 'other' }, [second]],
      [{ rule: 'ct', state: 'failed', target: 'pacs' }, [first]],
      [{ code: 'target-full' }, [second, first]],
      [{ stage: 'transfer', state: 'failed' }, [third, first]],
      [{ code: 'target-full', state: 'failed', target: 'pacs', source: 'main', rule: 'all' }, [first]],
      [{ rule: 'ct', source: 'other' }, []],
      [{ rule: 'none' }, []],
      [{ stage: 'connect' }, []],
      [{ until: start + 3 }, []],
      [{ since: start + 3, state: 'failed' }, [third, first]],
    ];
    for (const [selection, expected] of cases) {
      const text = JSON.stringify(selection);
      expect(new Set(await every(selection, 1)), text).toEqual(new Set(expected));
      expect(await records.countDeliveries(selection), text).toBe(expected.length);
    }
    expect(await records.errors({ target: 'pacs' })).toEqual(
      expect.arrayContaining([
        { target: 'pacs', state: 'failed', stage: 'transfer', code: 'target-full', count: 1 },
        { target: 'pacs', state: 'waiting', stage: 'transfer', code: 'target-full', count: 1 },
      ]),
    );
    // An ended delivery keeps its state, even if a change arrives late.
    expect(await records.update(first, { state: 'delivered' })).toBe(false);
    await records.change(first, { from: ['failed'], patch: { state: 'delivered', error: null, failStage: null } });
    expect(await records.countDeliveries({ code: 'target-full' })).toBe(1);
    expect(await records.counts('pacs')).toMatchObject({ delivered: 1, waiting: 1, failed: 0 });
  });

  it('end a long search early and continue from there', async () => {
    for (let index = 0; index < 20; index += 1) {
      await route(index, { rules: [index === 0 ? 'rare' : 'all'], source: index === 0 ? 'main' : 'other' });
    }
    const first = await records.deliveries({ rule: 'all', source: 'main', limit: 5, budgetMs: 0 });
    expect(first).toMatchObject({ records: [], searchedTo: start });
    const rest = await records.deliveries({ rule: 'all', source: 'main', limit: 5, after: first.next });
    expect(rest).toEqual({ records: [], next: undefined, searchedTo: undefined });
  });

  it('are found by being held, among those that wait, and counted', async () => {
    const [first = ''] = await route(1);
    const [second = ''] = await route(2);
    await route(3);
    for (const id of [first, second]) await records.change(id, { ...act('hold'), patch: { wake: 'person' } });
    const held = await records.deliveries({ state: 'held', target: 'pacs', limit: 1 });
    expect(held.records.map(({ deliveryId }) => deliveryId)).toEqual([second]);
    const next = await records.deliveries({ state: 'held', target: 'pacs', limit: 5, after: held.next });
    expect(next.records.map(({ deliveryId }) => deliveryId)).toEqual([first]);
    expect(await records.countDeliveries({ state: 'held' })).toBe(2);
    expect(await records.countDeliveries({ state: 'held', target: 'other' })).toBe(0);
    expect(await records.countDeliveries({ state: 'waiting', target: 'pacs' })).toBe(3);
  });

  it('return the longest-waiting ones, however often they changed since, without held ones and those outside their schedule', async () => {
    const [oldest = ''] = await route(1);
    const [next = ''] = await route(2);
    const waiting = (): Promise<string[]> => records.waitingLongest('pacs', Date.now() + 1, 10);
    await redis.hset(`${prefix}:delivery:${oldest}`, 'since', Date.now() - 5_000);
    await records.update(oldest, { attempts: 5 });
    expect(await waiting()).toEqual([oldest, next]);
    await records.update(oldest, { state: 'active' });
    expect(await waiting()).toEqual([next]);
    await records.update(oldest, { state: 'waiting', wake: 'due' });
    expect(await waiting()).toEqual([oldest, next]);
    await records.update(oldest, { wake: 'schedule' });
    await records.change(next, { ...act('hold'), patch: { wake: 'person' } });
    expect(await waiting()).toEqual([]);
    await records.change(next, { ...act('retry'), patch: { wake: 'job' } });
    expect(await waiting()).toEqual([]);
    await records.change(next, { ...act('release'), patch: { wake: 'job' } });
    expect(await waiting()).toEqual([next]);
    expect(await records.waitingLongest('cloud', Date.now() + 1, 10)).toEqual([]);
  });
});

describe('lists of studies', () => {
  it('are by rule, source and time; a study that is routed by other rules leaves the old ones', async () => {
    await route(1, { rules: ['ct', 'all'] });
    await route(2, { rules: ['all'], source: 'other' });
    await route(3, { rules: ['ct'] });
    const uids = async (selection: Parameters<Records['studies']>[0]) =>
      (await records.studies(selection)).records.map(({ studyInstanceUid }) => studyInstanceUid);
    expect(await uids({ limit: 10 })).toEqual(['1.2.3', '1.2.2', '1.2.1']);
    expect(await uids({ rule: 'ct', limit: 10 })).toEqual(['1.2.3', '1.2.1']);
    expect(await uids({ source: 'other', rule: 'all', limit: 10 })).toEqual(['1.2.2']);
    expect(await uids({ since: start + 2, until: start + 3, limit: 10 })).toEqual(['1.2.2']);
    await route(1, { rules: ['all'], contentHash: 'other', routedAt: start + 9 });
    expect(await uids({ rule: 'ct', limit: 10 })).toEqual(['1.2.3']);
    expect(await uids({ rule: 'all', limit: 1 })).toEqual(['1.2.1']);
    const page = await records.studies({ limit: 2 });
    expect(await uids({ limit: 2, after: page.next })).toEqual(['1.2.2']);
  });
});

it('writes nothing for a worker that has lost its lock to another', async () => {
  const [id = ''] = await route(1);
  const fence = { lockKey: `${prefix}:target-pacs:${id}:lock`, token: 'mine' };
  await redis.set(fence.lockKey, 'mine');
  expect(await records.update(id, { state: 'active' }, { kind: 'started', text: 'attempt 1' }, fence)).toBe(true);
  await redis.set(fence.lockKey, 'of another');
  await records.update(id, { state: 'delivered' });
  expect(await records.update(id, { state: 'active' }, { kind: 'started', text: 'too late' }, fence)).toBe(false);
  expect((await records.delivery(id))?.state).toBe('delivered');
  expect((await records.events(id)).map(({ text }) => text)).not.toContain('too late');
});
