import { startOrthanc, waitFor } from '@dicom-dispatch/harness';
import { makeStudy } from '@dicom-dispatch/samples';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startTestConsole, type TestConsole } from '../testing/start-test-console.ts';
import type { DeliveryDone } from '../views/schemas.ts';

let test: TestConsole;
beforeAll(async () => {
  const days = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
  const other = days[(new Date().getUTCDay() + 3) % 7];
  test = await startTestConsole({
    targets: {
      a: { type: 'dummy' },
      b: { type: 'dummy', schedule: { timeZone: 'UTC', windows: [{ days: [other], from: '00:00', to: '01:00' }] } },
    },
  });
  const { workers, worker } = test.operations.keys;
  await test.redis.zadd(workers, Date.now(), 'w1');
  await test.redis.set(worker('w1'), JSON.stringify({ host: 'h', pid: 1, startedAt: 1, active: [] }));
});
afterAll(() => test[Symbol.asyncDispose]());
afterEach(() => test.operations.circuits.succeed('a'));

async function post(path: string, body?: unknown): Promise<DeliveryDone> {
  const answer = await test.ask('POST', path, { body });
  expect(answer.status, answer.text).toBe(200);
  return answer.body as DeliveryDone;
}

const error = { code: 'target-unreachable', stage: 'connect', fault: 'target', remedy: 'Start it.' } as const;
const fail = (message: string) => test.operations.circuits.fail('a', { ...error, message });

/** Simulates a dispatcher when a probe is due. */
async function whenProbed(act: () => Promise<unknown>): Promise<void> {
  await waitFor(async () => (await test.operations.circuits.state('a')).retryInMs === 0);
  await act();
}

