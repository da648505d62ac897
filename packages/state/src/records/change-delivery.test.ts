import { readFile } from 'node:fs/promises';
import type { DeliveryData } from '@dicom-dispatch/core';
import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  act,
  deliveryActs,
  deliveryActsMarkdown,
  deliveryStates,
  endStates,
  fromNow,
  Records,
  wakeKinds,
  type DeliveryActName,
  type DeliveryChange,
} from './index.ts';
import { encodeData } from './stored-form.ts';

const prefix = '{dicom-dispatch}';
const lock = `${prefix}:target-pacs:d-1:lock`;
const fence = { lockKey: lock, token: 'mine' };
let server: RedisServer;
let redis: Redis;
let records: Records;

beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = new Redis(server.url);
  records = new Records(redis, prefix);
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});
beforeEach(async () => {
  await redis.flushall();
  await route('d-1');
});

async function route(deliveryId: string, more: Partial<DeliveryData> = {}): Promise<void> {
  const data = {
    deliveryId,
    target: 'pacs',
    source: 'main',
    epoch: '1',
    studyInstanceUid: '1.2.3',
    orthancStudyId: 'o-1',
    contentHash: 'h',
    instanceCount: 2,
    modalities: [],
    studyTaskId: 's-1',
    rules: ['r'],
    priority: 'normal',
    routedAt: Date.now(),
    ...more,
  } satisfies DeliveryData;
  await records.routed({ ...data, targets: ['pacs'], lastUpdate: undefined }, [data]);
}

async function begin(token = 'mine'): Promise<void> {
  await redis.set(lock, token, 'PX', 60_000);
  const patch = { state: 'active', wake: 'attempt', lock, token } as const;
  const changed = await records.change('d-1', { ...act('begin'), patch, fence: { lockKey: lock, token } });
  expect(changed.kind).toBe('done');
}

const openScore = async (): Promise<number | undefined> => {
  const score = await redis.zscore(`${prefix}:index:open`, 'd-1');
  return score === null ? undefined : Number(score);
};

it('a delivered record has no fields that follow from others, reads the same, and starts its age again when opened', async () => {
  await begin();
  const counts = { total: 2, confirmed: 2, quarantined: 0, addBytesSent: 5 };
  const patch = { state: 'delivered', endedAt: fromNow(), stage: 'finalize', ...counts } as const;
  await records.change('d-1', { ...act('end'), patch, fence });
  const stored = await redis.hkeys(`${prefix}:delivery:d-1`);
  expect(stored).toEqual(expect.arrayContaining(['confirmed', 'endedAt', 'updatedAt']));
  for (const field of ['total', 'quarantined', 'stage', 'since']) expect(stored).not.toContain(field);
  expect(await records.delivery('d-1')).toMatchObject({
    state: 'delivered',
    stage: 'finalize',
    total: 2,
    confirmed: 2,
    quarantined: 0,
    bytesSent: 5,
  });
  const before = Date.now() - 60_000;
  await redis.hset(`${prefix}:delivery:d-1`, 'data', encodeData({ ...(await records.delivery('d-1'))!, routedAt: 1 }));
  await records.change('d-1', { ...act('sendAgain'), patch: { state: 'waiting', wake: 'job' } });
  expect((await records.delivery('d-1'))?.since).toBeGreaterThan(before);
  expect(Number(await redis.zscore(`${prefix}:index:waiting:pacs`, 'd-1'))).toBeGreaterThan(before);
});

it('a record that is not delivered, or has other counts, keeps them', async () => {
  await begin();
  const counts = { total: 3, confirmed: 2, quarantined: 1 };
  await records.change('d-1', { ...act('end'), patch: { state: 'partial', stage: 'finalize', ...counts }, fence });
  expect(await redis.hgetall(`${prefix}:delivery:d-1`)).toMatchObject({
    stage: 'finalize',
    total: '3',
    quarantined: '1',
  });
  expect(await records.delivery('d-1')).toMatchObject(counts);
  await records.change('d-1', { ...act('retry'), patch: { state: 'waiting' } });
  await records.update('d-1', { state: 'delivered', stage: 'verify', total: 3, quarantined: 0 });
  expect(await redis.hgetall(`${prefix}:delivery:d-1`)).toMatchObject({ stage: 'verify', total: '3' });
  expect(await records.delivery('d-1')).toMatchObject({ stage: 'verify', total: 3, quarantined: 0 });
});

it('each act is in docs/delivery-life.md', async () => {
  const page = await readFile(new URL('../../../../docs/delivery-life.md', import.meta.url), 'utf8');
  expect(/<!-- acts -->\n([\s\S]*?)\n<!-- end -->/.exec(page)?.[1]).toBe(deliveryActsMarkdown());
  for (const wake of wakeKinds) expect(page).toContain(`| \`${wake}\` |`);
});

