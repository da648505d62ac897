import { parseConfig, type Config } from '@dicom-dispatch/core';
import {
  startLyingProxy,
  startOrthanc,
  startRedis,
  type LyingProxy,
  type OrthancServer,
  type RedisServer,
} from '@dicom-dispatch/harness';
import { createOrthancClient, type OrthancClient } from '@dicom-dispatch/orthanc';
import {
  isMarkedPulled,
  openPipeline,
  readForRouting,
  StudyEnqueuer,
  wasPulled,
  type PipelineContext,
} from '@dicom-dispatch/pipeline';
import { connectRedis, createLogger, type Redis } from '@dicom-dispatch/runtime';
import { makeStudy } from '@dicom-dispatch/samples';
import { Priors, PulledStudies } from '@dicom-dispatch/state/priors';
import { redisNow } from '@dicom-dispatch/state/redis';
import { targetSchemas } from '@dicom-dispatch/targets/schemas';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { runPriors, type PriorsDependencies } from './run-priors.ts';

let source: OrthancServer;
let archive: OrthancServer;
let proxy: LyingProxy;
let server: RedisServer;
let redis: Redis;
let config: Config;
let pipeline: PipelineContext;
let enqueuer: StudyEnqueuer;
let orthanc: OrthancClient;
const log = createLogger('test', { level: 'fatal', format: 'json' });

beforeAll(async () => {
  [source, archive, server] = await Promise.all([startOrthanc(), startOrthanc(), startRedis({ appendonly: false })]);
  proxy = await startLyingProxy({ url: archive.url });
  redis = connectRedis(server.url, 'test', log);
  const parsed = parseConfig(
    {
      sources: { main: { url: source.url } },
      targets: { a: { type: 'dummy' }, archive: { type: 'orthanc', url: proxy.url } },
      rules: [{ name: 'r', targets: ['a'], priors: { from: 'archive', first: true } }],
    },
    Object.values(targetSchemas) as never,
  );
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  config = parsed.config;
  pipeline = openPipeline(config, redis);
  enqueuer = new StudyEnqueuer(config, redis, pipeline.records);
  orthanc = createOrthancClient({ url: source.url });
});
beforeEach(async () => {
  proxy.beHonest();
  await redis.flushall();
});
afterAll(async () => {
  await enqueuer?.close();
  await pipeline?.close();
  await orthanc?.close();
  redis?.disconnect();
  await proxy?.stop();
  await Promise.all([source?.stop(), archive?.stop(), server?.stop()]);
});

class Killed extends Error {}

/** Commands with an effect; a process that crashes between two reads has done nothing. */
const acts = new Set<PropertyKey>(['save', 'drop', 'enqueue', 'update', 'expect', 'end']);

/** Executes the first commands of all wrapped objects up to this number; then the process is dead. */
function dyingAfter(calls: number) {
  let left = calls;
  const wrap = <T extends object>(of: T): T =>
    new Proxy(of, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== 'function') return value;
        return async (...args: unknown[]) => {
          if (acts.has(name)) left -= 1;
          if (left < 0) throw new Killed();
          const result: unknown = await value.apply(target, args);
          if (left === 0 && acts.has(name)) throw new Killed();
          return result;
        };
      },
    });
  return { wrap, isDead: () => left <= 0 };
}

function study(patient: string, date: string) {
  return makeStudy({
    seed: `kill ${patient} ${date}`,
    instancesPerSeries: 2,
    rows: 16,
    columns: 16,
    attributes: { PatientID: patient, StudyDate: date },
  });
}

/** A study whose prior is in the archive, and its step. */
async function begin(patient: string) {
  const prior = study(patient, '20240101');
  let archived = '';
  for (const { bytes } of prior) archived = (await archive.upload(bytes)).ID;
  let orthancStudyId = '';
  for (const { bytes } of study(patient, '20250101')) orthancStudyId = (await source.upload(bytes)).ParentStudy;
  const snapshot = await readForRouting(orthanc, config, [], { source: 'main', orthancStudyId });
  const { deliveries } = await enqueuer.enqueue({
    source: 'main',
    epoch: '1',
    study: snapshot.study,
    manifest: snapshot.manifest,
    rules: ['r'],
    deliveries: [
      {
        to: 'a',
        rules: ['r'],
        priority: 'normal',
        hold: false,
        late: 'difference',
        priors: [{ rule: 'r', count: 2, from: 'archive', first: true, wait: 60_000 }],
      },
    ],
  });
  await new Priors(redis, config.redis.prefix).open(deliveries[0]!);
  return {
    prior,
    orthancStudyId,
    /** The archive does not give the last instance of the prior. */
    incomplete: () =>
      proxy.lie(({ path }) =>
        path === `/instances/${archived}/file`
          ? { kind: 'text', contentType: 'text/html', body: 'not now' }
          : undefined,
      ),
  };
}

