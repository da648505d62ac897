import { act, fromNow, type DeliveryState } from '@dicom-dispatch/state/records';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { jobPlace } from './queues/index.ts';
import { takeBackDelivery } from './take-back-delivery.ts';
import { startTestPipeline, type TestPipeline } from './testing/start-test-pipeline.ts';
import { callDelivery, wakeDelivery, type WakeContext } from './wake-delivery.ts';

let test: TestPipeline;
let context: WakeContext;
beforeAll(async () => {
  test = await startTestPipeline();
  context = { ...test.operations, config: test.config };
});
afterAll(() => test[Symbol.asyncDispose]());
beforeEach(async () => {
  await test.redis.flushall();
});

const queue = () => test.operations.queues.target('a');
const place = async (id: string): Promise<string> => (await jobPlace(test.redis, queue(), id)).state;

/** A delivery in a state, without a job. */
async function without(state: DeliveryState, patch: object = {}, hold = false): Promise<string> {
  const id = (await test.enqueue('1.2', { hold })).added[0]?.deliveryId ?? '';
  await queue().remove(id);
  await test.operations.records.update(id, { state, ...patch });
  return id;
}

describe('a call', () => {
  const call = async (id: string, now = Date.now()) =>
    callDelivery(context, (await test.operations.records.delivery(id))!, now);

  it.each(['delivered', 'partial', 'failed', 'source-gone', 'cancelled', 'moved', 'resolved'] as const)(
    'does not begin a delivery that has ended as %s',
    async (state) => {
      const id = await without(state);
      expect(await call(id)).toBe('ended');
      expect(await place(id)).toBe('missing');
    },
  );

  it('adds a lost job now, or when the delivery is due', async () => {
    const now = await without('waiting');
    expect(await call(now)).toBe('added');
    expect(await place(now)).toBe('ready');
    expect(await call(now)).toBe('live');
    await test.redis.flushall();
    const later = await without('waiting', { nextAttemptAt: fromNow(3_600_000), wake: 'due' });
    expect(await call(later)).toBe('added');
    const { state, delayedUntil = 0 } = await jobPlace(test.redis, queue(), later);
    expect(state).toBe('delayed');
    expect(Math.abs(delayedUntil - Date.now() - 3_600_000)).toBeLessThan(60_000);
    // A time that has passed is now.
    expect(await call(later, Date.now() + 7_200_000)).toBe('advanced');
    expect(await place(later)).toBe('ready');
  });

  it('by a state of its job that is no longer true does no harm', async () => {
    const id = await without('waiting');
    const record = (await test.operations.records.delivery(id))!;
    expect(await callDelivery(context, record, Date.now(), { state: 'ready' })).toBe('live');
    expect(await callDelivery(context, record, Date.now(), { state: 'failed' })).toBe('revived');
    expect(await place(id)).toBe('missing');
    expect(await callDelivery(context, record, Date.now(), { state: 'missing' })).toBe('added');
    expect(await callDelivery(context, record, Date.now(), { state: 'missing' })).toBe('added');
    expect(await queue().getJobCounts('prioritized')).toEqual({ prioritized: 1 });
  });
});

describe('a delivery that is woken', () => {
  it('continues now', async () => {
    const id = await without('waiting', { nextAttemptAt: fromNow(3_600_000), wake: 'circuit' });
    expect(await wakeDelivery(context, id, { kind: 'operator', text: 'now' })).toBe(true);
    expect(await place(id)).toBe('ready');
    const record = await test.operations.records.delivery(id);
    expect(record).toMatchObject({ state: 'waiting', wake: 'job', nextAttemptAt: undefined });
    expect((await test.operations.records.events(id)).at(-1)).toMatchObject({ kind: 'operator', text: 'now' });
  });

  it.each(['active', 'delivered', 'cancelled'] as const)('is unchanged if it is %s', async (state) => {
    const id = await without(state);
    expect(await wakeDelivery(context, id)).toBe(false);
    expect(await place(id)).toBe('missing');
    expect((await test.operations.records.delivery(id))?.state).toBe(state);
  });

  it('stays held', async () => {
    const id = await without('waiting', {}, true);
    expect(await wakeDelivery(context, id)).toBe(true);
    expect(await test.operations.records.look(id)).toMatchObject({ isHeld: true });
  });
});

describe('a delivery whose study returns to its source', () => {
  const error = { code: 'source-gone', stage: 'manifest', fault: 'source', message: 'm', remedy: 'r' } as const;

  it('continues, without the error', async () => {
    const id = await without('source-gone', { error, failStage: 'manifest', endedAt: 1, wake: null });
    expect(await takeBackDelivery(context, id)).toBe(true);
    expect(await place(id)).toBe('ready');
    expect(await test.operations.records.delivery(id)).toMatchObject({
      state: 'waiting',
      wake: 'job',
      error: undefined,
      failStage: undefined,
      endedAt: undefined,
      nextAttemptAt: undefined,
    });
    const text = 'the source has the study again';
    expect((await test.operations.records.events(id)).at(-1)).toMatchObject({ kind: 'waiting', text });
    expect(await takeBackDelivery(context, id)).toBe(false);
  });

  it.each(['delivered', 'failed', 'cancelled', 'moved', 'active'] as const)(
    'stays as it is if it is %s',
    async (state) => {
      const id = await without(state);
      expect(await takeBackDelivery(context, id)).toBe(false);
      expect(await place(id)).toBe('missing');
      expect((await test.operations.records.delivery(id))?.state).toBe(state);
    },
  );

  it('stays cancelled if an operator has cancelled it', async () => {
    const id = await without('waiting');
    await test.operations.records.change(id, { ...act('end'), patch: { state: 'source-gone' } });
    await test.redis.set(test.operations.keys.cancelled(id), '1');
    expect(await takeBackDelivery(context, id)).toBe(false);
    expect((await test.operations.records.delivery(id))?.state).toBe('source-gone');
  });
});
