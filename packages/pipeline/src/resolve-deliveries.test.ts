import { contentHash, schedule, Secret, type PlannedDelivery } from '@dicom-dispatch/core';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { writeChoice } from './choose-member.ts';
import { enqueueArriving } from './enqueue-arriving.ts';
import type { Enqueued } from './enqueue-study.ts';
import { planByName } from './resolve-deliveries.ts';
import { startTestPipeline, type EnqueueOptions, type TestPipeline } from './testing/start-test-pipeline.ts';

let test: TestPipeline;
beforeAll(async () => {
  test = await startTestPipeline(undefined, {
    sources: { main: { url: 'http://127.0.0.1:1' }, other: { url: 'http://127.0.0.1:2' } },
    targets: {
      formed: { type: 'dummy', transform: 'renamed' },
      ct: { type: 'dummy', instances: { exclude: ['MR/*'] } },
      pacs: { type: 'dicom', host: '127.0.0.1', port: 1, calledAeTitle: 'PACS' },
      'to-main': { type: 'orthanc', url: 'http://localhost:1' },
      'to-other': { type: 'orthanc', url: 'http://127.0.0.1:2' },
    },
    groups: {
      any: { targets: ['a', 'b'], strategy: 'first-available' },
      both: { targets: ['a', 'b'], strategy: 'all' },
    },
    pseudonyms: { secret: new Secret('k') },
    transforms: { renamed: { set: { StationName: 'X' } }, anonymous: { anonymise: {} } },
  });
});
afterAll(() => test[Symbol.asyncDispose]());
beforeEach(async () => {
  await test.redis.flushall();
});

const to = (target: string, more: Partial<PlannedDelivery> = {}): PlannedDelivery => ({
  to: target,
  rules: ['r'],
  priority: 'normal',
  hold: false,
  late: 'difference',
  ...more,
});
const group = { name: 'any', strategy: 'first-available', members: ['a', 'b'] } as const;
const route = (
  study: string,
  deliveries: readonly PlannedDelivery[],
  options: EnqueueOptions = {},
): Promise<Enqueued> => test.enqueue(study, { deliveries, ...options });
const targetsOf = ({ deliveries }: Enqueued): string[] => deliveries.map(({ target }) => target);

describe('a study does not return to its origin:', () => {
  const from = (...titles: string[]): EnqueueOptions => ({ senders: new Set(titles) });

  it('it is not sent to its own source, and the other targets get it', async () => {
    const enqueued = await route('1.2', [to('to-main'), to('a'), to('to-other')], from('CT1'));
    expect(targetsOf(enqueued)).toEqual(['a', 'to-other']);
    const omitted = [{ target: 'to-main', why: 'to-main is the source main itself' }];
    expect(enqueued.omitted).toEqual(omitted);
    expect(await test.operations.records.study({ source: 'main', orthancStudyId: 'o-1.2' })).toMatchObject({ omitted });
  });

  it('with new UIDs it is another study, and may return', async () => {
    const named = (transform: string) => route('1.2', [to('to-main', { transform })], from('CT1'));
    expect(targetsOf(await named('anonymous'))).toEqual(['to-main']);
    expect(targetsOf(await named('renamed'))).toEqual([]);
  });

  it('an operator may send it to its own source', async () => {
    expect(targetsOf(await route('1.2', [to('to-main')]))).toEqual(['to-main']);
  });

  it.each<[string[], string[], string]>([
    [[], ['PACS'], 'pacs'],
    [['pacs'], ['PACS', 'CT1'], 'pacs'],
    [['pacs'], ['CT1'], 'pacs'],
    [['pacs'], [''], 'pacs'],
    [['a'], ['a'], 'a'],
  ])('to %j, when all instances came from %j and the target is %s', async (expected, titles, target) => {
    const enqueued = await route('1.2', [to(target)], from(...titles));
    expect(targetsOf(enqueued)).toEqual(expected);
    expect(enqueued.omitted).toEqual(expected.length > 0 ? [] : [{ target, why: 'it came from PACS, which is pacs' }]);
  });

  /** The study was routed in the other source, from which it may have come. */
  async function earlier(target: string, patch: object, options: EnqueueOptions = {}, transform?: string) {
    const { deliveries } = await route('1.2', [to(target, transform === undefined ? {} : { transform })], {
      source: 'other',
      ...options,
    });
    await test.operations.records.update(deliveries[0]?.deliveryId ?? '', patch);
  }
  const back = async (): Promise<string[]> => targetsOf(await route('1.2', [to('to-other')], from('')));

  it.each([{ state: 'delivered' }, { state: 'active' }, { state: 'failed', confirmed: 1 }])(
    'a study that was copied from another source (%j) is not sent there',
    async (patch) => {
      await earlier('to-main', patch);
      const { deliveries, omitted } = await route('1.2', [to('to-other')], from(''));
      expect(deliveries).toEqual([]);
      expect(omitted).toEqual([{ target: 'to-other', why: 'it was copied here from other, which is to-other' }]);
    },
  );

  it('a study that was copied from another source is sent to every target that is no source', async () => {
    await earlier('to-main', { state: 'delivered' });
    const { deliveries, omitted } = await route('1.2', [to('a'), to('pacs')], from('CT1'));
    expect([deliveries.map(({ target }) => target), omitted]).toEqual([['a', 'pacs'], []]);
  });

  it('a study of another patient with the same UID did not bring it, except by a transform', async () => {
    await earlier('to-main', { state: 'delivered' }, { study: { orthancStudyId: 'o-elsewhere' } });
    expect(await back()).toEqual(['to-other']);
    await test.redis.flushall();
    await earlier('to-main', { state: 'delivered' }, { study: { orthancStudyId: 'o-elsewhere' } }, 'renamed');
    expect(await back()).toEqual([]);
  });

  it('a delivery that has sent nothing did not bring it, nor one to another target', async () => {
    await earlier('to-main', { state: 'failed' });
    await earlier('a', { state: 'delivered', confirmed: 2 });
    expect(await back()).toEqual(['to-other']);
  });

  it('a delivery to a target that is no longer configured did not bring it', async () => {
    await earlier('to-main', { state: 'delivered' });
    const { 'to-main': _, ...targets } = test.config.targets;
    test.enqueuer.reload({ ...test.config, targets });
    try {
      expect(await back()).toEqual(['to-other']);
    } finally {
      test.enqueuer.reload(test.config);
    }
  });
});

