import { deliveryData, schedule, type TargetConfig } from '@dicom-dispatch/core';
import { Circuits } from '@dicom-dispatch/state/circuit';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { chooseMember, isUsable, readChoice, writeChoice, type GroupOfStudy } from './choose-member.ts';
import { startTestPipeline, type TestPipeline } from './testing/start-test-pipeline.ts';

let test: TestPipeline;
beforeAll(async () => {
  test = await startTestPipeline(undefined, { targets: { c: { type: 'dummy' } } });
});
afterAll(() => test[Symbol.asyncDispose]());
beforeEach(async () => {
  await test.redis.flushall();
});

const error = { code: 'target-unreachable', message: 'no answer', at: 0 } as never;
/** A window that opens this number of hours from now, for one hour; 0: open now. */
function window(hours: number): ReturnType<typeof schedule.parse> {
  const time = (at: number): string => new Date(Date.now() + at * 3_600_000).toISOString().slice(11, 16);
  return schedule.parse({ windows: [{ from: time(hours === 0 ? -1 : hours), to: time(hours + 1) }] });
}

/** Parts that replace those of the configured targets; `undefined`: the target is not configured. */
type Changes = Readonly<Record<string, Partial<TargetConfig> | undefined>>;

function contextWith(changes: Changes = {}) {
  const targets = Object.entries(test.config.targets).flatMap(([name, target]) =>
    name in changes && changes[name] === undefined ? [] : [[name, { ...target, ...changes[name] }] as const],
  );
  return { ...test.operations, config: { ...test.config, targets: Object.fromEntries(targets) } };
}
const study = (id = 'o-1', more: object = {}) => ({
  source: 'main',
  orthancStudyId: id,
  contentHash: 'h',
  transform: undefined,
  ...more,
});
const groupOf = (strategy: GroupOfStudy['strategy'], members: readonly string[] = ['a', 'b', 'c']): GroupOfStudy => ({
  name: 'any',
  strategy,
  members,
});
let studies = 0;
/** The members that the next new studies get. */
async function next(group: GroupOfStudy, { changes = {}, count = 1 }: { changes?: Changes; count?: number } = {}) {
  const chosen: string[] = [];
  for (let at = 0; at < count; at += 1) {
    studies += 1;
    chosen.push((await chooseMember(contextWith(changes), group, study(`o-${studies}`))).target);
  }
  return chosen;
}
const open = (target: string) =>
  new Circuits(test.redis, test.config.redis.prefix, { firstMs: 3_600_000, maxMs: 3_600_000 }).fail(target, error);

describe('a target can be used', () => {
  it.each<[string, { closed: boolean; probe: boolean }, Changes, (() => Promise<unknown>)?]>([
    ['', { closed: true, probe: true }, {}],
    [', but not if it is disabled', { closed: false, probe: false }, { a: { enabled: false } }],
    [', but not if it is not configured', { closed: false, probe: false }, { a: undefined }],
    [' inside its schedule', { closed: true, probe: true }, { a: { schedule: window(0) } }],
    [', but not outside of its schedule', { closed: false, probe: false }, { a: { schedule: window(5) } }],
    [
      ', but not if it is paused',
      { closed: false, probe: false },
      {},
      () => test.operations.queues.target('a').pause(),
    ],
    [', but not while its circuit waits', { closed: false, probe: false }, {}, () => open('a')],
    [
      ' for a probe that is due',
      { closed: false, probe: true },
      {},
      async () => {
        await open('a');
        await test.operations.circuits.probeNow('a');
      },
    ],
    [
      ', but not while another delivery probes it',
      { closed: false, probe: false },
      {},
      async () => {
        await open('a');
        await test.operations.circuits.probeNow('a');
        expect(await test.operations.circuits.check('a')).toEqual({ kind: 'probe' });
      },
    ],
  ])('%s', async (_what, expected, changes, prepare) => {
    await prepare?.();
    const context = contextWith(changes);
    expect({
      closed: await isUsable(context, 'a', 'closed'),
      probe: await isUsable(context, 'a', 'probe'),
    }).toEqual(expected);
  });
});

