import { setTimeout as sleep } from 'node:timers/promises';
import { startFaultProxy, startLyingProxy, waitFor } from '@dicom-dispatch/harness';
import {
  actOnMany,
  cancelDelivery,
  holdDelivery,
  releaseDelivery,
  retryAfterSuccess,
  retryDelivery,
} from '@dicom-dispatch/operations';
import { jobPlace, openPipeline, readReconcileReport, type PipelineContext } from '@dicom-dispatch/pipeline';
import { TaskRecords } from '@dicom-dispatch/state/tasks';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { startFaultScp } from './support/fault-scp.ts';
import { pacsTarget } from './support/pacs-target.ts';
import { startInProcess, type InProcess } from './support/start-in-process.ts';
import { prefix, startSystem, type System, type UploadedStudy } from './support/system.ts';

const actor = { name: 'tester' };
let system: System;
beforeAll(async () => {
  system = await startSystem();
});
afterAll(() => system[Symbol.asyncDispose]());

/** The studies of the previous test are unknown, and none of them is sent. */
beforeEach(async () => {
  await system.client.flushall();
});

const ruleFor = (target: string, more: object): Record<string, unknown> => ({
  rules: [{ name: 'all', targets: [target], ...more }],
});

function operationsOf(running: InProcess): PipelineContext {
  return openPipeline(running.config, system.client);
}

async function deliveryOf(study: UploadedStudy): Promise<string> {
  return (
    await waitFor(async () => (await system.records.deliveriesOf({ source: 'main', ...study }))[0], {
      message: 'the delivery is routed',
    })
  ).deliveryId;
}

/** Waits until the dispatcher has checked a held delivery, and has put it off. */
async function untilPutOff(operations: PipelineContext, target: string, deliveryId: string): Promise<void> {
  const queue = operations.queues.target(target);
  await waitFor(async () => (await jobPlace(system.client, queue, deliveryId)).state === 'delayed', {
    message: 'it is put off',
  });
}

it('a release takes effect immediately at any moment of the work of a remote dispatcher', async () => {
  await using scp = await startFaultScp();
  await using link = await startFaultProxy({ port: system.redis.port, latencyMs: 75 });
  const base = system.config({ release: pacsTarget(scp, { concurrency: 8 }) }, ruleFor('release', { hold: true }));
  await using router = await startInProcess({ config: base, services: ['router'] });
  const distant = { ...base, redis: { url: `redis://127.0.0.1:${link.port}` } };
  await using dispatcher = await startInProcess({ config: distant, services: ['dispatcher'] });
  const operations = operationsOf(router);
  const studies = await Promise.all(
    Array.from({ length: 8 }, (_, number) => system.upload({ seed: `release ${number}`, instancesPerSeries: 1 })),
  );
  await Promise.all(
    studies.map(async (study, number) => {
      const id = await deliveryOf(study);
      await untilPutOff(operations, 'release', id);
      // The dispatcher checks it, and each is released at another moment of this check.
      await retryDelivery(operations, id, actor);
      await sleep(number * 60);
      expect(await releaseDelivery(operations, id, actor)).toBe(true);
    }),
  );
  for (const study of studies) await system.untilDelivery(study, 'release', ['delivered']);
  // No release was lost and repaired later.
  expect((await readReconcileReport(system.client, prefix)).repairedInAll).toEqual({});
  expect(dispatcher.redis.status).toBe('ready');
  await operations.close();
});

it('a cancel holds although the link of the dispatcher to Redis is cut at that moment', async () => {
  await using scp = await startFaultScp();
  scp.delayMs = 150;
  await using link = await startFaultProxy({ port: system.redis.port });
  const base = system.config({ cancel: pacsTarget(scp, { maxParallel: 1 }) }, ruleFor('cancel', {}));
  await using router = await startInProcess({ config: base, services: ['router'] });
  const behind = { ...base, redis: { url: `redis://127.0.0.1:${link.port}` } };
  await using dispatcher = await startInProcess({ config: behind, services: ['dispatcher'] });
  const operations = operationsOf(router);
  const study = await system.upload({ seed: 'cancel', instancesPerSeries: 60 });
  const storesOf = ({ datasets }: UploadedStudy): number =>
    scp.stores.filter(({ sopInstanceUid }) => datasets.has(sopInstanceUid)).length;
  await waitFor(() => scp.stores.length >= 3, { message: 'it is under way' });
  // Slow until it is cancelled, however busy the machine is.
  scp.delayMs = 1_000;
  await link.set({ refuse: true });
  link.cut();
  await cancelDelivery(operations, await deliveryOf(study), actor);
  await waitFor(() => dispatcher.redis.status !== 'ready', { message: 'the dispatcher has lost Redis' });
  await link.heal();
  await system.untilDelivery(study, 'cancel', ['cancelled']);
  expect(storesOf(study)).toBeLessThan(55);
  const sent = storesOf(study);
  // Further instances would arrive before another delivery ends.
  scp.delayMs = 0;
  const next = await system.upload({ seed: 'after the cancel', instancesPerSeries: 20 });
  await system.untilDelivery(next, 'cancel', ['delivered']);
  expect(storesOf(study)).toBeLessThanOrEqual(sent + 2);
  expect(dispatcher.redis.status).toBe('ready');
  await operations.close();
});

