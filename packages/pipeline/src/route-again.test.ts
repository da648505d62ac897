import { IntermediateCache } from '@dicom-dispatch/cache';
import { cacheConfig, compileRules, contentHash, deliveryData, ledgerKeyOf, Secret } from '@dicom-dispatch/core';
import { startOrthanc, waitFor, type OrthancServer } from '@dicom-dispatch/harness';
import { makeStudy } from '@dicom-dispatch/samples';
import { openSource, type OrthancClient } from '@dicom-dispatch/sources';
import { PulledStudies } from '@dicom-dispatch/state/priors';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { previewRoute } from './plan-route.ts';
import { isMarkedPulled, pullsPriors } from './pulled-mark.ts';
import { readForRouting } from './read-for-routing.ts';
import { currentEpoch, routeAgain } from './route-again.ts';
import { shareManifest } from './shared-manifest.ts';
import { notePulled, sendPrior, type SendPriorContext } from './send-prior.ts';
import { startTestPipeline, type TestPipeline } from './testing/start-test-pipeline.ts';
import { wasPulled } from './was-pulled.ts';

let server: OrthancServer;
let test: TestPipeline;
let orthanc: OrthancClient;
let orthancStudyId = '';
let prior = '';
const actor = { name: 'otto' };

beforeAll(async () => {
  server = await startOrthanc();
  test = await startTestPipeline(undefined, {
    sources: { main: { url: server.url } },
    targets: { odd: { type: 'dummy', instances: { only: 'instance.InstanceNumber == 1' } } },
    groups: { any: { targets: ['a', 'b'], strategy: 'first-available' } },
    transforms: { renamed: { set: { StationName: 'X' } } },
    rules: [
      { name: 'all', targets: ['a'], priority: 'urgent', onSuccess: { labels: ['sent'] } },
      { name: 'none', when: "study.StudyDescription == 'no study has this'", targets: ['b'] },
    ],
  });
  orthanc = await openSource({ url: server.url } as never);
  const upload = async (seed: string): Promise<string> => {
    let id = '';
    const study = makeStudy({ seed, instancesPerSeries: 2, rows: 16, columns: 16, attributes: { PatientID: 'P' } });
    for (const { bytes } of study) ({ ParentStudy: id } = await server.upload(bytes));
    return id;
  };
  orthancStudyId = await upload('study');
  prior = await upload('prior');
});
afterAll(async () => {
  await orthanc?.close();
  await test?.[Symbol.asyncDispose]();
  await server?.stop();
});
beforeEach(async () => {
  await test.redis.flushall();
});

const study = () => ({ source: 'main', orthancStudyId });
const route = (more: object = {}) =>
  routeAgain(test.operations, { ...study(), ...more }, orthanc, actor, test.enqueuer);
const read = (id = orthancStudyId) => readForRouting(orthanc, test.config, [], { source: 'main', orthancStudyId: id });

