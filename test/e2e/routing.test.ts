import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { listReceived, tempFolder, waitFor } from '@dicom-dispatch/harness';
import { holdDelivery, promoteTarget, releaseDelivery } from '@dicom-dispatch/operations';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startFaultScp, type FaultScp } from './support/fault-scp.ts';
import { pacsTarget } from './support/pacs-target.ts';
import { startRoutingSystem, type RoutingSystem, type UploadedStudy } from './support/routing-system.ts';

let system: RoutingSystem;
beforeAll(async () => {
  system = await startRoutingSystem({ extraConfig: { UserMetadata: { dispatched: 1024 } } });
});
afterAll(async () => {
  await system[Symbol.asyncDispose]();
});

/** What a receiver got of some studies, including duplicates: studies of other tests become stable late. */
function got(scp: FaultScp, ...studies: readonly UploadedStudy[]): string[] {
  const wanted = new Set(studies.flatMap(({ sopInstanceUids }) => sopInstanceUids));
  return scp.stores.map(({ sopInstanceUid }) => sopInstanceUid).filter((uid) => wanted.has(uid));
}

const sr = 'series.exists(s, s.Modality == "SR")';

describe('which instances go', () => {
  it('only those that a rule selects, by tags of instance and series', async () => {
    await using pacs = await startFaultScp();
    await using other = await startFaultScp();
    await using run = await system.start({
      targets: { pacs: pacsTarget(pacs), other: pacsTarget(other) },
      rules: [
        { name: 'no-reports', targets: ['pacs'], instances: { only: 'series.Modality != "SR"' } },
        {
          name: 'first',
          targets: ['other'],
          instances: { only: 'instance.ImageType.startsWith("ORIGINAL") && instance.InstanceNumber == 1' },
        },
        { name: 'nothing', targets: ['other'], transform: 'plain', instances: { only: 'series.Modality == "US"' } },
      ],
      transforms: { plain: { set: { PatientComments: 'x' } } },
    });
    const ct = await system.upload({ seed: 'select', instancesPerSeries: 3 });
    const report = await system.upload({ seed: 'select-sr', into: 'select', modality: 'SR', instancesPerSeries: 1 });
    await run.until(ct, 'pacs', 'delivered');
    await run.until(ct, 'other', 'delivered');
    expect(got(pacs, ct, report).sort()).toEqual([...ct.sopInstanceUids].sort());
    expect(got(other, ct, report)).toEqual([ct.sopInstanceUids[0]]);
    expect((await run.deliveries(ct)).every(({ rules }) => !rules.includes('nothing'))).toBe(true);
  });
});

describe('a held delivery', () => {
  it('waits until it is released, and is not held again by another event', async () => {
    await using pacs = await startFaultScp();
    await using run = await system.start({
      targets: { pacs: pacsTarget(pacs) },
      rules: [{ name: 'approve', targets: ['pacs'], hold: true }],
    });
    const study = await system.upload({ seed: 'hold' });
    const { deliveryId } = await run.until(study, 'pacs', 'waiting');
    // On a slow machine the study may be stable twice while it is uploaded: then it has two deliveries.
    const job = async () => run.operations.queues.target('pacs').getJob(deliveryId);
    await waitFor(async () => (await (await job())?.getState()) === 'delayed', { message: 'it is put back' });
    expect(got(pacs, study)).toEqual([]);
    await releaseDelivery(run.operations, deliveryId, { name: 'test' });
    await run.until(study, 'pacs', 'delivered');
    await expect(holdDelivery(run.operations, deliveryId, { name: 'test' })).rejects.toThrow('only a waiting');
  });
});

describe('outside its hours', () => {
  it('a delivery waits for the window of its rule and of its target, and starts when both are open', async () => {
    await using pacs = await startFaultScp();
    await using slow = await startFaultScp();
    const closed = { timeZone: 'UTC', windows: [closedWindow(new Date())] };
    const rules = [
      { name: 'closed', targets: ['slow'], schedule: closed },
      { name: 'open', targets: ['pacs'] },
    ];
    await using run = await system.start({
      targets: { pacs: pacsTarget(pacs, { schedule: closed }), slow: pacsTarget(slow) },
      rules,
    });
    const study = await system.upload({ seed: 'hours' });
    const texts = async (target: string): Promise<string> => {
      const { deliveryId } = await run.until(study, target, 'waiting');
      return (await run.operations.records.events(deliveryId)).map(({ text }) => text).join('\n');
    };
    await waitFor(async () => (await texts('slow')).includes('outside the schedule of its rule'), { message: 'rule' });
    await waitFor(async () => (await texts('pacs')).includes('outside the schedule of the target'), {
      message: 'target',
    });
    await run.reload({ targets: { pacs: pacsTarget(pacs), slow: pacsTarget(slow) }, rules });
    await promoteTarget(run.operations, 'slow');
    await run.until(study, 'pacs', 'delivered');
    // It keeps the rule by which it was routed.
    expect(got(slow, study)).toEqual([]);
    expect((await run.until(study, 'slow', 'waiting')).nextAttemptAt).toBeGreaterThan(Date.now());
  });
});