it.each(['\ud83d', 'cut in the middle of \ud83d', '\udc00\0'])(
  'continues after an error with the text %j',
  async (message) => {
    await begin();
    const error = { code: 'target-error', stage: 'transfer', fault: 'target', message, remedy: message } as const;
    const put = { state: 'waiting', error, failStage: 'transfer' } as const;
    const event = { kind: 'waiting', text: message } as const;
    expect((await records.change('d-1', { ...act('putOff'), patch: put, event, fence })).kind).toBe('done');
    expect((await records.delivery('d-1'))?.error?.message).toBe(message.toWellFormed());
    await begin();
    const end = { state: 'failed', error, endedAt: fromNow() } as const;
    expect((await records.change('d-1', { ...act('end'), patch: end, fence })).kind).toBe('done');
    expect((await records.delivery('d-1'))?.state).toBe('failed');
  },
);

it.each([String.raw`{"stage":"transfer","code":"x","message":"\ud83d"}`, 'no JSON', '1'])(
  'acts on a delivery whose stored error scripts cannot read: %s',
  async (error) => {
    await begin();
    await redis.hset(`${prefix}:delivery:d-1`, 'error', error);
    const end = { state: 'cancelled', error: null, endedAt: fromNow() } as const;
    expect((await records.change('d-1', { ...act('end'), patch: end, fence })).kind).toBe('done');
    expect(await records.delivery('d-1')).toMatchObject({ state: 'cancelled' });
  },
);

it('routes a study whose data have half a surrogate pair', async () => {
  await route('d-2', { transform: { name: 'x', definition: { set: { StudyDescription: 'a\ud83d' } } as never } });
  expect((await records.delivery('d-2'))?.transform?.definition).toEqual({ set: { StudyDescription: 'a\ufffd' } });
});

it('records the same finding of two simultaneous attempts once', async () => {
  const change = {
    patch: { notice: 'shared' },
    event: { kind: 'noticed', text: 'shared' },
    guards: ['unless-same'],
  } as const;
  const done = await Promise.all([records.change('d-1', change), records.change('d-1', change)]);
  expect(done.map(({ kind }) => kind)).toEqual(['done', 'refused']);
  expect((await records.events('d-1')).filter(({ kind }) => kind === 'noticed').length).toBe(1);
  const other = { ...change, patch: { notice: 'another' } };
  expect(await records.change('d-1', other)).toMatchObject({ kind: 'done' });
});