describe('a study that an operator routes', () => {
  it('by its rules is routed as if it had just arrived, each time again', async () => {
    const first = await route();
    expect(first.added).toMatchObject([{ target: 'a', rules: ['all'], priority: 'urgent', epoch: '1' }]);
    expect(await test.tasks.read(first.studyTaskId)).toMatchObject({ data: { onSuccess: { labels: ['sent'] } } });
    const { deliveryId } = first.added[0]!;
    const event = { kind: 'operator', text: 'routed by otto' };
    expect((await test.operations.records.events(deliveryId)).at(-1)).toMatchObject(event);
    const second = await route();
    expect(second.added).toHaveLength(1);
    expect(second.added[0]?.deliveryId).not.toBe(deliveryId);
    expect(await test.operations.records.study(study())).toMatchObject({ rules: ['all'], targets: ['a'] });
  });

  it('to named targets has the priority of the request, and no actions in the source', async () => {
    const { added, studyTaskId } = await route({ targets: ['b', 'any'], priority: 'stat', nonce: 'n' });
    expect(added.map(({ target, priority, rules, nonce }) => [target, priority, rules, nonce])).toEqual([
      ['b', 'stat', [], 'n'],
      ['a', 'stat', [], 'n'],
    ]);
    expect(await test.tasks.read(studyTaskId)).toBeUndefined();
    const { events } = test.operations.records;
    const [last] = (await events.call(test.operations.records, added[0]!.deliveryId)).slice(-1);
    expect(last?.text).toBe('routed by otto to this target');
    expect((await test.operations.records.study(study()))?.lastUpdate).toBeUndefined();
  });

  it('to named targets has the priority of its rules if the request has none', async () => {
    expect((await route({ targets: ['b'] })).added).toMatchObject([{ priority: 'urgent' }]);
  });

  it('by one rule has the deliveries of this rule', async () => {
    const { added, studyTaskId } = await route({ rule: 'all' });
    expect(added).toMatchObject([{ target: 'a', rules: ['all'] }]);
    expect(await test.tasks.read(studyTaskId)).toBeUndefined();
    const events = await test.operations.records.events(added[0]!.deliveryId);
    expect(events.at(-1)?.text).toBe('routed by otto by the rule all');
  });

  it('keeps the epoch in which it is known', async () => {
    await test.enqueue('1', { epoch: '7', study: study() });
    expect((await route()).added).toMatchObject([{ epoch: '7' }]);
  });

  it.each([
    [{ source: 'gone' }, 'not-found', 'there is no source "gone"'],
    [{ targets: ['gone'] }, 'not-found', 'there is no target "gone"'],
    [{ rule: 'gone' }, 'not-found', 'there is no rule "gone"'],
    [{ rule: 'none' }, 'conflict', 'the rule none does not match this study: name the targets that should receive it'],
  ])('with %j is refused', async (request, code, message) => {
    await expect(route(request)).rejects.toMatchObject({ code, message: expect.stringContaining(message) as string });
    expect(await test.operations.records.study(study())).toBeUndefined();
  });

  it('that no rule matches is refused', async () => {
    const config = { ...test.config, rules: [] };
    const context = { ...test.operations, config: () => config };
    await expect(routeAgain(context, study(), orthanc, actor)).rejects.toMatchObject({
      code: 'conflict',
      message: 'no rule matches this study: name the targets that should receive it',
    });
  });

  /** The target has confirmed the first instance. */
  async function confirm(target: string) {
    const { manifest, study: facts } = await read();
    const { studyInstanceUid } = facts;
    const key = ledgerKeyOf({ ...study(), studyInstanceUid, target });
    const { sopInstanceUid, version } = manifest.find((one) => one.instanceNumber === 1) ?? manifest[0]!;
    await test.operations.ledger.confirm(key, [{ sopInstanceUid, version, deliveryId: 'd', attempt: 1 }]);
    return key;
  }

  it('is previewed with what each target has: for a group of all members', async () => {
    await confirm('b');
    const preview = (targets: readonly string[]) => previewRoute(test.operations, { ...study(), targets }, orthanc);
    expect(await preview(['any'])).toEqual([
      { target: 'a', total: 2, confirmed: 0 },
      { target: 'b', total: 2, confirmed: 1 },
    ]);
    await confirm('odd');
    expect(await preview(['odd'])).toEqual([{ target: 'odd', total: 1, confirmed: 1 }]);
    expect(await test.operations.records.study(study())).toBeUndefined();
  });

  it('loses the confirmations of its targets only if everything is to be sent again', async () => {
    const [a, b] = [await confirm('a'), await confirm('b')];
    await route({ targets: ['a'] });
    expect((await test.operations.ledger.entries(a)).size).toBe(1);
    await route({ targets: ['a'], everything: true });
    expect((await test.operations.ledger.entries(a)).size).toBe(0);
    expect((await test.operations.ledger.entries(b)).size).toBe(1);
  });
});

describe('facts of a study', () => {
  const rules = () =>
    compileRules(
      [{ ...test.config.rules[0]!, when: "study.PatientAge != 'x' && series.exists(one, one.KVP != 'x')" }] as never,
      test.config,
    );

  it('that are only in its files are the same from the cache, which also has its manifest for the deliveries', async () => {
    const redis = test.redis.duplicate();
    // Tags of patients are only cached with a secret.
    const config = cacheConfig.parse({ secret: new Secret('k'.repeat(32)) });
    const cache = await IntermediateCache.open(redis, config, { timeoutMs: 60_000 });
    try {
      const first = await readForRouting(orthanc, test.config, rules(), study(), { cache });
      expect(first.study.tags.study['PatientAge']).toMatch(/^\d{3}Y$/);
      // Orthanc may have found the study stable in between.
      const isStable = expect.any(Boolean) as boolean;
      const again = await readForRouting(orthanc, test.config, rules(), study(), { cache });
      expect(again).toEqual({ ...first, study: { ...first.study, isStable } });
      const { manifest } = first;
      const moment = { ...study(), lastUpdate: first.study.lastUpdate ?? '', contentHash: contentHash(manifest) };
      const shared = await shareManifest(cache, moment, () => Promise.reject(new Error('the source is read')));
      expect(shared).toEqual({ instances: manifest, isShared: true });
    } finally {
      redis.disconnect();
    }
  });

  it('of a study that is not in the source are an error about that', async () => {
    const gone = { source: 'main', orthancStudyId: '00000000-00000000-00000000-00000000-00000000' };
    await expect(readForRouting(orthanc, test.config, [], gone)).rejects.toMatchObject({ code: 'source-gone' });
  });
});