describe('instances that arrive later', () => {
  it('the difference, all again, or nothing', async () => {
    await using difference = await startFaultScp();
    await using all = await startFaultScp();
    await using never = await startFaultScp();
    const scps = { difference, all, never } as const;
    await using run = await system.start({
      targets: Object.fromEntries(Object.entries(scps).map(([name, scp]) => [name, pacsTarget(scp)])),
      rules: Object.keys(scps).map((name) => ({ name, targets: [name], late: name })),
    });
    const study = await system.upload({ seed: 'late', instancesPerSeries: 3 });
    for (const target of Object.keys(scps)) await run.until(study, target, 'delivered');
    const more = await system.upload({ seed: 'late-2', into: 'late', instancesPerSeries: 2 });
    await waitFor(
      async () => {
        const deliveries = await run.deliveries(study);
        return deliveries.length === 5 && deliveries.every(({ state }) => state === 'delivered');
      },
      { message: 'what is late is delivered' },
    );
    expect(got(difference, study, more)).toHaveLength(5);
    expect(got(difference, study, more).slice(3).sort()).toEqual([...more.sopInstanceUids].sort());
    expect(got(all, study, more)).toHaveLength(3 + 5);
    expect(got(never, study, more).sort()).toEqual([...study.sopInstanceUids].sort());
  });
});

describe('an incomplete study', () => {
  it('waits for a series through a restart of the router, and is sent when it has arrived', async () => {
    await using pacs = await startFaultScp();
    await using now = await startFaultScp();
    const raw = {
      targets: { pacs: pacsTarget(pacs), now: pacsTarget(now) },
      rules: [
        { name: 'with-report', targets: ['pacs'], complete: { when: sr, timeout: '1h' } },
        { name: 'at-once', targets: ['now'] },
      ],
      redis: { url: system.redis.url, prefix: '{whole}' },
    };
    const study = await (async () => {
      await using run = await system.start(raw);
      const uploaded = await system.upload({ seed: 'whole' });
      await run.until(uploaded, 'now', 'delivered');
      return uploaded;
    })();
    await using run = await system.start(raw);
    expect((await run.deliveries(study)).map(({ target }) => target)).toEqual(['now']);
    const report = await system.upload({ seed: 'whole-sr', into: 'whole', modality: 'SR', instancesPerSeries: 1 });
    await run.until(study, 'pacs', 'delivered');
    expect(got(pacs, study, report)).toHaveLength(4);
  });

  it('is sent incomplete after it has waited long enough', async () => {
    await using pacs = await startFaultScp();
    await using run = await system.start({
      targets: { pacs: pacsTarget(pacs) },
      rules: [{ name: 'ten', targets: ['pacs'], complete: { series: 10, timeout: '2s' } }],
    });
    const study = await system.upload({ seed: 'timeout' });
    await run.until(study, 'pacs', 'delivered');
    expect(got(pacs, study)).toHaveLength(3);
    // Later instances do not start a new wait.
    const more = await system.upload({ seed: 'timeout-2', into: 'timeout', instancesPerSeries: 1 });
    await waitFor(() => got(pacs, more).length === 1, { message: 'the late one' });
  });
});

