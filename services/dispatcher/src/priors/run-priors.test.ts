import { parseConfig, type Config } from '@dicom-dispatch/core';
import { startOrthanc, startRedis, type OrthancServer, type RedisServer } from '@dicom-dispatch/harness';
import { createOrthancClient, type OrthancClient } from '@dicom-dispatch/orthanc';
import { openPipeline, readForRouting, StudyEnqueuer, wasPulled, type PipelineContext } from '@dicom-dispatch/pipeline';
import { connectRedis, createLogger, type Redis } from '@dicom-dispatch/runtime';
import { makeStudy } from '@dicom-dispatch/samples';
import { Priors, PulledStudies } from '@dicom-dispatch/state/priors';
import { redisNow } from '@dicom-dispatch/state/redis';
import { targetSchemas } from '@dicom-dispatch/targets/schemas';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { runPriors, type PriorsSetting } from './run-priors.ts';

let source: OrthancServer;
let archive: OrthancServer;
let server: RedisServer;
let redis: Redis;
let config: Config;
let pipeline: PipelineContext;
let enqueuer: StudyEnqueuer;
let orthanc: OrthancClient;
const log = createLogger('test', { level: 'fatal', format: 'json' });

beforeAll(async () => {
  [source, archive, server] = await Promise.all([startOrthanc(), startOrthanc(), startRedis({ appendonly: false })]);
  redis = connectRedis(server.url, 'test', log);
  const parsed = parseConfig(
    {
      sources: { main: { url: source.url } },
      targets: { a: { type: 'dummy' }, archive: { type: 'orthanc', url: archive.url } },
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
beforeEach(() => redis.flushall());
afterAll(async () => {
  await enqueuer?.close();
  await pipeline?.close();
  await orthanc?.close();
  redis?.disconnect();
  await Promise.all([source?.stop(), archive?.stop(), server?.stop()]);
});

class Killed extends Error {}

/** What changes something; a process that dies between two reads has done nothing. */
const acts = new Set<PropertyKey>(['save', 'drop', 'enqueue', 'update', 'expect', 'end']);

/** Lets the first so many acts of all that is wrapped happen; then the process is dead. */
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

/** One run of the step that is due, by a dispatcher that dies or does not. */
async function run(kill?: ReturnType<typeof dyingAfter>): Promise<void> {
  // Leases of who is dead have run out.
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
  const setting: PriorsSetting = {
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
    inTurn: (_, act) => act(),
    wake: async () => {},
  };
  await runPriors(setting, step).catch((error: unknown) => {
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
    const prior = study(patient, '20240101');
    const own = study(patient, '20250101');
    for (const { bytes } of prior) await archive.upload(bytes);
    let orthancStudyId = '';
    for (const { bytes } of own) orthancStudyId = (await source.upload(bytes)).ParentStudy;
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
    await priors.open(deliveries[0]!);
    const kill = dyingAfter(calls);
    await run(kill);
    const killed = kill.isDead();
    if (killed) kills += 1;

    // Whatever is in the source now, the router must not take it for a study that arrives.
    const pulled = new PulledStudies(redis, prefix);
    const isNews = async (): Promise<boolean> => {
      const found = (await orthanc.lookup(prior.studyInstanceUid)).find(({ Type }) => Type === 'Study');
      if (!found) return false;
      const now = await readForRouting(orthanc, config, [], { source: 'main', orthancStudyId: found.ID });
      return !(await wasPulled({ records: pipeline.records, pulled }, 'main', now.study, now.manifest));
    };
    expect([calls, await isNews()]).toEqual([calls, false]);
    await run();
    expect([calls, await isNews()]).toEqual([calls, false]);
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
    // Whoever has lost the step writes nothing.
    expect(await priors.save(step!, 'another', 'end')).toBe(false);

    await pipeline.records.update(sent[0]!.deliveryId, { state: 'delivered' });
    await run();
    expect((await priors.of({ source: 'main', orthancStudyId }))[0]?.state).toBe('done');
    expect(await redis.zcard(`${prefix}:index:priors`)).toBe(0);
    if (!killed) break;
  }
  expect(kills).toBeGreaterThan(5);
});
