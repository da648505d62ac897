import { waitFor } from '@dicom-dispatch/harness';
import { expect, it } from 'vitest';
import { startFaultScp } from './support/fault-scp.ts';
import { pacsTarget } from './support/pacs-target.ts';
import { startInProcess } from './support/start-in-process.ts';
import { startSystem } from './support/system.ts';

it('one delivery for an unreachable target waits with default settings for any time, and continues when the target is available', async () => {
  await using system = await startSystem();
  await using scp = await startFaultScp();
  await scp.down();
  await using running = await startInProcess({
    config: system.config({ pacs: pacsTarget(scp) }),
    lockTimeMs: 15_000,
    // Longer than a free slot of a worker waits for a job (5 s) and than a lock lasts, as the pauses of a real outage are.
    circuitPauses: { firstMs: 20_000, maxMs: 20_000 },
  });
  const study = await system.upload({ seed: 'dead', instancesPerSeries: 2 });
  const { deliveryId } = await system.untilDelivery(study, 'pacs', ['waiting']);
  const job = `{dicom-dispatch}:target-pacs:${deliveryId}`;
  const failures = async () => Number(await system.client.hget('{dicom-dispatch}:circuit:pacs', 'failures'));
  await waitFor(async () => (await failures()) >= 1, { message: 'the circuit opens' });
  // One stall more would be one too many.
  await system.client.hset(job, 'stc', 20);
  let isEverWithoutLock = false;
  await waitFor(
    async () => {
      const looked = await system.client
        .multi()
        .lpos('{dicom-dispatch}:target-pacs:active', deliveryId)
        .exists(`${job}:lock`)
        .exec();
      const [place, locks] = (looked ?? []).map(([, answer]) => answer);
      if (typeof place === 'number' && locks !== 1) isEverWithoutLock = true;
      return (await failures()) >= 2;
    },
    { intervalMs: 20, message: 'the probe has failed' },
  );
  expect(isEverWithoutLock).toBe(false);
  expect(await system.client.hget(job, 'stc')).toBe('20');
  // The circuit is written before the delivery.
  await waitFor(async () => (await system.records.delivery(deliveryId))?.waits === 2);
  expect(await system.records.delivery(deliveryId)).toMatchObject({
    state: 'waiting',
    wake: 'circuit',
    attempts: 0,
    error: { code: 'target-unreachable' },
  });
  await scp.up();
  const done = await system.untilDelivery(study, 'pacs', ['delivered']);
  expect(done).toMatchObject({ attempts: 1, wake: undefined });
  expect(scp.accepted()).toEqual(study.datasets);
  expect(running.redis.status).toBe('ready');
});
