import { deliveryData, type DeliveryData } from '@dicom-dispatch/core';
import type { DeliveryState } from '@dicom-dispatch/state/records';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { resolveSuperseded } from './resolve-superseded.ts';
import { startTestPipeline, type TestPipeline } from './testing/start-test-pipeline.ts';

let test: TestPipeline;
beforeAll(async () => {
  test = await startTestPipeline();
});
afterAll(() => test[Symbol.asyncDispose]());
beforeEach(async () => {
  await test.redis.flushall();
});

const study = { source: 'main', orthancStudyId: 'o-1.2', target: 'a' } as const;

interface Ended extends Partial<DeliveryData> {
  readonly state?: DeliveryState;
  readonly ledger?: string;
}

/** A delivery that was to be sent first, and one that was to be sent later. @returns ids of those that were resolved */
async function resolve(earlier: Ended, later: Ended): Promise<string[]> {
  const { records } = test.operations;
  const { deliveries } = await test.enqueue('1.2', { instances: 1 });
  const record = await records.study(study);
  for (const [routedAt, { state = 'failed', ledger, ...more }] of [
    [1_000, { deliveryId: 'd-earlier', ...earlier }],
    [2_000, { deliveryId: 'd-later', state: 'delivered', ...later }],
  ] as const) {
    const data = deliveryData.parse({ ...deliveries[0], routedAt, ...more });
    await records.routed(record!, [data]);
    await records.update(data.deliveryId, { state, ...(ledger !== undefined && { ledger }) });
  }
  return resolveSuperseded(records, study);
}

const transform = (name: string): Ended => ({
  transform: {
    name,
    definition: { set: { StationName: name }, remove: [], copy: {}, keep: [], removePrivateTags: false },
  },
});
const selections = (only: string): Ended => ({ selections: [{ only }] });

it.each(['failed', 'partial', 'source-gone'] as const)(
  'a delivery that ended as %s is resolved when a later one has brought the study to the target',
  async (state) => {
    expect(await resolve({ state }, {})).toEqual(['d-earlier']);
    const { records } = test.operations;
    const reason = 'superseded by d-later, which has arrived';
    expect(await records.delivery('d-earlier')).toMatchObject({
      state: 'resolved',
      resolution: { by: 'dicom-dispatch', reason, from: state, supersededBy: 'd-later' },
    });
    expect((await records.events('d-earlier')).at(-1)).toMatchObject({ kind: 'resolved', text: reason });
    expect((await records.delivery('d-later'))?.state).toBe('delivered');
    // Nothing is left to be resolved.
    expect(await resolveSuperseded(records, study)).toEqual([]);
  },
);

it.each<[string, Ended, Ended]>([
  ['of which the later one sends the same selection', selections('true'), selections('true')],
  ['with a selection, of which the later one sends all', selections('true'), {}],
  ['in the form that the later one has', transform('x'), transform('x')],
  ['at the place of the later one, by another name', { ledger: 'moved' }, { ledger: 'moved' }],
  ['at the first place of the target', {}, { ledger: 'a' }],
  ['that was routed at the same time', { routedAt: 2_000 }, {}],
])('a failure is resolved %s', async (_how, earlier, later) => {
  expect(await resolve(earlier, later)).toEqual(['d-earlier']);
});

it.each<[string, Ended, Ended]>([
  ['is older', {}, { routedAt: 999 }],
  ['has arrived in part', {}, { state: 'partial' }],
  ['is still running', {}, { state: 'active' }],
  ['sends a selection, and the failed one all', {}, selections('true')],
  ['sends another selection', selections('true'), selections('false')],
  ['sends another form', transform('x'), transform('y')],
  ['sends a form, and the failed one none', {}, transform('x')],
  ['has no form, and the failed one has', transform('x'), {}],
  ['went to another place of the target', { ledger: 'a' }, { ledger: 'moved' }],
  ['went to the place that the target had before', { ledger: 'moved' }, {}],
  ['went to another target', {}, { target: 'b' }],
  ['is of a study that is still being received', {}, { arriving: 'arrival' }],
])('a failure stays when the later delivery %s', async (_why, earlier, later) => {
  const resolved = await resolve(earlier, later);
  expect(resolved).not.toContain('d-earlier');
  expect((await test.operations.records.delivery('d-earlier'))?.state).toBe('failed');
});

it.each<[string, Ended]>([
  ['is of a study that was still being received', { arriving: 'series' }],
  ['was cancelled', { state: 'cancelled' }],
  ['was moved', { state: 'moved' }],
  ['waits', { state: 'waiting' }],
  ['runs', { state: 'active' }],
  ['is one to another target', { target: 'b' }],
])('a delivery that %s is not resolved by a later one', async (_why, earlier) => {
  expect(await resolve(earlier, {})).toEqual([]);
  const { state = 'failed' } = earlier;
  expect((await test.operations.records.delivery('d-earlier'))?.state).toBe(state);
});

it('a delivery that ended in part does not resolve itself', async () => {
  expect(await resolve({ state: 'cancelled' }, { state: 'partial' })).toEqual([]);
});