describe('late instances', () => {
  const never = { late: 'never' } as const;

  it('are not sent where they are never sent, and the study stays as it was there', async () => {
    const first = await route('1.2', [to('a', never), to('b')], { instances: 1 });
    expect(targetsOf(first)).toEqual(['a', 'b']);
    // The same content again is the same delivery.
    expect(
      (await route('1.2', [to('a', never), to('b')], { instances: 1 })).deliveries.map((one) => one.deliveryId),
    ).toEqual(first.deliveries.map((one) => one.deliveryId));
    const grown = await route('1.2', [to('a', never), to('b')], { instances: 2 });
    expect(targetsOf(grown)).toEqual(['b']);
    const why = 'it already received the study, and late instances are never sent';
    expect(grown.omitted).toEqual([{ target: 'a', why }]);
  });

  it('are sent in another form, to another target, at the request of an operator, or if the rule has `late: all`', async () => {
    await route('1.2', [to('a', never)], { instances: 1 });
    const again = (one: PlannedDelivery, options: EnqueueOptions = {}) =>
      route('1.2', [one], { instances: 2, ...options });
    expect(targetsOf(await again(to('a', { ...never, transform: 'renamed' })))).toEqual(['a']);
    expect(targetsOf(await again(to('b', never)))).toEqual(['b']);
    expect(targetsOf(await again(to('a', never), { nonce: 'n' }))).toEqual(['a']);
    expect(targetsOf(await again(to('a', { late: 'all' })))).toEqual(['a']);
  });

  it('of a study that was sent as it arrived are part of the same delivery', async () => {
    const planned = [to('a', { ...never, start: 'arrival' })];
    const study = { orthancStudyId: 'o-1.2', studyInstanceUid: '1.2', facts: { study: {}, series: [] } };
    const manifest = [{ sopInstanceUid: '1.2.0', version: '1' }];
    const [id] = await enqueueArriving(
      { ...test.operations, config: test.config },
      { source: 'main', epoch: '1', snapshot: { study, manifest } as never, rules: ['r'], deliveries: planned },
    );
    const whole = await route('1.2', planned, { instances: 2 });
    expect(whole.deliveries.map(({ deliveryId }) => deliveryId)).toEqual([id]);
  });
});

it('a target to which no instance of the study is sent gets no delivery', async () => {
  const tags = {
    study: {},
    series: new Map([
      ['1.3', { Modality: 'MR', SeriesDescription: 'x' }],
      ['1.4', { Modality: 'CT', SeriesDescription: 'x' }],
    ]),
  };
  const of = (seriesInstanceUid: string) =>
    ({ manifest: [{ sopInstanceUid: '1.5', seriesInstanceUid, version: '1' }], study: { tags } }) as never;
  const none = [{ target: 'ct', why: 'no instance of the study is selected' }];
  const without = { exclude: ['MR/*'] };
  const planned = [to('ct'), to('a'), to('b', { selections: [without] })];
  const mr = await route('1.2', planned, of('1.3'));
  expect(mr.omitted).toEqual([...none, { target: 'b', why: 'no instance of the study is selected' }]);
  expect(targetsOf(mr)).toEqual(['a']);
});