describe('an act', () => {
  it('is refused in every state that it does not begin with', async () => {
    for (const state of deliveryStates) {
      for (const name of Object.keys(deliveryActs) as DeliveryActName[]) {
        await redis.flushall();
        await route('d-1');
        await redis.hset(`${prefix}:delivery:d-1`, 'state', state);
        const { from, to } = deliveryActs[name];
        const patch = to === 'same' ? {} : { state: to[0] };
        const changed = await records.change('d-1', { ...act(name), patch });
        const isAllowed = (from as readonly string[]).includes(state);
        const isAsWished = name === 'release' ? changed.kind === 'refused' : (changed.kind === 'done') === isAllowed;
        expect(isAsWished, `${name} of ${state}: ${JSON.stringify(changed)}`).toBe(true);
      }
    }
  });

  it('is rejected without the lock, and for another job while the lock is held', async () => {
    await begin();
    const patch = { state: 'delivered' } as const;
    const other = { lockKey: `${prefix}:target-pacs:d-1-again:lock`, token: 'other' };
    await redis.set(other.lockKey, 'other');
    expect(await records.change('d-1', { ...act('end'), patch, fence: { ...fence, token: 'no' } })).toMatchObject({
      why: 'lock-lost',
    });
    expect(await records.change('d-1', { ...act('begin'), patch: {}, fence: other })).toMatchObject({
      why: 'elsewhere',
    });
    expect(await records.change('d-1', { ...act('lose'), patch: { state: 'waiting' } })).toMatchObject({
      why: 'alive',
    });
    await redis.del(lock);
    expect(await records.change('d-1', { ...act('lose'), patch: { state: 'waiting' } })).toMatchObject({
      kind: 'done',
      losses: 1,
    });
  });

  it('of an attempt is refused when an operator has cancelled or holds the delivery', async () => {
    await records.change('d-1', { ...act('hold'), patch: { wake: 'person' } });
    const beginning = { ...act('begin'), patch: { state: 'active' } as const };
    expect(await records.change('d-1', beginning)).toMatchObject({ why: 'held' });
    expect(await records.change('d-1', { ...act('release'), patch: { wake: 'job' } })).toMatchObject({ kind: 'done' });
    await begin();
    await records.change('d-1', { ...act('askToCancel'), patch: {} });
    expect(await records.change('d-1', { ...act('putOff'), patch: { state: 'waiting' }, fence })).toMatchObject({
      why: 'cancelled',
      isCancelled: true,
    });
    const ended = await records.change('d-1', { ...act('end'), patch: { state: 'cancelled' }, fence });
    expect(ended).toMatchObject({ kind: 'done', state: 'cancelled' });
    await records.change('d-1', { ...act('retry'), patch: { state: 'waiting' } });
    expect(await records.look('d-1')).toMatchObject({ isCancelled: false, record: { state: 'waiting' } });
  });

  it('while held or outside its schedule does not increase its age; after its end the age starts again', async () => {
    const hour = 3_600_000;
    const ageMs = async (): Promise<number> => Date.now() - ((await records.delivery('d-1'))?.since ?? 0);
    const before = async (field: string, ms: number): Promise<unknown> =>
      redis.hset(`${prefix}:delivery:d-1`, field, Date.now() - ms);
    await before('since', 5 * hour);
    for (const [wait, goOn] of [
      [
        { ...act('hold'), patch: { wake: 'person' } },
        { ...act('release'), patch: { wake: 'job' } },
      ],
      [
        { ...act('putOff'), patch: { wake: 'schedule' } },
        { ...act('begin'), patch: { state: 'active' } },
      ],
    ] as const satisfies [DeliveryChange, DeliveryChange][]) {
      await records.change('d-1', wait);
      await before('keptBackAt', 2 * hour);
      // An operator acts on it meanwhile.
      await records.change('d-1', { ...act('first'), patch: { priority: 'urgent' } });
      await records.change('d-1', goOn);
    }
    expect(await ageMs()).toBeGreaterThan(hour - 1);
    expect(await ageMs()).toBeLessThan(hour + 60_000);
    await records.change('d-1', { ...act('end'), patch: { state: 'source-gone' } });
    await records.change('d-1', { ...act('takeBack'), patch: { state: 'waiting', wake: 'job' } });
    expect(await ageMs()).toBeLessThan(60_000);
  });

  it('of a retry leaves a hold as it is', async () => {
    await records.change('d-1', { ...act('hold'), patch: { wake: 'person' } });
    await records.change('d-1', { ...act('retry'), patch: { state: 'waiting', nextAttemptAt: null } });
    expect(await records.look('d-1')).toMatchObject({ isHeld: true });
  });

  it('that begins an attempt needs memory in Redis, one that ends it does not', async () => {
    await begin();
    await redis.config('SET', 'maxmemory', '1');
    try {
      const patch = { state: 'waiting', wake: 'due', nextAttemptAt: fromNow(1_000) } as const;
      expect(await records.change('d-1', { ...act('putOff'), patch, fence })).toMatchObject({ kind: 'done' });
      const again = { state: 'active' } as const;
      await expect(records.change('d-1', { ...act('begin'), patch: again, fence })).rejects.toMatchObject({
        code: 'ledger-unavailable',
      });
      expect(await records.change('d-1', { ...act('cancel'), patch: { state: 'cancelled' } })).toMatchObject({
        kind: 'done',
      });
    } finally {
      await redis.config('SET', 'maxmemory', '0');
    }
  });
});

describe('the index of open deliveries', () => {
  it('contains waiting and running deliveries, with the time of their next check', async () => {
    const now = Date.now();
    expect(await openScore()).toBeGreaterThanOrEqual(now + 59_000);
    await records.change('d-1', {
      ...act('putOff'),
      patch: { state: 'waiting', wake: 'due', nextAttemptAt: fromNow(3_600_000) },
    });
    expect(await openScore()).toBeGreaterThan(now + 3_600_000);
    expect(await records.change('d-1', { ...act('wake'), guards: ['when-due'], patch: {} })).toMatchObject({
      why: 'early',
    });
    for (const state of endStates) {
      await records.change('d-1', { from: deliveryStates, patch: { state: 'waiting' } });
      expect(await openScore()).toBeDefined();
      await records.update('d-1', { state });
      expect(await openScore(), state).toBeUndefined();
    }
  });

  it('is made of what an earlier version has written', async () => {
    await route('d-2');
    await redis.del(`${prefix}:index:open`);
    await redis.hdel(`${prefix}:delivery:d-1`, 'wake', 'since');
    expect(await records.rebuildOpenIndex()).toBe(true);
    expect(await records.rebuildOpenIndex()).toBe(false);
    expect((await records.toBeLookedAt(10)).sort()).toEqual(['d-1', 'd-2']);
    const { record } = (await records.look('d-1')) ?? {};
    expect(record).toMatchObject({ wake: undefined, failures: 0, losses: 0, since: record?.routedAt });
  });

  it('treats an attempt of an earlier version, which did not name its lock, as running while its job is locked', async () => {
    await records.update('d-1', { state: 'active' });
    await redis.set(lock, 'of the earlier version');
    expect(await records.change('d-1', { ...act('lose'), patch: { state: 'waiting' } })).toMatchObject({
      why: 'alive',
    });
    await redis.set(lock, 'mine');
    const taken = await records.change('d-1', { ...act('lose'), patch: { state: 'waiting' }, fence });
    expect(taken).toMatchObject({ kind: 'done' });
  });
});