describe('on its way', () => {
  it('a study is anonymised for one target and unchanged for another; late instances keep their new UIDs', async () => {
    await using folder = await tempFolder('research');
    await using pacs = await startFaultScp();
    await using run = await system.start({
      targets: {
        research: {
          type: 'folder',
          path: folder.path,
          layout: '{PatientID}/{StudyInstanceUID}/{SOPInstanceUID}.dcm',
          transform: 'anon',
        },
        pacs: pacsTarget(pacs),
      },
      transforms: { anon: { anonymise: {}, set: { ClinicalTrialProtocolID: 'T1' } } },
      rules: [{ name: 'trial', when: 'study.PatientID == "PID-77"', targets: ['research', 'pacs'] }],
    });
    const attributes = { PatientID: 'PID-77', PatientName: 'Muster^Max', AccessionNumber: 'ACC77' };
    const study = await system.upload({ seed: 'anon', attributes });
    await run.until(study, 'research', 'delivered');
    await run.until(study, 'pacs', 'delivered');
    expect(got(pacs, study).sort()).toEqual([...study.sopInstanceUids].sort());
    const names = await readdir(folder.path, { recursive: true });
    expect(names.join('\n')).not.toMatch(/PID-77|Muster|ACC77/);
    expect(names.join('\n')).not.toContain(study.studyInstanceUid);
    const first = await listReceived(folder.path);
    expect(first).toHaveLength(3);
    await system.upload({ seed: 'anon-2', into: 'anon', instancesPerSeries: 1, attributes });
    await waitFor(async () => (await listReceived(folder.path)).length === 4, {
      message: 'the late one',
    });
    expect(new Set((await readdir(folder.path)).filter((name) => name.startsWith('P-'))).size).toBe(1);
    const again = await listReceived(folder.path);
    for (const one of first) expect(again).toContainEqual(one);
  });
});

describe('after success', () => {
  it('labels or metadata are set, and exactly what was delivered is deleted', async () => {
    await using pacs = await startFaultScp();
    await using run = await system.start({
      targets: { pacs: pacsTarget(pacs) },
      rules: [{ name: 'move', targets: ['pacs'], onSuccess: { metadata: { dispatched: 'yes' }, delete: true } }],
    });
    const study = await system.upload({ seed: 'move' });
    const { deliveryId } = await run.until(study, 'pacs', 'delivered');
    await waitFor(async () => !(await isThere(study.orthancStudyId)), {
      message: 'the study is deleted',
    });
    const texts = async (): Promise<string> =>
      (await run.operations.records.events(deliveryId)).map(({ text }) => text).join('\n');
    await waitFor(async () => (await texts()).includes('instances deleted'), { message: 'the timeline shows it' });
  });

  it('nothing is deleted that no target has got, or that has changed since', async () => {
    await using pacs = await startFaultScp();
    await using run = await system.start({
      targets: { pacs: pacsTarget(pacs) },
      rules: [
        {
          name: 'part',
          targets: ['pacs'],
          instances: { only: 'instance.InstanceNumber < 3' },
          onSuccess: { labels: ['sent'], metadata: { dispatched: 'part' }, delete: true, unprotect: true },
        },
      ],
    });
    const study = await system.upload({ seed: 'part' });
    const patient = (await system.client.studies.read(study.orthancStudyId)).ParentPatient;
    await system.client.patients.setProtected(patient, true);
    const { deliveryId } = await run.until(study, 'pacs', 'delivered');
    const found = await waitFor(
      async () =>
        (await run.operations.records.events(deliveryId)).find(({ text }) => text.includes('in the source'))?.text,
      { message: 'the timeline shows it' },
    );
    expect(found).toContain('1 of 3 instances were sent to no target');
    // Orthanc has labels since 1.12: an older version is reported as unable to set them, and everything else is done.
    const { HasLabels: hasLabels } = (await (await fetch(`${system.orthanc.url}/system`)).json()) as {
      HasLabels?: boolean;
    };
    expect(found).toMatch(
      hasLabels ? /in the source: label sent/ : /not done in the source: label sent: the source cannot/,
    );
    expect(await isThere(study.orthancStudyId)).toBe(true);
    expect((await system.client.studies.metadata(study.orthancStudyId))['dispatched']).toBe('part');
    expect(await system.client.patients.isProtected(patient)).toBe(false);
  });
});

/** An hour of the day that starts twelve hours from now. */
function closedWindow(now: Date): { from: string; to: string } {
  const hour = (now.getUTCHours() + 12) % 24;
  const text = (at: number): string => `${String(at % 24).padStart(2, '0')}:00`;
  return { from: text(hour), to: text(hour + 1) };
}

async function isThere(orthancStudyId: string): Promise<boolean> {
  const { ok } = await fetch(join(system.orthanc.url, 'studies', orthancStudyId).replace(':/', '://'));
  return ok;
}