describe('first-available', () => {
  it('selects the first member that can be used, in the order of the group', async () => {
    expect(await next(groupOf('first-available'), { count: 2 })).toEqual(['a', 'a']);
    expect(await next(groupOf('first-available', ['c', 'a']))).toEqual(['c']);
    await open('a');
    expect(await next(groupOf('first-available'))).toEqual(['b']);
    // The circuit is due for a probe: this study probes it.
    await test.operations.circuits.probeNow('a');
    expect(await next(groupOf('first-available'))).toEqual(['a']);
  });

  it.each<[string, string, Changes]>([
    [
      'whose schedule opens first, but none that is disabled',
      'c',
      { a: { schedule: window(9) }, b: { schedule: window(2), enabled: false }, c: { schedule: window(6) } },
    ],
    ['that is first in the group if all are disabled', 'a', offAll('a', 'b', 'c')],
    ['that is first of those in the configuration', 'b', { ...offAll('b', 'c'), a: undefined }],
    ['that is first in the group if none is in the configuration', 'a', { a: undefined, b: undefined, c: undefined }],
  ])('selects the member %s, if none can be used', async (_which, expected, changes) => {
    expect(await next(groupOf('first-available'), { changes })).toEqual([expected]);
  });

  it('names the group if that has no member', async () => {
    expect(await next(groupOf('first-available', []))).toEqual(['any']);
  });
});

function offAll(...names: readonly string[]): Changes {
  return Object.fromEntries(names.map((name) => [name, { enabled: false }]));
}

describe('round-robin', () => {
  it('gives each member a study in turn, separately for each group', async () => {
    const group = groupOf('round-robin');
    expect(await next(group, { count: 4 })).toEqual(['a', 'b', 'c', 'a']);
    expect(await next({ ...group, name: 'other' })).toEqual(['a']);
    expect(await next(group)).toEqual(['b']);
  });

  it('passes over members that cannot be used, or are not in the configuration', async () => {
    const group = groupOf('round-robin');
    expect(await next(group, { changes: { a: { enabled: false } }, count: 3 })).toEqual(['b', 'b', 'c']);
    expect(await next(group, { changes: { b: undefined }, count: 3 })).toEqual(['c', 'a', 'c']);
  });

  it('counts nothing for a group with one member', async () => {
    expect(await next(groupOf('round-robin', ['b']))).toEqual(['b']);
    expect(await test.redis.get(test.operations.keys.roundRobin('any'))).toBeNull();
  });
});

describe('least-busy', () => {
  /** Adds a job that is counted, or not. */
  async function busy(target: string, how: 'waiting' | 'prioritized' | 'delayed' | 'active' | 'failed'): Promise<void> {
    const queue = test.operations.queues.target(target);
    const id = `${target}-${how}`;
    if (how === 'waiting' || how === 'prioritized') {
      await queue.add('delivery', {}, { jobId: id, ...(how === 'prioritized' && { priority: 30 }) });
    } else if (how === 'delayed') await queue.add('delivery', {}, { jobId: id, delay: 3_600_000 });
    else if (how === 'active') await test.redis.rpush(queue.toKey('active'), id);
    else await test.redis.zadd(queue.toKey('failed'), 1, id);
  }

  it.each(['waiting', 'prioritized', 'delayed', 'active'] as const)('counts %s deliveries', async (how) => {
    await busy('a', how);
    await busy('b', how);
    expect(await next(groupOf('least-busy'))).toEqual(['c']);
  });

  it('does not count deliveries that have ended', async () => {
    await busy('a', 'failed');
    await busy('b', 'waiting');
    await busy('c', 'waiting');
    expect(await next(groupOf('least-busy'))).toEqual(['a']);
  });

  it('adds up all of a member, and gives equally busy members studies in turn', async () => {
    await busy('a', 'waiting');
    await busy('a', 'delayed');
    await busy('b', 'active');
    await busy('c', 'prioritized');
    // The order begins with a, b, c, a.
    expect(await next(groupOf('least-busy'), { count: 4 })).toEqual(['b', 'b', 'c', 'b']);
  });

  it('selects only from members that can be used; from all if none can', async () => {
    await busy('a', 'waiting');
    await busy('c', 'waiting');
    expect(await next(groupOf('least-busy'), { changes: { b: { enabled: false } } })).toEqual(['a']);
    expect(await next(groupOf('least-busy'), { changes: offAll('a', 'b', 'c') })).toEqual(['b']);
  });
});