/** Whether the router would treat the source's content of a prior as an arriving study. */
async function isNews(
  { studyInstanceUid }: ReturnType<typeof study>,
  before?: Awaited<ReturnType<typeof readForRouting>>,
): Promise<boolean> {
  const pulled = new PulledStudies(redis, config.redis.prefix);
  const found = (await orthanc.lookup(studyInstanceUid)).find(({ Type }) => Type === 'Study');
  if (!found) return false;
  const read = () => readForRouting(orthanc, config, [], { source: 'main', orthancStudyId: found.ID });
  return !(await wasPulled({ records: pipeline.records, pulled }, 'main', before ?? (await read()), read));
}

/** One run of the due step, by a dispatcher that crashes or not. */
async function run(kill?: ReturnType<typeof dyingAfter>, more: Partial<PriorsDependencies> = {}): Promise<void> {
  // Leases of crashed dispatchers have expired.
  const locks = await redis.keys('*:lock');
  if (locks.length > 0) await redis.del(locks);
  const wrap: <T extends object>(of: T) => T = kill?.wrap ?? ((of) => of);
  const { prefix } = config.redis;
  const priors = new Priors(redis, prefix);
  const token = `t${Math.random()}`;
  await redis.zadd(
    `${prefix}:index:priors`,
    'XX',
    0,
    (await redis.zrange(`${prefix}:index:priors`, '0', '0'))[0] ?? '',
  );
  const step = await priors.claim(token);
  if (!step) return;
  const dependencies: PriorsDependencies = {
    config,
    redis,
    records: wrap(pipeline.records),
    enqueuer: wrap(enqueuer),
    priors: wrap(priors),
    pulled: wrap(new PulledStudies(redis, prefix)),
    token,
    signal: new AbortController().signal,
    now: () => redisNow(redis, prefix),
    source: async () => orthanc,
    log,
    exclusively: (_, act) => act(),
    wake: async () => {},
    ...more,
  };
  await runPriors(dependencies, step).catch((error: unknown) => {
    if (!kill?.isDead()) throw error;
  });
}

it('killed after any step, the prior is sent once and is no new arrival', async () => {
  const { prefix } = config.redis;
  const priors = new Priors(redis, prefix);
  let kills = 0;
  for (let calls = 1; ; calls += 1) {
    await redis.flushall();
    const patient = `K${calls}`;
    const { prior, orthancStudyId } = await begin(patient);
    const kill = dyingAfter(calls);
    await run(kill);
    const killed = kill.isDead();
    if (killed) kills += 1;

    // The router must not treat any current content of the source as an arriving study.
    const pulled = new PulledStudies(redis, prefix);
    expect([calls, await isNews(prior)]).toEqual([calls, false]);
    await run();
    expect([calls, await isNews(prior)]).toEqual([calls, false]);
    const [step] = await priors.of({ source: 'main', orthancStudyId });
    // The study waits for its arrival.
    expect([calls, step?.state, step?.chosen.map(({ state }) => state)]).toEqual([calls, 'sending', ['sent']]);
    const sent = await pipeline.records.deliveriesOfUid(prior.studyInstanceUid, 'main');
    expect([calls, sent.map(({ target, state }) => [target, state])]).toEqual([calls, [['a', 'waiting']]]);
    expect([calls, await pipeline.queues.target('a').getJobCountByTypes('waiting', 'prioritized', 'delayed')]).toEqual([
      calls,
      2,
    ]);
    expect(await pulled.underWay('main', prior.studyInstanceUid)).toEqual(new Set());
    // A dispatcher that has lost the step writes nothing.
    expect(await priors.save(step!, 'another', 'end')).toBe(false);

    await pipeline.records.update(sent[0]!.deliveryId, { state: 'delivered' });
    await run();
    expect((await priors.of({ source: 'main', orthancStudyId }))[0]?.state).toBe('done');
    expect(await redis.zcard(`${prefix}:index:priors`)).toBe(0);
    if (!killed) break;
  }
  expect(kills).toBeGreaterThan(5);
});