describe('a button reports its result', () => {
  it('probes an unusable target, and reports the result', async () => {
    const { a } = await test.route();
    await fail('nobody listens');
    for (const _ of [1, 2, 3]) {
      await test.redis.hset(test.operations.keys.circuit('a'), 'nextProbeAt', 1);
      await fail('nobody listens');
    }
    const [refused] = await Promise.all([
      post(`/api/deliveries/${a}/retry`),
      whenProbed(() => fail('association rejected')),
    ]);
    expect(refused.did).toBe('a probed now: association rejected. Start it.');
    const [usable] = await Promise.all([
      post(`/api/deliveries/${a}/retry`),
      whenProbed(() => test.operations.circuits.succeed('a')),
    ]);
    expect(usable.did).toBe('a probed now: it can be used again.');
  });

  it('reports that a delivery waits for its schedule, and starts it anyway', async () => {
    const { b } = await test.route();
    const waits = await post(`/api/deliveries/${b}/retry`);
    expect(waits.did).toMatch(/^It waits for its schedule, which opens in \dd/);
    expect(waits.asks?.text).toMatch(/Start it anyway\?$/);
    expect(waits.asks?.opensAt).toBeGreaterThan(Date.now());
    expect((await test.operations.records.delivery(b))?.anyway).toBe(false);
    const { asks, did } = await post(`/api/deliveries/${b}/retry`, { anyway: true });
    expect([asks, did]).toEqual([undefined, expect.stringContaining('in the queue')]);
    expect((await test.operations.records.delivery(b))?.anyway).toBe(true);
    const events = await test.operations.records.events(b);
    expect(events.at(-1)?.text).toMatch(/regardless of its schedule$/);
    // The next retry respects the schedule again.
    expect((await post(`/api/deliveries/${b}/retry`)).asks).toBeDefined();
  });

  it('routes a study by hand, and names the targets that get nothing with the reason', async () => {
    await using orthanc = await startOrthanc();
    let orthancStudyId = '';
    for (const { bytes } of makeStudy({ seed: 'omitted', instancesPerSeries: 1 }))
      ({ ParentStudy: orthancStudyId } = await orthanc.upload(bytes));
    await using own = await startTestConsole({
      sourceUrl: orthanc.url,
      targets: { a: { type: 'dummy' }, b: { type: 'dummy', instances: { exclude: ['*'] } } },
    });
    const didTo = async (...targets: string[]): Promise<unknown> =>
      (await own.ask('POST', '/api/route', { body: { source: 'main', orthancStudyId, targets } })).body;
    const why = 'Not sent to b: no instance of the study is selected.';
    expect(await didTo('b')).toMatchObject({ deliveries: [], did: `Nothing is sent. ${why}` });
    expect(await didTo('a', 'b')).toMatchObject({ did: `The study is routed to a. ${why}` });
    expect(await didTo('a')).toMatchObject({ did: 'The study is routed to a.' });
  });

  it('cancels and resumes, holds and releases, and names the reverse action', async () => {
    const { a } = await test.route();
    const cancelled = await post(`/api/deliveries/${a}/cancel`);
    expect(cancelled).toMatchObject({
      state: 'cancelled',
      did: 'Cancelled: 0 of 3 instances had arrived at a, and stay there.',
      undo: { label: 'Resume' },
    });
    expect(await post(cancelled.undo?.path ?? '')).toMatchObject({ state: 'waiting' });
    const held = await post(`/api/deliveries/${a}/hold`);
    expect(held.did).toBe('Held: it does not go to a until somebody releases it.');
    const tried = await post(`/api/deliveries/${a}/retry`);
    expect(tried.did).toMatch(/^It can start after its release\./);
    expect((await post(held.undo?.path ?? '')).did).toMatch(/^Released\. /);
    // Another operator has released it before.
    expect((await post(held.undo?.path ?? '')).did).toMatch(/^It was not held: nothing has changed\. /);
  });

  it('resolves and reopens a failure; the undo of one that continued meanwhile is rejected', async () => {
    const { a } = await test.route();
    await test.operations.records.update(a, { state: 'failed' });
    const resolved = await post(`/api/deliveries/${a}/resolve`, { reason: 'sent from the modality' });
    expect(resolved).toMatchObject({
      state: 'resolved',
      did: 'Resolved: the delivery to a no longer counts as failed.',
      undo: { label: 'Reopen' },
    });
    expect((await post(resolved.undo?.path ?? '')).did).toBe('It is failed again.');
    await post(`/api/deliveries/${a}/resolve`, { reason: 'sent from the modality' });
    await post(`/api/deliveries/${a}/retry`);
    const late = await test.ask('POST', resolved.undo?.path ?? '');
    expect([late.status, late.text]).toEqual([409, expect.stringContaining('only a resolved delivery can be')]);
  });

  it('puts what waits of a study first, and reports if nothing waits', async () => {
    const { a, b } = await test.route({ orthancStudyId: 'first' });
    const first = async () => (await test.ask('POST', '/api/studies/main/first/first')).body;
    expect(await first()).toEqual({ first: 2, did: '2 deliveries are before all others of their targets now.' });
    for (const id of [a, b]) await test.operations.records.update(id, { state: 'delivered' });
    expect(await first()).toEqual({
      first: 0,
      did: 'No delivery of the study waits any more: nothing has changed.',
    });
  });

  it('closes the circuit after a passed connection test: waiting deliveries continue', async () => {
    const { a } = await test.route();
    await test.operations.circuits.fail('a', { ...error, message: 'nobody listens' }, { deliveryId: a });
    const passed = (await test.ask('POST', '/api/targets/a/test')).body as { did: string };
    expect(passed.did).toBe('The target can be used. Its circuit is closed: waiting deliveries continue now.');
    expect((await test.operations.circuits.state('a')).state).toBe('closed');
    const again = (await test.ask('POST', '/api/targets/a/test')).body as { did: string };
    expect(again.did).toBe('The target can be used.');
  });

  it('reports the effect of a pause, a resumption and of trying all waiting ones', async () => {
    await test.route();
    const did = async (path: string) => ((await test.ask('POST', path)).body as { did: string }).did;
    expect(await did('/api/targets/a/pause')).toBe('a is paused: nothing is started any more.');
    expect(await did('/api/targets/a/resume')).toMatch(/^a is in use again: \d+ deliver(y waits|ies wait)\.$/);
    expect(await did('/api/targets/a/promote')).toMatch(/^\d+ deliver(y goes|ies go) now\.$/);
    await fail('nobody listens');
    expect(await did('/api/targets/a/promote')).toContain('a cannot be used: one of them probes it now');
    expect((await test.operations.circuits.state('a')).retryInMs).toBe(0);
  });
});