describe('the choice for a study', () => {
  const group = groupOf('first-available');
  const again = (changes: Changes = {}, more: object = {}, of = group) =>
    chooseMember(contextWith(changes), of, study('o-1', more));

  it('is kept for half a year, also if another member is better now', async () => {
    expect(await again()).toEqual({ target: 'a', contentHash: 'h' });
    expect(await again({ a: { enabled: false } }, { contentHash: 'later' })).toEqual({ target: 'a', contentHash: 'h' });
    const left = await test.redis.ttl(test.operations.keys.choices('main', 'o-1'));
    expect(left).toBeGreaterThan(179 * 86_400);
    expect(left).toBeLessThanOrEqual(180 * 86_400);
  });

  it('is made again if its member has left the group or the configuration, and then kept', async () => {
    await again();
    expect(await again({ a: undefined })).toEqual({ target: 'b', contentHash: 'h' });
    expect(await again()).toEqual({ target: 'b', contentHash: 'h' });
    expect(await again({}, { contentHash: 'later' }, groupOf('first-available', ['c', 'a']))).toEqual({
      target: 'c',
      contentHash: 'later',
    });
    expect(await readChoice(contextWith(), 'any', study())).toEqual({ target: 'c', contentHash: 'later' });
    expect(await test.redis.ttl(test.operations.keys.choices('main', 'o-1'))).toBeGreaterThan(179 * 86_400);
  });

  it('is separate for each group and each transform of a rule', async () => {
    await again();
    const changes = offAll('a');
    expect((await again(changes, {}, { ...group, name: 'other' })).target).toBe('b');
    expect((await again(changes, { transform: 'renamed' })).target).toBe('b');
    expect((await again({}, { transform: 'renamed' })).target).toBe('b');
    expect((await again({})).target).toBe('a');
  });

  it('is that of the router which wrote it first', async () => {
    const racing = contextWith();
    const other = { target: 'c', contentHash: 'h', nonce: '~1' };
    // The other router writes between the look and the write of this one.
    const records = {
      deliveriesOf: async () => {
        await writeChoice(racing, 'any', study(), other);
        return [];
      },
    };
    expect(await chooseMember({ ...racing, records }, group, study())).toEqual(other);
  });

  const place = { name: 'any', strategy: 'first-available', members: ['a', 'b'], tried: [], keepsTransform: false };
  /** Records a delivery of the study to `b`; its choice was lost. */
  async function delivered(more: object, state = 'delivered'): Promise<void> {
    const { added } = await test.enqueue('1', { to: ['b'], instances: 1 });
    const data = deliveryData.parse({ ...added[0], orthancStudyId: 'o-1', deliveryId: 'd-1', group: place, ...more });
    await test.operations.records.routed({ ...data, targets: ['b'], lastUpdate: undefined } as never, [data]);
    await test.operations.records.update('d-1', { state: state as never });
  }
  const transform = { name: 'renamed', definition: { set: { StationName: 'X' } } };

  it.each<[string, object, object, string?]>([
    ['of the same group', {}, {}],
    ['with its nonce', { nonce: '~2' }, {}],
    ['in the form of its member', { transform }, {}],
    ['in the form of its rule', { transform, group: { ...place, keepsTransform: true } }, { transform: 'renamed' }],
    ['that has failed', {}, {}, 'failed'],
  ])('is that of its delivery %s, if it was lost', async (_which, more, of, state) => {
    await delivered(more, state);
    const { contentHash } = (await test.operations.records.delivery('d-1'))!;
    expect(await again({}, of)).toEqual({ target: 'b', contentHash, ...('nonce' in more && { nonce: more.nonce }) });
  });

  it.each<[string, object, object, string?]>([
    ['of another group', { group: { ...place, name: 'other' } }, {}],
    ['without a group', { group: undefined }, {}],
    ['that was moved', {}, {}, 'moved'],
    ['in the form of another rule', { transform, group: { ...place, keepsTransform: true } }, {}],
    ['without the form of the rule', {}, { transform: 'renamed' }],
  ])('does not follow from a delivery %s', async (_which, more, of, state) => {
    await delivered(more, state);
    expect((await again({}, of)).target).toBe('a');
  });
});