it.each([
  { asks: 1, instances: 2, note: undefined },
  { asks: 3, instances: 1, note: 'archive did not send 1 instance of it' },
])('a prior of which the archive gives not all for $asks asks goes with $instances of 2', async (meant) => {
  const { prior, orthancStudyId, incomplete } = await begin(`P${meant.asks}`);
  const { records } = pipeline;
  incomplete();
  for (let asks = 1; asks <= meant.asks; asks += 1) {
    expect(await records.deliveriesOfUid(prior.studyInstanceUid, 'main')).toEqual([]);
    await run();
    expect(await isNews(prior)).toBe(false);
  }
  proxy.beHonest();
  await run();
  const [step] = await new Priors(redis, config.redis.prefix).of({ source: 'main', orthancStudyId });
  expect(step?.chosen.map(({ state, note }) => [state, note])).toEqual([['sent', meant.note]]);
  const [sent] = await records.deliveriesOfUid(prior.studyInstanceUid, 'main');
  expect(sent?.instanceCount).toBe(meant.instances);
  expect(await isNews(prior)).toBe(false);
});

it('a prior that the router has read during its pull is no new arrival after the end of that', async () => {
  const { prior, incomplete } = await begin('R');
  incomplete();
  await run();
  const [found] = await orthanc.lookup(prior.studyInstanceUid);
  const during = await readForRouting(orthanc, config, [], { source: 'main', orthancStudyId: found?.ID ?? '' });
  expect(during.manifest).toHaveLength(1);
  proxy.beHonest();
  await run();
  expect(await isNews(prior, during)).toBe(false);
  // Without the data in Redis, the mark in the source is read.
  const isMarked = async (): Promise<boolean> => {
    const study = { source: 'main', orthancStudyId: found?.ID ?? '' };
    const { manifest } = await readForRouting(orthanc, config, [], study);
    return isMarkedPulled(orthanc, study.orthancStudyId, manifest);
  };
  expect(await isMarked()).toBe(true);
  // Additional instances make it an arriving study.
  const more = makeStudy({
    seed: 'kill R 20240101',
    instancesPerSeries: 3,
    rows: 16,
    columns: 16,
    attributes: { PatientID: 'R', StudyDate: '20240101' },
  });
  for (const { bytes } of more) await source.upload(bytes);
  expect(await isNews(prior)).toBe(true);
  expect(await isMarked()).toBe(false);
});

it('a step does not wait while another one pulls from the target: it is due again', async () => {
  const { orthancStudyId } = await begin('B');
  await run(undefined, { exclusively: async () => undefined });
  const [step] = await new Priors(redis, config.redis.prefix).of({ source: 'main', orthancStudyId });
  expect([step?.state, step?.attempts, step?.chosen.map(({ state }) => state)]).toEqual(['sending', 0, ['chosen']]);
  await run();
  expect(
    (await new Priors(redis, config.redis.prefix).of({ source: 'main', orthancStudyId }))[0]?.chosen,
  ).toMatchObject([{ state: 'sent' }]);
});

it('whose study leaves the source ends; what was pulled until then is no new arrival', async () => {
  const { prior, orthancStudyId, incomplete } = await begin('G');
  const { prefix } = config.redis;
  incomplete();
  await run();
  await orthanc.studies.delete(orthancStudyId);
  await run();
  const [step] = await new Priors(redis, prefix).of({ source: 'main', orthancStudyId });
  expect([step?.state, step?.chosen.map(({ state }) => state)]).toEqual(['done', ['omitted']]);
  expect((await new PulledStudies(redis, prefix).underWay('main', prior.studyInstanceUid)).size).toBe(0);
  expect(await isNews(prior)).toBe(false);
});

it('whose source is no longer in the configuration ends', async () => {
  const { orthancStudyId } = await begin('C');
  await run(undefined, { config: { ...config, sources: {} } });
  const [step] = await new Priors(redis, config.redis.prefix).of({ source: 'main', orthancStudyId });
  expect([step?.state, step?.note]).toEqual(['done', 'the source main is not in the configuration']);
});