it('a rule that holds its deliveries holds them from the first moment', async () => {
  await route('d-3', { hold: true });
  expect(await records.look('d-3')).toMatchObject({ isHeld: true, record: { wake: 'person' } });
});

describe('the record of a delivery', () => {
  const field = (name: string): Promise<string | null> => redis.hget(`${prefix}:delivery:d-1`, name);

  it('is not made by a change', async () => {
    expect(await records.change('d-9', { patch: { state: 'active' } })).toMatchObject({
      why: 'missing',
      state: undefined,
    });
    expect(await redis.exists(`${prefix}:delivery:d-9`)).toBe(0);
  });

  it('and the set of held ones show a hold together, until a release or a cancellation; a second one changes nothing', async () => {
    const hold = { ...act('hold'), patch: { wake: 'person' } } as const;
    const release = { ...act('release'), patch: { wake: 'job' } } as const;
    const shown = async () => [await redis.sismember(`${prefix}:held`, 'd-1'), await field('held')];
    expect(await records.change('d-1', release)).toMatchObject({ why: 'same' });
    expect(await records.change('d-1', hold)).toMatchObject({ kind: 'done' });
    expect(await shown()).toEqual([1, '1']);
    expect(await records.change('d-1', hold)).toMatchObject({ why: 'same' });
    expect(await records.change('d-1', release)).toMatchObject({ kind: 'done' });
    expect(await shown()).toEqual([0, null]);
    await records.change('d-1', hold);
    // Either of the two alone holds it.
    await redis.srem(`${prefix}:held`, 'd-1');
    expect(await records.change('d-1', { ...act('begin'), patch: { state: 'active' } })).toMatchObject({ why: 'held' });
    await redis.sadd(`${prefix}:held`, 'd-1');
    await redis.hdel(`${prefix}:delivery:d-1`, 'held');
    expect(await records.change('d-1', { ...act('begin'), patch: { state: 'active' } })).toMatchObject({ why: 'held' });
    await records.change('d-1', { ...act('cancel'), patch: { state: 'cancelled' } });
    expect(await shown()).toEqual([0, null]);
  });

  it('adds up what was sent, and names its lock only while it is running', async () => {
    await begin();
    expect([await field('lock'), await field('token')]).toEqual([lock, 'mine']);
    await records.update('d-1', { addBytesSent: 5 });
    await records.update('d-1', { addBytesSent: 7 });
    await records.update('d-1', { confirmed: 1 });
    expect(await field('bytesSent')).toBe('12');
    expect(await field('lock')).toBe(lock);
    await records.change('d-1', { ...act('putOff'), patch: { state: 'waiting', wake: 'due' }, fence });
    expect([await field('lock'), await field('token')]).toEqual([null, null]);
  });

  it('is in each of its indexes by its last change, and in that of its error by the stage at which it failed', async () => {
    const error = { code: 'target-full', stage: 'transfer', fault: 'target', message: 'm', remedy: 'r' } as const;
    await records.update('d-1', { error, failStage: 'verify' });
    const at = await field('updatedAt');
    for (const name of [
      'state:waiting',
      'target:pacs:waiting',
      'source:main',
      'rule:r',
      'error:pacs waiting verify target-full',
    ]) {
      expect(await redis.zscore(`${prefix}:index:${name}`, 'd-1'), name).toBe(at);
    }
    await records.update('d-1', { failStage: null });
    expect(await redis.exists(`${prefix}:index:error:pacs waiting verify target-full`)).toBe(0);
    expect(await redis.zcard(`${prefix}:index:error:pacs waiting transfer target-full`)).toBe(1);
  });

  it('has the latest 500 events', async () => {
    await Promise.all(
      Array.from({ length: 503 }, (_, index) =>
        records.update('d-1', { confirmed: index }, { kind: 'noticed', text: `event ${index}` }),
      ),
    );
    const events = await records.events('d-1');
    expect([events.length, events[0]?.text, events.at(-1)?.text]).toEqual([500, 'event 3', 'event 502']);
  });
});
