import { Secret } from '@dicom-dispatch/core';
import { createLedger } from '@dicom-dispatch/state/ledger';
import {
  listReceived,
  startFaultProxy,
  startHttpServer,
  startSshd,
  tempFolder,
  waitFor,
} from '@dicom-dispatch/harness';
import { describe, expect, it } from 'vitest';
import { startFaultScp } from './support/fault-scp.ts';
import { pacsTarget, pressRetry, quick } from './support/pacs-target.ts';
import { startDispatch } from './support/start-dispatch.ts';
import { startFollowing } from './support/start-in-process.ts';
import { startSystem } from './support/system.ts';

/** Cases tested from outside: real servers, our services as processes, checked by what the receivers have. */
describe('nothing is lost, nothing is sent twice', () => {
  it('1: an SCP that answers A700 to instance 37 gets all others, and that one when it can', async () => {
    await using system = await startSystem();
    await using scp = await startFaultScp();
    await using dispatch = await startFollowing({ config: system.config({ pacs: pacsTarget(scp) }) });
    let full = '';
    let isFull = true;
    scp.answer = (uid, count) => {
      if (full === '' && count >= 36) full = uid;
      return uid === full && isFull ? 0xa700 : 0;
    };
    const study = await system.upload({ seed: 'a700', series: 2, instancesPerSeries: 30 });
    await waitFor(() => scp.stores.some(({ status }) => status === 0xa700) && scp.accepted().size === 59, {
      message: () => dispatch.output(),
    });
    isFull = false;
    const delivery = await system.untilDelivery(study, 'pacs', ['delivered']);
    expect(delivery.attempts).toBeGreaterThan(1);
    expect(scp.accepted()).toEqual(study.datasets);
    expect(scp.stores.filter(({ status }) => status === 0).length).toBe(60);
  });

  it('2: target A is up and target B is down: A receives once over all retries', async () => {
    await using system = await startSystem();
    await using a = await startFaultScp();
    await using b = await startFaultScp();
    await b.down();
    await using dispatch = await startFollowing({ config: system.config({ a: pacsTarget(a), b: pacsTarget(b) }) });
    const study = await system.upload({ seed: 'a-and-b', instancesPerSeries: 20 });
    await system.untilDelivery(study, 'a', ['delivered']);
    const waiting = await waitFor(
      async () =>
        (await system.records.deliveriesOfUid(study.studyInstanceUid, 'main')).find(
          ({ target, error }) => target === 'b' && error,
        ),
      { message: () => dispatch.output() },
    );
    expect(waiting).toMatchObject({
      state: 'waiting',
      failStage: 'connect',
      error: { code: 'target-unreachable' },
      attempts: 0,
    });
    await b.up();
    await system.untilDelivery(study, 'b', ['delivered']);
    expect(b.accepted()).toEqual(study.datasets);
    expect(a.stores.length).toBe(20);
    expect(b.stores.length).toBe(20);
  });

  it('3: a dispatcher killed during a transfer is replaced; confirmed instances are not sent again', async () => {
    await using system = await startSystem();
    await using scp = await startFaultScp();
    scp.delayMs = 20;
    const config = system.config({ pacs: pacsTarget(scp, { maxParallel: 2 }) }, { dispatcher: { lockTime: '30s' } });
    await using dispatch = await startDispatch({ config });
    const study = await system.upload({ seed: 'killed', instancesPerSeries: 60 });
    await waitFor(() => scp.stores.length > 20, { message: () => dispatch.output() });
    const confirmed = await createLedger(system.client).entries({
      source: 'main',
      orthancStudyId: study.orthancStudyId,
      studyInstanceUid: study.studyInstanceUid,
      target: 'pacs',
    });
    await dispatch.kill('SIGKILL');
    const atKill = scp.stores.length;
    await dispatch.restart();
    await system.untilDelivery(study, 'pacs', ['delivered']);
    expect(scp.accepted()).toEqual(study.datasets);
    expect(scp.stores.slice(atKill).filter(({ sopInstanceUid }) => confirmed.has(sopInstanceUid))).toEqual([]);
  });

  it('3b: a dispatcher that was suspended for longer than its lock abandons its deliveries when it continues', async () => {
    await using system = await startSystem();
    await using scp = await startFaultScp();
    scp.delayMs = 200;
    const config = (callingAeTitle: string): Record<string, unknown> =>
      system.config({ pacs: pacsTarget(scp, { maxParallel: 2, callingAeTitle }) }, { dispatcher: { lockTime: '30s' } });
    const sentBy = (aeTitle: string): number => scp.stores.filter(({ callingAe }) => callingAe === aeTitle).length;
    await using suspended = await startDispatch({ config: config('SUSPENDED') });
    const study = await system.upload({ seed: 'suspended', instancesPerSeries: 60, rows: 16, columns: 16 });
    await waitFor(() => sentBy('SUSPENDED') > 10, { message: () => suspended.output() });
    await suspended.kill('SIGSTOP');
    await using other = await startDispatch({ command: 'dispatcher', config: config('OTHER') });
    await waitFor(() => sentBy('OTHER') > 10, { message: () => other.output() });
    const { orthancStudyId, studyInstanceUid } = study;
    const key = { source: 'main', target: 'pacs', orthancStudyId, studyInstanceUid };
    const confirmed = await createLedger(system.client).entries(key);
    const [before, atContinue] = [sentBy('SUSPENDED'), scp.stores.length];
    await suspended.kill('SIGCONT');
    await waitFor(() => suspended.output().includes('its deliveries are abandoned'));
    const delivery = await system.untilDelivery(study, 'pacs', ['delivered']);
    expect(delivery).toMatchObject({ total: 60, confirmed: 60 });
    expect(scp.accepted()).toEqual(study.datasets);
    // What it was sending on its two associations when it was suspended.
    expect(sentBy('SUSPENDED')).toBeLessThanOrEqual(before + 2);
    expect(confirmed.size).toBeGreaterThan(10);
    const later = scp.stores.slice(atContinue).filter(({ callingAe }) => callingAe === 'OTHER');
    expect(later.filter(({ sopInstanceUid }) => confirmed.has(sopInstanceUid))).toEqual([]);
    expect((await suspended.get('/readyz')).status).toBe(200);
  });

  it('4: SIGTERM during 500 instances returns the delivery to the queue; the next process completes it, and nothing is sent twice', async () => {
    await using system = await startSystem();
    await using scp = await startFaultScp();
    scp.delayMs = 5;
    const config = system.config({ pacs: pacsTarget(scp, { maxParallel: 1 }) }, { dispatcher: { graceTime: '300ms' } });
    await using dispatch = await startDispatch({ config });
    const study = await system.upload({ seed: 'sigterm', series: 5, instancesPerSeries: 100, rows: 16, columns: 16 });
    await waitFor(() => scp.stores.length > 100, { message: () => dispatch.output() });
    await dispatch.restart();
    await system.untilDelivery(study, 'pacs', ['delivered']);
    expect(scp.accepted()).toEqual(study.datasets);
    // Instances that were in flight when the time limit was reached may arrive again: two instances on the one association.
    expect(scp.stores.length).toBeLessThanOrEqual(502);
    expect((await system.untilDelivery(study, 'pacs', ['delivered'])).error).toBeUndefined();
  });

  it('5: an SFTP server that dies in the middle of a file leaves no half file under a final name', async () => {
    await using system = await startSystem();
    await using folder = await tempFolder('sftp-target');
    await using sshd = await startSshd();
    await using proxy = await startFaultProxy({ port: sshd.port });
    const target = {
      type: 'sftp',
      host: '127.0.0.1',
      port: proxy.port,
      username: sshd.username,
      privateKey: new Secret(sshd.clientKey.privateKey),
      hostKey: { fingerprint: sshd.hostKey.fingerprint },
      path: folder.path,
      minFree: 0,
      ...quick,
    };
    await using dispatch = await startFollowing({ config: system.config({ sftp: target }) });
    proxy.set({ resetAfterBytesUp: 400_000 });
    const study = await system.upload({ seed: 'sftp', instancesPerSeries: 20, rows: 256, columns: 256 });
    await waitFor(async () => (await system.records.deliveriesOfUid(study.studyInstanceUid, 'main'))[0]?.error, {
      message: () => dispatch.output(),
    });
    const isFinal = (path: string): boolean => path.endsWith('.dcm');
    for (const file of (await listReceived(folder.path).catch(() => [])).filter(({ path }) => isFinal(path))) {
      expect(study.datasets.get(file.sopInstanceUid)).toBe(file.datasetSha256);
    }
    proxy.heal();
    await system.untilDelivery(study, 'sftp', ['delivered']);
    const files = await listReceived(folder.path);
    expect(new Map(files.map((file) => [file.sopInstanceUid, file.datasetSha256]))).toEqual(study.datasets);
    expect(files.length).toBe(20);
  });

  it('6: attempts are exhausted; the retry in Bull Board counts from the beginning and fetches nothing that is confirmed', async () => {
    await using system = await startSystem();
    await using scp = await startFaultScp();
    await using dispatch = await startDispatch({ config: system.config({ pacs: pacsTarget(scp, { attempts: 1 }) }) });
    const bad = new Set<string>();
    scp.answer = (uid, count) => {
      if (count >= 8 && bad.size === 0) bad.add(uid);
      // A processing failure: "out of resources" for the only remaining instance would concern the target.
      return bad.has(uid) ? 0x0110 : 0;
    };
    const study = await system.upload({ seed: 'exhausted', instancesPerSeries: 12 });
    // The first one confirms 11 instances, so that it does not count.
    const failed = await system.untilDelivery(study, 'pacs', ['failed']);
    expect(failed).toMatchObject({ attempts: 2, confirmed: 11, error: { code: 'instance-failed', stage: 'transfer' } });
    bad.clear();
    scp.answer = () => 0;
    const sent = scp.stores.length;
    await pressRetry(dispatch.url, 'pacs', failed.deliveryId);
    const done = await system.untilDelivery(study, 'pacs', ['delivered']);
    expect(scp.stores.slice(sent).length).toBe(1);
    expect(done.attempts).toBe(3);
    expect(scp.accepted()).toEqual(study.datasets);
  });

  it('7: a black-holed target does not hold up a healthy one', async () => {
    await using system = await startSystem();
    await using healthy = await startFaultScp();
    await using swallowed = await startFaultScp();
    await using proxy = await startFaultProxy({ port: swallowed.port });
    proxy.set({ blackHole: true });
    const hole = pacsTarget(
      { ...swallowed, port: proxy.port, aet: 'HOLE' },
      { associationTimeout: '3s', concurrency: 1 },
    );
    await using dispatch = await startFollowing({ config: system.config({ healthy: pacsTarget(healthy), hole }) });
    const studies = [];
    for (let seed = 0; seed < 10; seed += 1)
      studies.push(await system.upload({ seed: `hole ${seed}`, instancesPerSeries: 3 }));
    for (const study of studies) await system.untilDelivery(study, 'healthy', ['delivered']);
    // All ten are delivered before a single attempt at the other target succeeds.
    expect((await system.records.counts('hole')).delivered).toBe(0);
    expect(healthy.stores.length).toBe(30);
    proxy.heal();
    for (const study of studies) await system.untilDelivery(study, 'hole', ['delivered']);
    expect(swallowed.stores.length, dispatch.output()).toBe(30);
  });

  it('8: STOW-RS answers 202 with failures: only what failed is sent again', async () => {
    await using system = await startSystem();
    let isFirst = true;
    let failing: string[] = [];
    const taken: string[] = [];
    // No packaged server answers 202 with failures: this stand-in stores nothing and sends the response that the Standard
    // allows.
    await using server = await startHttpServer((request, response) => {
      if (request.method !== 'POST') return void response.writeHead(204).end();
      const text = request.body.toString('latin1');
      const uids = [...study.datasets.keys()].filter((uid) => text.includes(uid));
      if (isFirst) failing = uids.slice(0, 2);
      const failed = isFirst ? failing : [];
      isFirst = false;
      taken.push(...uids.filter((uid) => !failed.includes(uid)));
      const item = (uid: string, more: object): object => ({ '00081155': { vr: 'UI', Value: [uid] }, ...more });
      response.writeHead(failed.length > 0 ? 202 : 200, { 'content-type': 'application/dicom+json' });
      response.end(
        JSON.stringify({
          '00081198': {
            vr: 'SQ',
            Value: failed.map((uid) => item(uid, { '00081197': { vr: 'US', Value: [0xa700] } })),
          },
          '00081199': { vr: 'SQ', Value: uids.filter((uid) => !failed.includes(uid)).map((uid) => item(uid, {})) },
        }),
      );
    });
    const study = await system.upload({ seed: 'stow', instancesPerSeries: 10 });
    const sources = { main: { url: system.orthanc.url, pollInterval: '200ms', startFrom: 'everything' } };
    const targets = { web: { type: 'dicomweb', url: server.url, ...quick } };
    await using dispatch = await startFollowing({ config: { ...system.config(targets), sources } });
    await system.untilDelivery(study, 'web', ['delivered']);
    expect(failing.length, dispatch.output()).toBe(2);
    expect([...taken].sort()).toEqual([...study.datasets.keys()].sort());
    const again = server.requests
      .filter(({ method }) => method === 'POST')
      .slice(1)
      .map((request) => request.body.toString('latin1'));
    expect([...study.datasets.keys()].filter((uid) => again.some((text) => text.includes(uid))).sort()).toEqual(
      [...failing].sort(),
    );
  });

  it('9: router and Redis are restarted in the middle of the change stream: every study arrives once', async () => {
    await using system = await startSystem();
    await using scp = await startFaultScp();
    const config = system.config({ pacs: pacsTarget(scp) });
    await using router = await startDispatch({ command: 'router', config });
    await using dispatcher = await startDispatch({ command: 'dispatcher', config });
    const studies = [];
    for (let seed = 0; seed < 12; seed += 1) {
      studies.push(await system.upload({ seed: `stream ${seed}`, instancesPerSeries: 3 }));
      if (seed === 3) await router.kill('SIGKILL');
      if (seed === 5) await system.redis.kill('SIGKILL');
      if (seed === 7) await system.redis.restart();
      if (seed === 9) await router.restart();
    }
    for (const study of studies) {
      await system.untilDelivery(study, 'pacs', ['delivered']).catch((error: unknown) => {
        throw new Error(`${router.output()}\n${dispatcher.output()}`, { cause: error });
      });
    }
    const counts = new Map<string, number>();
    for (const { sopInstanceUid } of scp.stores) counts.set(sopInstanceUid, (counts.get(sopInstanceUid) ?? 0) + 1);
    expect(counts.size).toBe(36);
    expect(scp.accepted()).toEqual(new Map(studies.flatMap(({ datasets }) => [...datasets])));
  });

  it('10: Orthanc restarted inside StableAge: the sweep finds the study that no event announces', async () => {
    await using system = await startSystem({ stableAgeSeconds: 4 });
    await using scp = await startFaultScp();
    const sources = { main: { url: system.orthanc.url, pollInterval: '200ms', sweep: { every: '1s', settle: '2s' } } };
    await using dispatch = await startFollowing({ config: { ...system.config({ pacs: pacsTarget(scp) }), sources } });
    const study = await system.upload({ seed: 'restart', instancesPerSeries: 5 });
    await system.orthanc.restart();
    await system.untilDelivery(study, 'pacs', ['delivered']).catch((error: unknown) => {
      throw new Error(dispatch.output(), { cause: error });
    });
    const changes = (await system.orthanc.get('/changes?limit=100')) as { Changes: { ChangeType: string }[] };
    expect(changes.Changes.filter(({ ChangeType: type }) => type === 'StableStudy')).toEqual([]);
    expect(scp.accepted()).toEqual(study.datasets);
    expect(scp.stores.length).toBe(5);
  });

  it('late instances wait for the running delivery of the first ones: nothing is sent twice', async () => {
    await using system = await startSystem();
    await using scp = await startFaultScp();
    // Slow until the late instances are routed, however busy the machine is.
    scp.delayMs = 1_000;
    const config = system.config({ pacs: pacsTarget(scp, { maxParallel: 1, concurrency: 4 }) });
    await using dispatch = await startDispatch({ config });
    await using second = await startDispatch({ command: 'dispatcher', config });
    await system.upload({ seed: 'late', series: 1, instancesPerSeries: 100, rows: 16, columns: 16 });
    await waitFor(() => scp.stores.length > 1, { message: () => dispatch.output() });
    const study = await system.upload({ seed: 'late', series: 2, instancesPerSeries: 100, rows: 16, columns: 16 });
    const deliveries = () => system.records.deliveriesOfUid(study.studyInstanceUid, 'main');
    await waitFor(async () => (await deliveries()).length === 2, { message: () => dispatch.output() });
    expect(scp.stores.length, 'the first delivery is still under way').toBeLessThan(100);
    scp.delayMs = 5;
    await waitFor(async () => (await deliveries()).every(({ state }) => state === 'delivered'), {
      message: () => `${dispatch.output()}\n${second.output()}`,
    });
    expect(scp.accepted()).toEqual(study.datasets);
    expect(scp.stores.length).toBe(200);
  });
});