it('a hold lasts until its release, also if deliveries are retried meanwhile', async () => {
  await using scp = await startFaultScp();
  await using running = await startInProcess({
    config: system.config({ hold: pacsTarget(scp) }, ruleFor('hold', { hold: true })),
  });
  const operations = operationsOf(running);
  const study = await system.upload({ seed: 'hold', instancesPerSeries: 1 });
  const id = await deliveryOf(study);
  await retryDelivery(operations, id, actor);
  expect(await actOnMany(operations, 'retry', { state: 'waiting', target: 'hold' }, actor)).toMatchObject({ done: 1 });
  await untilPutOff(operations, 'hold', id);
  expect(scp.stores).toEqual([]);
  expect(await system.records.look(id)).toMatchObject({ isHeld: true, record: { state: 'waiting', wake: 'person' } });
  await expect(holdDelivery(operations, id, actor)).resolves.toBeUndefined();
  await releaseDelivery(operations, id, actor);
  await system.untilDelivery(study, 'hold', ['delivered']);
  await operations.close();
});

it('actions in the source after success are executed when the source is available again, and shown meanwhile', async () => {
  await using scp = await startFaultScp();
  await using source = await startFaultProxy({ port: system.orthanc.httpPort });
  const sources = { main: { url: `http://127.0.0.1:${source.port}`, pollInterval: '200ms' } };
  await using running = await startInProcess({
    config: system.config(
      { after: pacsTarget(scp) },
      { sources, ...ruleFor('after', { onSuccess: { metadata: { 5555: 'sent' } } }) },
    ),
  });
  const tasks = new TaskRecords(system.client, prefix);
  scp.answer = async (_uid, count) => {
    if (count === 2) {
      await source.set({ refuse: true });
      source.cut();
    }
    return 0;
  };
  const study = await system.upload({ seed: 'after', instancesPerSeries: 3 });
  const { studyTaskId } = await system.untilDelivery(study, 'after', ['delivered']);
  await waitFor(async () => ((await tasks.read(studyTaskId))?.attempts ?? 0) >= 1, {
    message: 'it is tried',
  });
  expect(await tasks.read(studyTaskId)).toMatchObject({ state: 'due', error: { fault: 'source' } });
  expect((await readReconcileReport(system.client, prefix)).open).toBeGreaterThanOrEqual(0);
  await source.heal();
  await waitFor(async () => (await tasks.read(studyTaskId))?.state === 'done', {
    message: 'it is done',
  });
  const value = await system.orthanc.getBytes(`/studies/${study.orthancStudyId}/metadata/5555`);
  expect(value.toString()).toBe('sent');
  expect(running.redis.status).toBe('ready');
});

it('actions in the source after success are not abandoned because of the response of a proxy', async () => {
  await using scp = await startFaultScp();
  await using proxy = await startLyingProxy({ url: system.orthanc.url });
  const sources = { main: { url: proxy.url, pollInterval: '200ms' } };
  await using running = await startInProcess({
    config: system.config(
      { proxied: pacsTarget(scp) },
      { sources, ...ruleFor('proxied', { onSuccess: { metadata: { 5556: 'sent' }, delete: true } }) },
    ),
  });
  const operations = operationsOf(running);
  const tasks = new TaskRecords(system.client, prefix);
  let status = 404;
  scp.answer = (_uid, count) => {
    if (count === 1) proxy.lie(({ path }) => (path.startsWith('/studies') ? { kind: 'status', status } : undefined));
    return 0;
  };
  const study = await system.upload({ seed: 'proxied', instancesPerSeries: 2 });
  const { studyTaskId } = await system.untilDelivery(study, 'proxied', ['delivered']);
  for (const [tried, next] of [
    [1, 403],
    [2, 400],
    [3, 405],
    [4, 0],
  ] as const) {
    const task = await waitFor(
      async () => {
        const read = await tasks.read(studyTaskId);
        return read?.state === 'done' || (read?.attempts ?? 0) >= tried ? read : undefined;
      },
      { message: `it is tried against ${status}` },
    );
    expect(task, `${status}`).toMatchObject({ state: 'due', left: [] });
    if (next === 0) proxy.beHonest();
    else status = next;
    await retryAfterSuccess(operations, { source: 'main', ...study });
  }
  await waitFor(async () => (await tasks.read(studyTaskId))?.state === 'done');
  expect(await tasks.read(studyTaskId)).toMatchObject({ left: [] });
  expect(await system.orthanc.studies()).not.toContain(study.orthancStudyId);
  await operations.close();
});
