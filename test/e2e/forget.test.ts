import { waitFor } from '@dicom-dispatch/harness';
import { decodeStudy, encodeStudy } from '@dicom-dispatch/state/records';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startFaultScp } from './support/fault-scp.ts';
import { pacsTarget } from './support/pacs-target.ts';
import { startRoutingSystem, type RoutingSystem, type RunningRouting } from './support/routing-system.ts';

let system: RoutingSystem;
const day = 86_400_000;

beforeAll(async () => {
  system = await startRoutingSystem();
});
afterAll(() => system?.[Symbol.asyncDispose]());

/** Backdates everything that has happened so far: the records, and the times at which studies were found missing. */
async function age({ connection: redis, config }: RunningRouting, days: number): Promise<void> {
  const { prefix } = config.redis;
  for (const key of await redis.keys(`${prefix}:study:main:*`)) {
    const study = decodeStudy((await redis.get(key)) ?? '{}', { source: 'main', orthancStudyId: '' });
    await redis.set(key, encodeStudy({ ...study, routedAt: study.routedAt - days * day }));
  }
  for (const key of await redis.keys(`${prefix}:delivery:*`)) await redis.hincrby(key, 'updatedAt', -days * day);
  for (const key of [`${prefix}:index:studies-source:main`, `${prefix}:left:main`]) {
    for (const member of await redis.zrange(key, '0', '-1')) await redis.zincrby(key, -days * day, member);
  }
  await redis.hset(`${prefix}:forgetting:main`, 'endedAt', 0);
}

/** Stops the router and starts another, which checks at once because the last check seems long ago. */
async function restart(run: RunningRouting, done: (result: Record<string, string>) => boolean): Promise<void> {
  const key = `${run.config.redis.prefix}:forgetting:main`;
  await run.restart('router');
  await waitFor(
    async () => {
      const result = await run.connection.hgetall(key);
      return Number(result['endedAt']) > 0 && done(result);
    },
    { message: 'the router has looked' },
  );
}

it('data of a study that left its source long ago are removed, those of others are not; a returning study is new', async () => {
  await using scp = await startFaultScp();
  const raw = { targets: { pacs: pacsTarget(scp) }, records: { keep: '30d' } };
  await using run = await system.start(raw);
  const small = { series: 1, instancesPerSeries: 2 };
  const gone = await system.upload({ seed: 'gone', ...small });
  const kept = await system.upload({ seed: 'kept', ...small });
  for (const study of [gone, kept]) await run.until(study, 'pacs', 'delivered');
  await system.orthanc.send('DELETE', `/studies/${gone.orthancStudyId}`);
  expect(scp.stores.length).toBe(4);

  await age(run, 40);
  await restart(run, ({ inSource, forgotten }) => inSource === '1' && forgotten === '0');
  await age(run, 8);
  await restart(run, ({ forgotten }) => forgotten === '1');
  expect((await run.deliveries(kept)).length).toBe(1);
  expect(await run.deliveries(gone)).toEqual([]);
  expect(await run.connection.keys(`*${gone.studyInstanceUid}*`)).toEqual([]);
  const left = await run.connection.keys(`*${gone.orthancStudyId}*`);
  expect(left.filter((key) => !key.includes(':cache:'))).toEqual([]);

  // An existing study is not resent: neither by the sweep at each start, nor when it grows.
  const grown = await system.upload({ seed: 'kept', series: 2, instancesPerSeries: 2 });
  expect(grown.studyInstanceUid).toBe(kept.studyInstanceUid);
  await waitFor(() => scp.stores.length === 6);
  await system.upload({ seed: 'gone', ...small });
  await run.until(gone, 'pacs', 'delivered');
  expect(scp.stores.length).toBe(8);
  expect((await run.operations.records.counts()).delivered).toBe(3);
});
