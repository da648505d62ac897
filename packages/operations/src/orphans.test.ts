import type { Config } from '@dicom-dispatch/core';
import { jobPlace, openPipeline, type PipelineContext } from '@dicom-dispatch/pipeline';
import { isKilled, killedAfter, startTestPipeline, type TestPipeline } from '@dicom-dispatch/pipeline/testing';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { holdDelivery } from './hold-delivery.ts';
import { listOrphans, moveOrphan } from './orphans.ts';

const actor = { name: 'otto' };
let test: TestPipeline;
let context: PipelineContext;
beforeAll(async () => {
  test = await startTestPipeline();
  // The target `b` was removed from the configuration.
  const { b: _, ...targets } = test.config.targets;
  const config: Config = { ...test.config, targets };
  context = openPipeline(() => config, test.redis);
});
afterAll(async () => {
  await context?.close();
  await test?.[Symbol.asyncDispose]();
});
beforeEach(() => test.redis.flushall());

/** Moves its deliveries to `a`; the process ends after this number of writes of records. */
async function moveUntil(writes: number): Promise<void> {
  const records = killedAfter(writes, context.records);
  await isKilled(moveOrphan({ ...context, records }, 'b', 'a', actor));
}

const reconciled = (): Promise<void> => test.reconcile(() => context.config());

it.each([
  [1, false],
  [2, false],
  [3, false],
  [4, false],
  [1, true],
  [2, true],
  [3, true],
  [4, true],
])(
  'a delivery that is moved arrives there once after a crash when %s writes were made (held: %s)',
  async (writes, hold) => {
    const { added } = await test.enqueue('1.2.1', { to: ['b'] });
    const former = added[0]?.deliveryId ?? '';
    if (hold) await holdDelivery(context, former, actor);
    await moveUntil(writes);
    await reconciled();
    // Until it has left, the target is still shown as removed, and the operator repeats the command.
    const left = await context.records.delivery(former);
    expect(await listOrphans(context)).toEqual(left?.state === 'waiting' ? ['b'] : []);
    if (left?.state === 'waiting') expect(await moveOrphan(context, 'b', 'a', actor)).toEqual({ done: 1, left: 0 });
    await reconciled();
    expect((await context.records.delivery(former))?.state).toBe('moved');
    const { records } = await context.records.deliveries({ target: 'a', limit: 10 });
    expect(records).toHaveLength(1);
    const next = records[0]?.deliveryId ?? '';
    expect(await context.records.look(next)).toMatchObject({ isHeld: hold, record: { state: 'waiting' } });
    const { state } = await jobPlace(test.redis, context.queues.target('a'), next);
    if (!hold) expect(state).toBe('ready');
  },
);