describe('an earlier study', () => {
  const context = (): SendPriorContext => ({
    config: test.config,
    redis: test.redis,
    records: test.operations.records,
    enqueuer: test.enqueuer,
  });
  const along = async (more: object = {}) => {
    const { deliveries } = await test.enqueue('1.9');
    return deliveryData.parse({ ...deliveries[0], priority: 'stat', ...more });
  };
  const key = () => ({ source: 'main', orthancStudyId: prior });

  it('is sent with the other one: to its target, in its form, once', async () => {
    const transform = { name: 'renamed', definition: test.config.transforms['renamed'] };
    const delivery = await along({ transform, selections: [{ only: 'true' }] });
    const sent = await sendPrior(context(), prior, delivery, orthanc);
    expect(sent).toMatchObject({
      kind: 'delivery',
      isNew: true,
      delivery: { target: 'a', transform, priority: 'stat', selections: [{ only: 'true' }], rules: ['r'] },
    });
    const id = sent.kind === 'delivery' ? sent.delivery.deliveryId : '';
    const text = 'sent as an earlier study of the patient of study 1.9';
    expect((await test.operations.records.events(id)).at(-1)).toMatchObject({ kind: 'noticed', text });
    expect(await sendPrior(context(), prior, delivery, orthanc)).toMatchObject({
      isNew: false,
      delivery: { deliveryId: id },
    });
    // The rules have not routed it.
    expect((await test.operations.records.study(key()))?.lastUpdate).toBeUndefined();
  });

  it('that is just being sent to the target is that delivery', async () => {
    const delivery = await along();
    const coming = { ...delivery, orthancStudyId: prior, deliveryId: 'd-coming', arriving: 'arrival' } as const;
    await test.operations.records.routed({ ...coming, targets: ['a'], lastUpdate: undefined }, [coming]);
    const sent = await sendPrior(context(), prior, delivery, orthanc);
    expect(sent).toMatchObject({ kind: 'delivery', isNew: false, delivery: { deliveryId: 'd-coming' } });
    const other = await sendPrior(context(), prior, await along({ target: 'b' }), orthanc);
    expect(other).toMatchObject({ kind: 'delivery', isNew: true, delivery: { target: 'b' } });
  });

  it('is not sent without the form of the other one, or if nothing of it is selected', async () => {
    const gone = await along({ transform: { name: 'gone', definition: test.config.transforms['renamed'] } });
    const why = 'the transform gone is no longer in the configuration';
    expect(await sendPrior(context(), prior, gone, orthanc)).toEqual({ kind: 'omitted', why });
    const none = await along({ selections: [{ only: 'false' }] });
    expect(await sendPrior(context(), prior, none, orthanc)).toEqual({
      kind: 'omitted',
      why: 'no instance of the study is selected',
    });
  });

  it('that was pulled completely is not routed, until the source has more of it', async () => {
    const pulled = new PulledStudies(test.redis, test.config.redis.prefix);
    const records = { records: test.operations.records, pulled };
    // Only a study that Orthanc reports as stable is noted with its last change.
    await waitFor(async () => (await read(prior)).study.isStable !== false);
    const snapshot = await read(prior);
    const uids = snapshot.manifest.map(({ sopInstanceUid }) => sopInstanceUid);
    const was = (manifest = snapshot.manifest) =>
      wasPulled(records, 'main', { ...snapshot, manifest }, async () => snapshot);
    expect(await was()).toBe(false);
    // During the pull.
    for (const uid of uids.slice(1)) await pulled.expect('main', snapshot.study.studyInstanceUid, uid);
    expect([await was(), await was(snapshot.manifest.slice(1))]).toEqual([false, true]);
    await pulled.end('main', snapshot.study.studyInstanceUid);
    // After it.
    await notePulled(context(), key(), new Set(uids.slice(1)), orthanc);
    expect(await test.operations.records.study(key())).toBeUndefined();
    expect(await isMarkedPulled(orthanc, prior, snapshot.manifest)).toBe(false);
    await notePulled(context(), key(), new Set(uids), orthanc);
    const record = await test.operations.records.study(key());
    expect(record).toMatchObject({ pulled: contentHash(snapshot.manifest), lastUpdate: snapshot.study.lastUpdate });
    expect(await isMarkedPulled(orthanc, prior, snapshot.manifest)).toBe(true);
    expect(await isMarkedPulled(orthanc, prior, snapshot.manifest.slice(1))).toBe(false);
    expect(await was()).toBe(true);
    // It was read before the pull had ended.
    expect(await was(snapshot.manifest.slice(1))).toBe(true);
    // A change of the study without other instances.
    await test.operations.records.enqueued({ ...record!, lastUpdate: 'before' });
    expect(await was()).toBe(true);
    expect((await test.operations.records.study(key()))?.lastUpdate).toBe(snapshot.study.lastUpdate);
    await test.operations.records.enqueued({ ...record!, pulled: 'another' });
    expect(await was()).toBe(false);
  });

  it('is only marked in the source if rules pull earlier studies', () => {
    const rules = (priors?: object) => ({ ...test.config, rules: [{ ...test.config.rules[0], priors }] }) as never;
    expect(pullsPriors(rules())).toBe(false);
    expect(pullsPriors(rules({ from: 'source' }))).toBe(false);
    expect(pullsPriors(rules({ from: 'a' }))).toBe(true);
  });

  it('that the source no longer has is not marked, and that is no error', async () => {
    expect(await isMarkedPulled(orthanc, '00000000-00000000-00000000-00000000-00000000', [])).toBe(false);
  });
});

it('the epoch of a source that was never followed is the first', async () => {
  expect(await currentEpoch(test.redis, test.config.redis.prefix, 'main')).toBe('1');
});
