import { waitFor } from '@dicom-dispatch/harness';
import { redisKeys } from '@dicom-dispatch/state/keys';
import { expect, it } from 'vitest';
import { startFaultScp } from './support/fault-scp.ts';
import { startFeedStandIn } from './support/feed-stand-in.ts';
import { pacsTarget } from './support/pacs-target.ts';
import { startFollowing } from './support/start-in-process.ts';
import { prefix, startSystem } from './support/system.ts';

it('a study with a damaged record is postponed alone and reported once; the sweep finds the others, and without the key the record is made again', async () => {
  const keys = redisKeys(prefix);
  await using system = await startSystem();
  await using scp = await startFaultScp();
  await using feed = await startFeedStandIn(system.orthanc.url);
  const sources = {
    main: { url: feed.url, pollInterval: '200ms', sweep: { every: '500ms', settle: '2s' } },
  };
  await using dispatch = await startFollowing({ config: { ...system.config({ pacs: pacsTarget(scp) }), sources } });
  const damaged = await system.upload({ seed: 'damaged', instancesPerSeries: 2 });
  await system.untilDelivery(damaged, 'pacs', ['delivered']);
  const key = keys.study('main', damaged.orthancStudyId);
  await waitFor(async () => (await system.client.get(key))?.includes('T'), { message: 'the study to be enqueued' });
  await system.client.set(key, '["1","1.2');
  // Only the sweep can find the others.
  feed.hide = ({ ChangeType: type }) => type === 'StableStudy';
  const others = [
    await system.upload({ seed: 'next', instancesPerSeries: 2 }),
    await system.upload({ seed: 'last', instancesPerSeries: 2 }),
  ];
  for (const study of others) {
    await system.untilDelivery(study, 'pacs', ['delivered']).catch((error: unknown) => {
      throw new Error(dispatch.output(), { cause: error });
    });
  }
  const tries = async (): Promise<number> => {
    const why = await system.client.hget(keys.feedLaterWhy('main'), damaged.orthancStudyId);
    return (JSON.parse(why ?? '{}') as { tries?: number }).tries ?? 0;
  };
  await waitFor(async () => (await tries()) >= 2, { message: () => dispatch.output() });
  const reports = dispatch
    .output()
    .split('\n')
    .filter((line) => line.includes('"record-damaged"'));
  expect(reports.length, reports.join('\n')).toBe(1);
  expect(JSON.parse(reports[0] ?? '')).toMatchObject({
    source: 'main',
    orthancStudy: damaged.orthancStudyId,
    reason: expect.stringContaining(key),
    remedy: expect.stringContaining('DEL'),
  });
  expect(dispatch.output()).not.toContain('cannot be compared');
  expect(await system.client.get(key)).toBe('["1","1.2');

  await system.client.del(key);
  await waitFor(async () => (await system.records.study({ source: 'main', ...damaged }))?.lastUpdate !== undefined, {
    message: () => dispatch.output(),
  });
  await waitFor(async () => (await tries()) === 0);
  expect(scp.stores.length).toBe(6);
  expect((await system.records.deliveriesOfUid(damaged.studyInstanceUid, 'main')).length).toBe(1);
});
