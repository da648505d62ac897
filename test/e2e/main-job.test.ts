import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createLedger } from '@dicom-dispatch/state/ledger';
import { listReceived, startStorescp, tempFolder, waitFor } from '@dicom-dispatch/harness';
import { describe, expect, it } from 'vitest';
import { startDispatch } from './support/start-dispatch.ts';
import { startFollowing } from './support/start-in-process.ts';
import { startFaultScp } from './support/fault-scp.ts';
import { pacsTarget, pressRetry } from './support/pacs-target.ts';
import { startSystem } from './support/system.ts';

/** Overwrites the stored file of one instance with something that is no DICOM. */
async function overwriteStored(storage: string, sopInstanceUid: string): Promise<void> {
  for (const entry of await readdir(storage, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const bytes = await readFile(path);
    if (bytes.toString('latin1', 128, 132) === 'DICM' && bytes.includes(sopInstanceUid))
      await writeFile(path, Buffer.alloc(bytes.length, 0x2a));
  }
}

describe('the main job', () => {
  it('three studies with 300 instances arrive at a PACS and in a folder, each instance once, byte for byte', async () => {
    await using system = await startSystem();
    await using pacs = await startStorescp();
    await using folder = await tempFolder('archive');
    await using dispatch = await startDispatch({
      config: system.config({ pacs: pacsTarget(pacs), archive: { type: 'folder', path: folder.path } }),
    });
    const studies = [];
    for (const seed of [1, 2, 3]) studies.push(await system.upload({ seed, series: 4, instancesPerSeries: 25 }));
    for (const study of studies) {
      await system.untilDelivery(study, 'pacs', ['delivered']);
      await system.untilDelivery(study, 'archive', ['delivered']);
    }
    const expected = new Map(studies.flatMap(({ datasets }) => [...datasets]));
    expect(expected.size).toBe(300);
    const received = await pacs.received();
    expect(received.length).toBe(300);
    expect(new Map(received.map((file) => [file.sopInstanceUid, file.datasetSha256]))).toEqual(expected);
    const filed = await listReceived(folder.path);
    expect(filed.length).toBe(300);
    expect(new Map(filed.map((file) => [file.sopInstanceUid, file.datasetSha256]))).toEqual(expected);
    expect((await dispatch.get('/readyz')).status).toBe(200);
    expect((await dispatch.get('/metrics')).body).toContain(
      'dispatch_deliveries_ended_total{target="pacs",state="delivered"} 3',
    );
  });

  it('an instance that the receiver rejects fails the job with stage and reason; a retry in Bull Board sends only that one', async () => {
    await using system = await startSystem();
    await using scp = await startFaultScp();
    await using dispatch = await startDispatch({ config: system.config({ pacs: pacsTarget(scp) }) });
    let refused = '';
    scp.answer = (uid, count) => {
      if (refused === '' && count >= 7) refused = uid;
      return uid === refused ? 0xc000 : 0;
    };
    const study = await system.upload({ seed: 'refused', series: 2, instancesPerSeries: 10 });
    const failed = await system.untilDelivery(study, 'pacs', ['partial']);
    expect(failed).toMatchObject({ failStage: 'transfer', confirmed: 19, quarantined: 1, error: { code: 'partial' } });
    // The record ends first, the job after it.
    const reason = await waitFor(async () => {
      const { body } = await dispatch.get(`/queues/api/queues/target-pacs/${failed.deliveryId}`);
      return (body as { job: { failedReason?: string } }).job.failedReason;
    });
    expect(reason).toBe('[transfer] partial: 1 of 20 instances are quarantined, the others are delivered');

    scp.answer = () => 0;
    const before = scp.stores.length;
    await pressRetry(dispatch.url, 'pacs', failed.deliveryId);
    await system.untilDelivery(study, 'pacs', ['delivered']);
    expect(scp.stores.slice(before).map(({ sopInstanceUid }) => sopInstanceUid)).toEqual([refused]);
    expect(scp.accepted()).toEqual(study.datasets);
    await waitFor(async () => (await system.client.zcard('{dicom-dispatch}:study:completed')) === 1, {
      message: 'the study task completes',
    });
  });

  it('a receiver that crashes during a study and restarts gets the rest, and nothing twice', async () => {
    await using system = await startSystem();
    await using scp = await startFaultScp();
    await using dispatch = await startFollowing({
      config: system.config({ pacs: pacsTarget(scp, { maxParallel: 1 }) }),
    });
    scp.answer = (_uid, count) => (count === 30 ? 'die' : 0);
    const study = await system.upload({ seed: 'dies', series: 2, instancesPerSeries: 40 });
    await waitFor(async () => (await system.records.deliveriesOfUid(study.studyInstanceUid, 'main'))[0]?.error, {
      message: () => dispatch.output(),
    });
    const [waiting] = await system.records.deliveriesOfUid(study.studyInstanceUid, 'main');
    expect(waiting?.error?.message).toMatch(/\w/);
    scp.answer = () => 0;
    await scp.up();
    await system.untilDelivery(study, 'pacs', ['delivered']);
    expect(scp.accepted()).toEqual(study.datasets);
    expect(scp.stores.filter(({ status }) => status === 0).length).toBe(80);
  });

  it('an instance that is no DICOM does not take the study down', async () => {
    // Without its cache Orthanc serves the files on its disk, one of which is overwritten.
    await using system = await startSystem({ extraConfig: { MaximumStorageCacheSize: 0 } });
    await using scp = await startFaultScp();
    const study = await system.upload({ seed: 'broken', instancesPerSeries: 10 });
    const victim = [...study.datasets.keys()][4] ?? '';
    await overwriteStored(join(system.orthanc.folder, 'storage'), victim);
    const sources = { main: { url: system.orthanc.url, pollInterval: '200ms', startFrom: 'everything' } };
    await using dispatch = await startFollowing({ config: { ...system.config({ pacs: pacsTarget(scp) }), sources } });
    const ended = await system.untilDelivery(study, 'pacs', ['partial']).catch((error: unknown) => {
      throw new Error(dispatch.output(), { cause: error });
    });
    expect(ended).toMatchObject({ confirmed: 9, quarantined: 1 });
    expect([...scp.accepted().keys()].sort()).toEqual(
      [...study.datasets.keys()].filter((uid) => uid !== victim).sort(),
    );
  });
});

describe('a killed dispatcher', () => {
  it('is replaced in the middle of 500 instances: nothing is missing, nothing confirmed is sent again', async () => {
    await using system = await startSystem();
    await using scp = await startFaultScp();
    scp.delayMs = 4;
    const config = system.config({ pacs: pacsTarget(scp, { maxParallel: 1 }) }, { dispatcher: { lockTime: '30s' } });
    await using router = await startDispatch({ command: 'router', config });
    await using first = await startDispatch({ command: 'dispatcher', config });
    const study = await system.upload({ seed: 'kill', series: 5, instancesPerSeries: 100, rows: 16, columns: 16 });
    await waitFor(() => scp.stores.length > 150, { message: () => first.output() });
    await using second = await startDispatch({ command: 'dispatcher', config });
    const confirmed = await confirmedNow();
    await first.kill('SIGKILL');
    const atKill = scp.stores.length;
    await system.untilDelivery(study, 'pacs', ['delivered']).catch((error: unknown) => {
      throw new Error(second.output(), { cause: error });
    });
    expect(scp.accepted()).toEqual(study.datasets);
    const again = scp.stores.slice(atKill).map(({ sopInstanceUid }) => sopInstanceUid);
    expect(again.filter((uid) => confirmed.has(uid))).toEqual([]);
    // At most the instances in flight on one association may arrive twice.
    expect(scp.stores.length - 500).toBeLessThanOrEqual(4);
    expect(router.isRunning()).toBe(true);

    async function confirmedNow(): Promise<Set<string>> {
      const entries = await createLedger(system.client).entries({
        source: 'main',
        orthancStudyId: study.orthancStudyId,
        studyInstanceUid: study.studyInstanceUid,
        target: 'pacs',
      });
      return new Set(entries.keys());
    }
  });
});

describe('what is not there', () => {
  it('an unreachable Redis is reported in one line and by /readyz, and waited for', async () => {
    await using system = await startSystem();
    await using scp = await startFaultScp();
    await system.redis.kill('SIGKILL');
    await using dispatch = await startDispatch({ config: system.config({ pacs: pacsTarget(scp) }), untilReady: false });
    await waitFor(() => dispatch.output().includes('Redis cannot be used'), { message: () => dispatch.output() });
    const before = await dispatch.get('/readyz');
    expect(before.status).toBe(503);
    expect(JSON.stringify(before.body)).toContain('"redis"');
    expect(
      dispatch
        .output()
        .split('\n')
        .filter((line) => line.includes('Redis cannot be used')).length,
    ).toBe(1);
    await system.redis.restart();
    await waitFor(async () => (await dispatch.get('/readyz')).status === 200, {
      message: () => dispatch.output(),
    });
    const study = await system.upload({ seed: 'redis-back' });
    await system.untilDelivery(study, 'pacs', ['delivered']);
  });

  it('an unreachable Orthanc is reported in one line and by /readyz, and followed when it is available', async () => {
    await using system = await startSystem();
    await using scp = await startFaultScp();
    await system.orthanc.kill('SIGKILL');
    await using dispatch = await startDispatch({ config: system.config({ pacs: pacsTarget(scp) }), untilReady: false });
    await waitFor(() => dispatch.output().includes('the source cannot be followed'), {
      message: () => dispatch.output(),
    });
    const states = await dispatch.get('/readyz');
    expect(states.status).toBe(503);
    expect(JSON.stringify(states.body)).toContain('source main');
    await system.orthanc.restart();
    await waitFor(async () => (await dispatch.get('/readyz')).status === 200, {
      message: () => dispatch.output(),
    });
    expect(
      dispatch
        .output()
        .split('\n')
        .filter((line) => line.includes('the source cannot be followed')).length,
    ).toBe(1);
    const study = await system.upload({ seed: 'orthanc-back' });
    await system.untilDelivery(study, 'pacs', ['delivered']);
  });
});
