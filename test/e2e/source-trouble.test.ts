import { loginPage, startLyingProxy, waitFor, type Lie, type LyingProxy } from '@dicom-dispatch/harness';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startFaultScp, type FaultScp } from './support/fault-scp.ts';
import { pacsTarget } from './support/pacs-target.ts';
import { startDispatch } from './support/start-dispatch.ts';
import { startFollowing, type FollowingServices } from './support/start-in-process.ts';
import { startSystem, type System } from './support/system.ts';

/**
 * A source that fails for one study, or for a while: unaffected work continues, and no existing study is reported as gone.
 */
let system: System;
let proxy: LyingProxy;
let scp: FaultScp;
let dispatch: FollowingServices;

beforeAll(async () => {
  system = await startSystem();
  proxy = await startLyingProxy({ url: system.orthanc.url });
  scp = await startFaultScp();
  dispatch = await startFollowing({
    config: system.config(
      { pacs: pacsTarget(scp) },
      { sources: { main: { url: proxy.url, pollInterval: '200ms', sweep: { every: '1s', settle: '2s' } } } },
    ),
  });
});
afterAll(async () => {
  await dispatch?.[Symbol.asyncDispose]();
  await proxy.stop();
  await scp[Symbol.asyncDispose]();
  await system[Symbol.asyncDispose]();
});
afterEach(() => proxy.beHonest());

const small = { instancesPerSeries: 2, rows: 16, columns: 16 };

describe('one study at which the source fails', () => {
  const lies: readonly (readonly [string, Lie])[] = [
    ['403', { kind: 'status', status: 403 }],
    ['429', { kind: 'status', status: 429 }],
    ['500', { kind: 'status', status: 500 }],
    ['a proxy that says 404', { kind: 'status', status: 404 }],
    ['a reset', { kind: 'reset', bytes: 0 }],
    ['a login page', { kind: 'text', body: loginPage }],
    ['an empty answer', { kind: 'empty' }],
  ];

  it.each(lies)(
    '%s: is put off alone; studies after it arrive, the sweep ends, and it arrives itself when it can be read',
    async (name, lie) => {
      let asked = 0;
      let badId = 'none';
      proxy.lie(({ path }) => {
        if (!path.includes(badId)) return undefined;
        asked += 1;
        return lie;
      });
      const bad = await system.upload({ seed: `bad ${name}`, ...small });
      badId = bad.orthancStudyId;
      const sweepsBefore = sweeps();
      const good = await system.upload({ seed: `good ${name}`, ...small });
      await system.untilDelivery(good, 'pacs', ['delivered']).catch((error: unknown) => {
        throw new Error(dispatch.output(), { cause: error });
      });
      await waitFor(() => sweeps() > sweepsBefore + 1, { message: () => dispatch.output() });
      const states = await system.records.deliveriesOfUid(bad.studyInstanceUid, 'main');
      expect(states.map(({ state }) => state)).not.toContain('source-gone');
      // The pauses grow: it is not retried at each poll of feed and sweep.
      expect(asked).toBeLessThan(30);
      proxy.beHonest();
      await system.untilDelivery(bad, 'pacs', ['delivered']).catch((error: unknown) => {
        throw new Error(dispatch.output(), { cause: error });
      });
      for (const [uid, hash] of [...bad.datasets, ...good.datasets]) expect(scp.accepted().get(uid)).toBe(hash);
    },
  );

  const sweeps = (): number => dispatch.output().split('"msg":"sweep ended').length;
});

it('a proxy that answers 404 to everything for some seconds makes no waiting study gone', async () => {
  await scp.down();
  const waiting = await Promise.all(
    ['one', 'two', 'three'].map((seed) => system.upload({ seed: `waits ${seed}`, ...small })),
  );
  for (const study of waiting) await system.untilDelivery(study, 'pacs', ['waiting', 'active', 'delayed'] as never);
  proxy.lie(() => ({ kind: 'status', status: 404 }));
  await scp.up();
  await new Promise((resolve) => setTimeout(resolve, 4_000));
  for (const study of waiting) {
    const [delivery] = await system.records.deliveriesOfUid(study.studyInstanceUid, 'main');
    expect(delivery?.state).not.toBe('source-gone');
  }
  proxy.beHonest();
  for (const study of waiting) {
    await system.untilDelivery(study, 'pacs', ['delivered']).catch((error: unknown) => {
      throw new Error(dispatch.output(), { cause: error });
    });
  }
});

it('two sources that are one Orthanc are noticed: each study is routed and sent once', async () => {
  await using other = await startSystem();
  await using receiver = await startFaultScp();
  const once = { url: other.orthanc.url, pollInterval: '200ms', sweep: { every: '1s', settle: '2s' } };
  await using twice = await startDispatch({
    config: { ...other.config({ pacs: pacsTarget(receiver) }), sources: { main: once, again: once } },
    untilReady: false,
  });
  await waitFor(() => twice.output().includes('following the change feed'), { message: () => twice.output() });
  const study = await other.upload({ seed: 'twice', ...small });
  await waitFor(() => receiver.stores.length >= 2, { message: () => twice.output() });
  await waitFor(() => /same (database|Orthanc|server)|the same database|shares/i.test(twice.output()), {
    message: () => twice.output(),
  });
  expect(receiver.stores.length).toBe(study.datasets.size);
});

it('two sources on one database, the first unavailable at the start: it sends nothing again when it is available', async () => {
  await using other = await startSystem();
  await using receiver = await startFaultScp();
  await using front = await startLyingProxy({ url: other.orthanc.url });
  front.lie(() => ({ kind: 'reset', bytes: 0 }));
  const source = (url: string) => ({ url, pollInterval: '200ms', sweep: { every: '1s', settle: '2s' } });
  await using twice = await startDispatch({
    config: {
      ...other.config({ pacs: pacsTarget(receiver) }),
      sources: { main: source(front.url), again: source(other.orthanc.url) },
    },
    untilReady: false,
  });
  const message = (): string => twice.output();
  const arrives = (studies: number) =>
    waitFor(() => receiver.stores.length >= studies * small.instancesPerSeries, { message });
  await waitFor(() => twice.output().includes('following the change feed'), { message });
  await other.upload({ seed: 'while it is away', ...small });
  await arrives(1);
  front.beHonest();
  await waitFor(() => twice.output().includes('"sameAs":"again"'), { message });
  await other.upload({ seed: 'when it is back', ...small });
  await arrives(2);
  const { body } = await twice.get('/readyz');
  expect(JSON.stringify(body)).toMatch(/same database as [^"]*again/);
  expect(receiver.stores.length).toBe(2 * small.instancesPerSeries);
});
