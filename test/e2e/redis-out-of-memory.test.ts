import { setTimeout as sleep } from 'node:timers/promises';
import { waitFor } from '@dicom-dispatch/harness';
import { retryDelivery } from '@dicom-dispatch/operations';
import { openPipeline, reconcile } from '@dicom-dispatch/pipeline';
import { TaskRecords } from '@dicom-dispatch/state/tasks';
import { createLogger } from '@dicom-dispatch/runtime';
import { expect, it } from 'vitest';
import { startFaultScp } from './support/fault-scp.ts';
import { pacsTarget } from './support/pacs-target.ts';
import { startDispatch } from './support/start-dispatch.ts';
import { startInProcess } from './support/start-in-process.ts';
import { prefix, startSystem } from './support/system.ts';

it('Redis without memory during deliveries consumes nothing: they continue automatically', async () => {
  await using system = await startSystem();
  await using scp = await startFaultScp();
  scp.delayMs = 100;
  await using running = await startInProcess({
    config: system.config({ pacs: pacsTarget(scp, { attempts: 1, maxParallel: 1 }) }),
    lockTimeMs: 3_000,
  });
  const studies = await Promise.all(
    [1, 2, 3].map((number) =>
      system.upload({ seed: `memory ${number}`, instancesPerSeries: 40, rows: 16, columns: 16 }),
    ),
  );
  await waitFor(() => scp.stores.length >= 10, { message: 'deliveries are under way' });
  await system.redis.command('CONFIG', 'SET', 'maxmemory', 1);
  const before = scp.stores.length;
  await sleep(6_000);
  const sent = scp.stores.length - before;
  await system.redis.command('CONFIG', 'SET', 'maxmemory', 0);
  for (const study of studies) {
    const done = await system.untilDelivery(study, 'pacs', ['delivered', 'failed']);
    expect(done).toMatchObject({ state: 'delivered', failures: 0 });
  }
  expect(sent, 'what cannot be confirmed is not sent').toBeLessThan(30);
  expect(running.redis.status).toBe('ready');
});

it('a dispatcher that is killed once more than BullMQ allows leaves a delivery that continues', async () => {
  await using system = await startSystem();
  await using scp = await startFaultScp();
  scp.delayMs = 60;
  const config = system.config(
    { pacs: pacsTarget(scp, { attempts: 1, maxParallel: 1 }) },
    { dispatcher: { lockTime: '30s' } },
  );
  await using router = await startDispatch({ command: 'router', config });
  await using dispatcher = await startDispatch({ command: 'dispatcher', config });
  const study = await system.upload({ seed: 'killed', instancesPerSeries: 60, rows: 16, columns: 16 });
  await waitFor(() => scp.stores.length >= 5, { message: 'it is under way' });
  const { deliveryId } = await system.untilDelivery(study, 'pacs', ['active']);
  const job = `${prefix}:target-pacs:${deliveryId}`;
  // As if it had been killed 20 times.
  await system.client.hset(job, 'stc', 20);
  await dispatcher.kill('SIGKILL');
  await dispatcher.restart();
  const done = await system.untilDelivery(study, 'pacs', ['delivered', 'failed']);
  expect(done, dispatcher.output()).toMatchObject({ state: 'delivered', losses: 0 });
  expect(Number(await system.client.hget(job, 'stc'))).toBeGreaterThanOrEqual(21);
  expect(router.isRunning()).toBe(true);
});

it('a job that an earlier version gave up continues: it stalled too often, and its record waits or is active', async () => {
  await using system = await startSystem();
  await using scp = await startFaultScp();
  await scp.down();
  const config = system.config({ pacs: pacsTarget(scp) });
  await using router = await startInProcess({ config, services: ['router'] });
  const studies = await Promise.all(
    ['waiting', 'active'].map((seed) => system.upload({ seed: `given up ${seed}`, instancesPerSeries: 2 })),
  );
  const ids = await Promise.all(
    studies.map(async (study) => (await system.untilDelivery(study, 'pacs', ['waiting'])).deliveryId),
  );
  for (const [index, id] of ids.entries()) {
    const base = `${prefix}:target-pacs`;
    await system.client.zrem(`${base}:prioritized`, id);
    await system.client.zadd(`${base}:failed`, Date.now(), id);
    await system.client.hset(`${base}:${id}`, 'defa', 'job stalled more than allowable limit', 'stc', 21);
    // As an earlier version wrote its records.
    await system.client.hdel(`${prefix}:delivery:${id}`, 'wake', 'since');
    if (index === 1) await system.records.update(id, { state: 'active', worker: 'gone' });
  }
  await system.client.del(`${prefix}:index:open`);
  const operations = openPipeline(router.config, system.client);
  // An operator can act on either, ...
  await retryDelivery(operations, ids[1] ?? '', { name: 'tester' });
  // ... and need not.
  const { records, queues } = operations;
  const log = createLogger('test', { level: 'fatal', format: 'json' });
  const tasks = new TaskRecords(system.client, prefix);
  await reconcile({ config: () => router.config, redis: system.client, records, tasks, queues, log });
  await scp.up();
  await using dispatcher = await startInProcess({ config, services: ['dispatcher'] });
  for (const study of studies) await system.untilDelivery(study, 'pacs', ['delivered']);
  expect(dispatcher.redis.status).toBe('ready');
  await operations.close();
});