it('a delivery has the terms of its rules', async () => {
  const open = schedule.parse({ windows: [{ from: '08:00', to: '09:00' }] });
  const priors = [{ from: 'source', max: 2 }] as never;
  const selections = [{ only: 'true' }];
  const [full, plain] = (
    await route(
      '1.2',
      [
        to('formed', {
          selections,
          schedules: [open],
          priors,
          hold: true,
          priority: 'stat',
          late: 'all',
          start: 'arrival',
        }),
        to('a'),
      ],
      { study: { tags: { study: {}, series: new Map() } } as never },
    )
  ).deliveries;
  const terms = { selections, schedules: [open], priors, hold: true, priority: 'stat', late: 'all', rules: ['r'] };
  const { definition } = { definition: test.config.transforms['renamed'] };
  expect(full).toMatchObject({ ...terms, target: 'formed', transform: { name: 'renamed', definition } });
  // The study is complete, so that it is no delivery of one that arrives.
  for (const absent of ['arriving', 'group', 'nonce', 'again']) expect(full).not.toHaveProperty(absent);
  for (const absent of ['transform', 'selections', 'schedules', 'priors', 'hold', 'group', 'nonce', 'arriving'])
    expect(plain).not.toHaveProperty(absent);
  expect(plain).toMatchObject({ target: 'a', priority: 'normal', late: 'difference' });
});

it('the transform of a rule takes the place of that of the target', async () => {
  const { deliveries } = await route('1.2', [to('formed', { transform: 'anonymous' }), to('a', { transform: 'gone' })]);
  expect(deliveries[0]?.transform?.name).toBe('anonymous');
  // A transform that is no longer configured is no form.
  expect(deliveries[1]).not.toHaveProperty('transform');
});

it('two rules for one target in one form are one delivery, in two forms two', async () => {
  const planned = [to('formed', { rules: ['r'] }), to('formed', { rules: ['s'], transform: 'renamed' })];
  const { deliveries } = await route('1.2', [...planned, to('formed', { transform: 'anonymous' })]);
  expect(deliveries.map(({ rules, transform }) => [rules, transform?.name])).toEqual([
    [['r', 's'], 'renamed'],
    [['r'], 'anonymous'],
  ]);
  expect(new Set(deliveries.map(({ deliveryId }) => deliveryId)).size).toBe(2);
});

describe('a group', () => {
  it('is part of the delivery to the member that it has chosen, which no failure excludes yet', async () => {
    const { deliveries } = await route('1.2', [to('any', { group })]);
    expect(deliveries).toMatchObject([{ target: 'a', group: { ...group, tried: [], keepsTransform: false } }]);
    expect(deliveries[0]).not.toHaveProperty('nonce');
  });

  it('keeps the transform of the rule, not that of its member', async () => {
    const formed = { name: 'forms', strategy: 'first-available', members: ['formed', 'b'] } as const;
    const own = await route('1.2', [to('forms', { group: formed })]);
    expect(own.deliveries).toMatchObject([{ transform: { name: 'renamed' }, group: { keepsTransform: false } }]);
    const ruled = await route('1.3', [to('a'), to('forms', { group: formed, transform: 'anonymous' })]);
    expect(ruled.deliveries).toMatchObject([
      { target: 'a' },
      { transform: { name: 'anonymous' }, group: { keepsTransform: true } },
    ]);
    expect(ruled.deliveries[0]).not.toHaveProperty('group');
  });

  it('whose study has moved repeatedly continues the last delivery with the same content only', async () => {
    const manifest = [{ sopInstanceUid: '1.2.0', version: '1' }] as never;
    const place = { source: 'main', orthancStudyId: 'o-1.2', contentHash: contentHash(manifest), transform: undefined };
    const context = { redis: test.redis, config: test.config };
    await writeChoice(context, 'any', place, { target: 'b', nonce: '~1', contentHash: place.contentHash });
    const same = await route('1.2', [to('any', { group })], { manifest });
    expect(same.deliveries).toMatchObject([{ target: 'b', nonce: '~1' }]);
    const grown = await route('1.2', [to('any', { group })], { instances: 2 });
    expect(grown.deliveries).toMatchObject([{ target: 'b' }]);
    expect(grown.deliveries[0]).not.toHaveProperty('nonce');
    const requested = await route('1.2', [to('any', { group })], { manifest, nonce: 'n' });
    expect(requested.deliveries).toMatchObject([{ target: 'b', nonce: 'n' }]);
  });
});

it('names of an operator stand for targets, members of a group, or a group that chooses', () => {
  const terms = { rules: [], priority: 'stat' } as const;
  const shared = { ...terms, hold: false, late: 'difference' };
  expect(planByName(test.config, ['a', 'both', 'any'], terms)).toEqual([
    { to: 'a', ...shared },
    { to: 'a', ...shared },
    { to: 'b', ...shared },
    { to: 'any', ...shared, group },
  ]);
});
