import { rm } from 'node:fs/promises';
import { tempFolder, waitFor, type OrthancServer } from '@dicom-dispatch/harness';
import { makeStudy } from '@dicom-dispatch/samples';
import { redisKeys } from '@dicom-dispatch/state/keys';
import { describe, expect, it } from 'vitest';
import { startFaultScp } from './support/fault-scp.ts';
import { startFeedStandIn } from './support/feed-stand-in.ts';
import { pacsTarget } from './support/pacs-target.ts';
import { startDispatch } from './support/start-dispatch.ts';
import { startFollowing } from './support/start-in-process.ts';
import { prefix, startSystem, type UploadedStudy } from './support/system.ts';

const quickSweep = { every: '1s', settle: '2s' };

function source(url: string, more: object = {}): object {
  return { sources: { main: { url, pollInterval: '200ms', ...more } } };
}

/** The feed's traps, by their numbers in docs/failure-modes.md: one test for each trap that can be triggered. */
describe("the change feed's traps", () => {
  it('1, 2: a study that was deleted or recycled while it waits ends as source-gone, with an alert, and is not tried again', async () => {
    await using system = await startSystem();
    await using scp = await startFaultScp();
    await scp.down();
    await using dispatch = await startFollowing({ config: system.config({ pacs: pacsTarget(scp) }) });
    const gone = await system.upload({ seed: 'gone', instancesPerSeries: 3 });
    await waitFor(async () => (await system.records.deliveriesOfUid(gone.studyInstanceUid, 'main'))[0]?.error, {
      message: () => dispatch.output(),
    });
    await system.orthanc.send('DELETE', `/studies/${gone.orthancStudyId}`);
    const next = await system.upload({ seed: 'next', instancesPerSeries: 3 });
    await scp.up();
    const ended = await system.untilDelivery(gone, 'pacs', ['source-gone']);
    expect(ended.error).toMatchObject({ code: 'source-gone', fault: 'source' });
    // The log line follows the record.
    await waitFor(() => dispatch.output().includes('"state":"source-gone"'));
    // The gap that the deletion left in the feed blocks nothing.
    await system.untilDelivery(next, 'pacs', ['delivered']);
    expect(scp.accepted()).toEqual(next.datasets);
  });

  it('4: an event that was never written is made up for by the sweep', async () => {
    await using system = await startSystem();
    await using scp = await startFaultScp();
    await using feed = await startFeedStandIn(system.orthanc.url);
    feed.hide = ({ ChangeType: type }) => type === 'StableStudy';
    await using dispatch = await startFollowing({
      config: { ...system.config({ pacs: pacsTarget(scp) }), ...source(feed.url, { sweep: quickSweep }) },
    });
    const study = await system.upload({ seed: 'unwritten', instancesPerSeries: 3 });
    await system.untilDelivery(study, 'pacs', ['delivered']).catch((error: unknown) => {
      throw new Error(dispatch.output(), { cause: error });
    });
    expect(scp.stores.length, dispatch.output()).toBe(3);
  });

  it('5: a change that is committed after later ones were read is found in the trailing window; content already at the target is sent last', async () => {
    await using system = await startSystem();
    await using scp = await startFaultScp();
    await using feed = await startFeedStandIn(system.orthanc.url);
    const config = {
      ...system.config({ pacs: pacsTarget(scp) }),
      ...source(feed.url, { startFrom: 'everything', sweep: { every: 0, settle: '1h' } }),
    };
    const early = await system.upload({ seed: 'early', instancesPerSeries: 2 });
    const stable = await waitFor(async () =>
      (await changes(system.orthanc)).find(({ ChangeType: type }) => type === 'StableStudy'),
    );
    feed.hide = ({ Seq }) => Seq === stable.Seq;
    const late = await system.upload({ seed: 'late', instancesPerSeries: 2 });
    await waitFor(
      async () => (await changes(system.orthanc)).filter(({ ChangeType: type }) => type === 'StableStudy').length === 2,
    );
    await using dispatch = await startFollowing({ config });
    await system.untilDelivery(late, 'pacs', ['delivered']);
    // The sweep at the start may have found the study by Orthanc's `IsStable`: this test is about the feed.
    feed.hide = () => false;
    const old = await system.untilDelivery(early, 'pacs', ['delivered']).catch((error: unknown) => {
      throw new Error(dispatch.output(), { cause: error });
    });
    expect(scp.stores.length).toBe(4);
    const study = await system.upload({ seed: 'new', instancesPerSeries: 2 });
    const { priority } = await system.untilDelivery(study, 'pacs', ['delivered']);
    expect([old.priority, priority]).toEqual(['background', 'normal']);
  });

  it('6: an emptied database starts a new epoch: later studies are routed, with lower numbers too, and the sweep waits until its feed has been read', async () => {
    await using storage = await tempFolder('wiped-orthanc');
    await using system = await startSystem({ storageDir: storage.path });
    await using scp = await startFaultScp();
    await using feed = await startFeedStandIn(system.orthanc.url);
    await using dispatch = await startFollowing({
      config: { ...system.config({ pacs: pacsTarget(scp) }), ...source(feed.url, { sweep: { every: 0 } }) },
    });
    const studies: UploadedStudy[] = [];
    for (let seed = 0; seed < 4; seed += 1)
      studies.push(await system.upload({ seed: `before ${seed}`, instancesPerSeries: 4 }));
    for (const study of studies) await system.untilDelivery(study, 'pacs', ['delivered']);
    const sweepWaitedAt = (): Promise<string | null> => system.client.hget(redisKeys(prefix).sweep('main'), 'waitedAt');
    // The feed began at its end: the first sweep had nothing to wait for.
    expect(await sweepWaitedAt()).toBeNull();
    // The new feed is not read before the sweep waits for it.
    const waits = Promise.withResolvers<void>();
    const epoch = async (): Promise<unknown> =>
      JSON.parse((await system.client.get(redisKeys(prefix).feed('main'))) ?? '{}').epoch;
    feed.hold = async ({ path, query }) => {
      const isPage = path === '/changes' && query.get('limit') !== '1' && !query.has('last');
      if (isPage && (await epoch()) === 2) await waits.promise;
    };
    await wipe(system.orthanc, storage.path);
    const after = await system.upload({ seed: 'after', instancesPerSeries: 2 });
    try {
      await waitFor(async () => (await sweepWaitedAt()) !== null, { message: () => dispatch.output() });
    } finally {
      waits.resolve();
    }
    await system.untilDelivery(after, 'pacs', ['delivered']).catch((error: unknown) => {
      throw new Error(dispatch.output(), { cause: error });
    });
    await waitFor(() => dispatch.output().includes('was emptied, restored'));
    expect(scp.stores.length).toBe(18);
  });

  it('6: the sweep runs again if another database was found while it ran', async () => {
    await using storage = await tempFolder('wiped-orthanc');
    await using system = await startSystem({ storageDir: storage.path });
    await using scp = await startFaultScp();
    await using feed = await startFeedStandIn(system.orthanc.url);
    // The only sweep is held with its first page.
    const sweep = { asked: false, ...Promise.withResolvers<void>() };
    feed.hold = ({ path }) => {
      if (path !== '/studies') return undefined;
      sweep.asked = true;
      return sweep.promise;
    };
    await using dispatch = await startFollowing({
      config: {
        ...system.config({ pacs: pacsTarget(scp) }),
        ...source(feed.url, { timeout: '10m', sweep: { every: 0 } }),
      },
    });
    try {
      await waitFor(() => sweep.asked, { message: () => dispatch.output() });
      for (const seed of ['one', 'two']) {
        const study = await system.upload({ seed, instancesPerSeries: 4 });
        await system.untilDelivery(study, 'pacs', ['delivered']);
      }
      await wipe(system.orthanc, storage.path);
      feed.hide = ({ ChangeType: type }) => type === 'StableStudy';
      const after = await system.upload({ seed: 'after', instancesPerSeries: 2 });
      await waitFor(
        async () => (await changes(system.orthanc)).some(({ ChangeType: type }) => type === 'StableStudy'),
        { message: 'the study to be stable' },
      );
      await waitFor(() => dispatch.output().includes('was emptied, restored'), { message: () => dispatch.output() });
      sweep.resolve();
      await system.untilDelivery(after, 'pacs', ['delivered']).catch((error: unknown) => {
        throw new Error(dispatch.output(), { cause: error });
      });
      expect(scp.stores.length).toBe(10);
    } finally {
      sweep.resolve();
    }
  });

  it('9, 10, 12: instances that come late make further events; only they are sent', async () => {
    await using system = await startSystem();
    await using scp = await startFaultScp();
    await using dispatch = await startFollowing({ config: system.config({ pacs: pacsTarget(scp) }) });
    const first = await system.upload({ seed: 'growing', series: 1, instancesPerSeries: 6 });
    await system.untilDelivery(first, 'pacs', ['delivered']);
    const grown = await system.upload({ seed: 'growing', series: 2, instancesPerSeries: 6 });
    expect(grown.studyInstanceUid).toBe(first.studyInstanceUid);
    await waitFor(() => scp.accepted().size === 12, { message: () => dispatch.output() });
    expect(scp.stores.length).toBe(12);
    expect(scp.accepted()).toEqual(grown.datasets);

    // The same holds if only the list of confirmed instances is lost: the record of the last delivery proves which instances
    // they were.
    const deliveries = () => system.records.deliveriesOfUid(first.studyInstanceUid, 'main');
    const areDelivered = async (count: number): Promise<boolean> => {
      const states = (await deliveries()).map(({ state }) => state);
      return states.length === count && states.every((state) => state === 'delivered');
    };
    await waitFor(() => areDelivered(2));
    await system.client.del(await system.client.keys('*:ledger:*'));
    const more = await system.upload({ seed: 'growing', series: 3, instancesPerSeries: 6 });
    await waitFor(() => areDelivered(3), { message: () => dispatch.output() });
    expect(scp.stores.length).toBe(18);
    expect(scp.accepted()).toEqual(more.datasets);
    const [latest] = await deliveries();
    const events = await system.records.events(latest?.deliveryId ?? '');
    expect(events.map(({ text }) => text).join('\n')).toContain('12 instances that an earlier delivery has confirmed');
    expect(latest).toMatchObject({ total: 18, confirmed: 18 });
  });

  it('an instance that was overwritten in Orthanc is sent again, the others are not', async () => {
    await using system = await startSystem({ overwriteInstances: true });
    await using scp = await startFaultScp();
    await using dispatch = await startFollowing({ config: system.config({ pacs: pacsTarget(scp) }) });
    const study = await system.upload({ seed: 'overwritten', instancesPerSeries: 5 });
    await system.untilDelivery(study, 'pacs', ['delivered']);
    const [changed] = [
      ...makeStudy({ seed: 'overwritten', instancesPerSeries: 5, attributes: { StudyDescription: 'corrected' } }),
    ];
    if (!changed) throw new Error('no instance');
    await system.orthanc.upload(changed.bytes);
    await waitFor(() => scp.stores.length === 6, { message: () => dispatch.output() });
    expect(scp.stores.at(-1)?.sopInstanceUid).toBe(changed.sopInstanceUid);
    expect(scp.stores.at(-1)?.datasetHash).not.toBe(study.datasets.get(changed.sopInstanceUid));
  });

  it('11: images that are sent to Orthanc again change nothing', async () => {
    await using system = await startSystem();
    await using scp = await startFaultScp();
    await using dispatch = await startFollowing({
      config: { ...system.config({ pacs: pacsTarget(scp) }), ...source(system.orthanc.url, { sweep: quickSweep }) },
    });
    const study = await system.upload({ seed: 'again', instancesPerSeries: 3 });
    await system.untilDelivery(study, 'pacs', ['delivered']);
    await system.upload({ seed: 'again', instancesPerSeries: 3 });
    const marker = await system.upload({ seed: 'marker', instancesPerSeries: 1 });
    await system.untilDelivery(marker, 'pacs', ['delivered']);
    expect(scp.stores.length, dispatch.output()).toBe(4);
  });

  it('13: of two routers one leads; the other takes over when it is killed, and a paused leader does no harm when it continues', async () => {
    await using system = await startSystem();
    await using scp = await startFaultScp();
    const config = system.config({ pacs: pacsTarget(scp) });
    await using one = await startDispatch({ command: 'router', config });
    await using two = await startDispatch({ command: 'router', config });
    await using dispatcher = await startDispatch({ command: 'dispatcher', config });
    const leads = (output: string): boolean => output.includes('following the change feed');
    await waitFor(() => leads(one.output()) || leads(two.output()));
    const [leader, standby] = leads(one.output()) ? [one, two] : [two, one];
    const first = await system.upload({ seed: 'led', instancesPerSeries: 2 });
    await system.untilDelivery(first, 'pacs', ['delivered']);
    expect(leads(standby.output())).toBe(false);

    await leader.kill('SIGSTOP');
    const second = await system.upload({ seed: 'taken over', instancesPerSeries: 2 });
    await system.untilDelivery(second, 'pacs', ['delivered']);
    await waitFor(() => leads(standby.output()), { message: () => standby.output() });
    const cursor = await system.client.get('{dicom-dispatch}:feed:main');
    await leader.kill('SIGCONT');
    await waitFor(() => leader.output().includes('another router has taken over the lead'), {
      message: () => leader.output(),
    });
    const third = await system.upload({ seed: 'after waking', instancesPerSeries: 2 });
    await system.untilDelivery(third, 'pacs', ['delivered']);
    expect(JSON.parse((await system.client.get('{dicom-dispatch}:feed:main')) ?? '{}').seq).toBeGreaterThan(
      JSON.parse(cursor ?? '{}').seq,
    );
    expect(scp.stores.length, dispatcher.output()).toBe(6);
  });
});

/** Starts it again with an empty database. */
async function wipe(orthanc: OrthancServer, storageFolder: string): Promise<void> {
  await orthanc.kill('SIGKILL');
  await rm(storageFolder, { recursive: true, force: true });
  await orthanc.restart();
}

async function changes(orthanc: OrthancServer): Promise<{ Seq: number; ChangeType: string }[]> {
  return ((await orthanc.get('/changes?limit=1000')) as { Changes: { Seq: number; ChangeType: string }[] }).Changes;
}
