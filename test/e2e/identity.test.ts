import { mkdir, readdir, readFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { ledgerKeyOf } from '@dicom-dispatch/core';
import { readReceipt } from '@dicom-dispatch/operations';
import {
  caseFile,
  httpRequest,
  startFaultProxy,
  startOrthanc,
  startStorescp,
  tempFolder,
  waitFor,
  type OrthancServer,
  type StorescpServer,
  type TempFolder,
} from '@dicom-dispatch/harness';
import { makeStudy } from '@dicom-dispatch/samples';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startFaultScp } from './support/fault-scp.ts';
import { pacsTarget, quick } from './support/pacs-target.ts';
import { startRoutingSystem, type RoutingSystem, type RunningRouting } from './support/routing-system.ts';

let system: RoutingSystem;
let archive: OrthancServer;
let scp: StorescpServer;
let folder: TempFolder;

beforeAll(async () => {
  [system, archive, scp, folder] = await Promise.all([
    startRoutingSystem({ overwriteInstances: true }),
    startOrthanc({ plugins: ['dicomweb'] }),
    startStorescp({ args: ['-uf'] }),
    tempFolder('identity'),
  ]);
});
afterAll(async () => {
  await Promise.all([system?.[Symbol.asyncDispose](), archive?.stop(), scp?.stop(), folder?.remove()]);
});

/** A target of every kind, the last two in one Orthanc. */
function targets(name: string): Record<string, object> {
  return {
    pacs: { type: 'dicom', host: scp.host, port: scp.port, calledAeTitle: scp.aet, ...quick },
    files: {
      type: 'folder',
      path: folder.path,
      layout: `${name}/{PatientID}/{SeriesInstanceUID}/{SOPInstanceUID}.dcm`,
      minFree: 0,
      ...quick,
    },
    orthanc: { type: 'orthanc', url: archive.url, ...quick },
    web: { type: 'dicomweb', url: `${archive.url}/dicom-web`, ...quick },
  };
}

async function upload(name: string): Promise<{ ID: string; ParentStudy: string }> {
  return system.orthanc.upload(await caseFile(name));
}

async function uidOf(orthancStudyId: string): Promise<string> {
  const { MainDicomTags: tags } = await system.client.studies.read(orthancStudyId);
  return tags['StudyInstanceUID'] ?? '';
}

async function filesOf(name: string): Promise<string[]> {
  const entries = await readdir(`${folder.path}/${name}`, { recursive: true });
  return entries.filter((entry) => entry.endsWith('.dcm')).sort();
}

/** An instance as Orthanc changes it. */
async function modified(id: string, change: object): Promise<Buffer> {
  const answer = await httpRequest(`${system.orthanc.url}/instances/${id}/modify`, {
    method: 'POST',
    body: Buffer.from(JSON.stringify({ ...change, Force: true })),
  });
  expect(answer.status, answer.body.toString()).toBe(200);
  return answer.body;
}

/** The same file (Explicit VR Little Endian) with UN as the VR of its Patient ID. */
function withUnknownVr(file: Buffer): Buffer {
  const at = file.indexOf(Buffer.from([0x10, 0, 0x20, 0, 0x4c, 0x4f]));
  const length = file.readUInt16LE(at + 6);
  const head = Buffer.from([0x10, 0, 0x20, 0, 0x55, 0x4e, 0, 0, length, 0, 0, 0]);
  return Buffer.concat([file.subarray(0, at), head, file.subarray(at + 8)]);
}

function otherPixels(file: Buffer): Buffer {
  return Buffer.concat([file.subarray(0, -4), Buffer.from('abcd')]);
}

/** Studies that are stable before the router starts are routed, too. */
function fromTheBeginning() {
  return { main: { url: system.orthanc.url, pollInterval: '100ms', startFrom: 'everything' } };
}

/** What is stored with the latest delivery to each target. */
async function noticesOf(run: RunningRouting, orthancStudyId: string): Promise<Record<string, string>> {
  const deliveries = await run.operations.records.deliveriesOf({ source: 'main', orthancStudyId });
  return Object.fromEntries(
    deliveries.toReversed().flatMap(({ target, notice }) => (notice === undefined ? [] : [[target, notice]])),
  );
}

/** Until every target of a study has ended as it should. */
async function untilDelivered(
  run: RunningRouting,
  orthancStudyId: string,
  states = ['delivered'],
  count = Object.keys(run.config.targets).length,
): Promise<void> {
  const key = { source: 'main', orthancStudyId };
  let seen: unknown;
  await waitFor(
    async () => {
      const deliveries = await run.operations.records.deliveriesOf(key);
      seen = deliveries.map(({ target, state, error }) => ({ target, state, error }));
      return deliveries.length >= count && deliveries.every(({ state }) => states.includes(state));
    },
    { message: () => JSON.stringify(seen) },
  );
}

it('sends both instances that share a SOP Instance UID in two series, and accounts for each', async () => {
  const { ParentStudy: study } = await upload('dup-sop-series1.dcm');
  await upload('dup-sop-series2.dcm');
  await using run = await system.start({ sources: fromTheBeginning(), targets: targets('shared') });
  await untilDelivered(run, study);
  const studyInstanceUid = await uidOf(study);
  for (const target of Object.keys(run.config.targets)) {
    const key = { source: 'main', orthancStudyId: study, studyInstanceUid, target };
    const names = [...(await run.operations.ledger.entries(key)).keys()].sort();
    expect(names, target).toEqual([1, 2].map((series) => `${studyInstanceUid}.9@${studyInstanceUid}.${series}`));
  }
  for (const one of await run.operations.records.deliveriesOf({ source: 'main', orthancStudyId: study })) {
    expect(one, one.target).toMatchObject({ total: 2, confirmed: 2, attempts: 1, quarantined: 0 });
  }
  expect(await filesOf('shared')).toEqual(
    [1, 2].map((series) => `PID2/${studyInstanceUid}.${series}/${studyInstanceUid}.9.dcm`),
  );
  expect((await archive.get('/statistics')) as object).toMatchObject({ CountSeries: 2, CountInstances: 2 });
  // A receiver that identifies instances by that UID alone cannot keep both.
  const shared = expect.stringContaining('share a SOP Instance UID with an instance of another series');
  expect(await noticesOf(run, study)).toEqual({ pacs: shared, web: shared });
  await system.orthanc.send('DELETE', `/studies/${study}`);
  await archive.send('DELETE', `/studies/${study}`);
});

it('a study that gets an instance with a SOP Instance UID that it has already sends that instance only', async () => {
  const { ParentStudy: study } = await upload('dup-sop-series1.dcm');
  await using run = await system.start({ sources: fromTheBeginning(), targets: targets('late') });
  await untilDelivered(run, study);
  await upload('dup-sop-series2.dcm');
  await waitFor(
    async () => (await run.operations.records.study({ source: 'main', orthancStudyId: study }))?.instanceCount === 2,
  );
  await untilDelivered(run, study);
  const deliveries = await run.operations.records.deliveriesOf({ source: 'main', orthancStudyId: study });
  const sizes = await Promise.all(
    ['1', '2'].map(async (series) => (await caseFile(`dup-sop-series${series}.dcm`)).length),
  );
  for (const { bytesSent, target } of deliveries.filter((one) => one.total === 2 && one.target === 'orthanc')) {
    expect(bytesSent, target).toBe(sizes[1]);
  }
  expect(deliveries.map(({ total, confirmed }) => total - confirmed)).toEqual(Array.from({ length: 8 }, () => 0));
  expect((await filesOf('late')).length).toBe(2);
  await system.orthanc.send('DELETE', `/studies/${study}`);
  await archive.send('DELETE', `/studies/${study}`);
});

it('two studies with one Study Instance UID are each routed once, listed each, and left alone by sweeps', async () => {
  const { ParentStudy: a } = await upload('tiny-same-uids-patient-A.dcm');
  const { ParentStudy: b } = await upload('tiny-same-uids-patient-B.dcm');
  const sources = {
    main: { ...fromTheBeginning().main, sweep: { every: '1s', pause: 0, settle: '1s' } },
  };
  await using run = await system.start({ sources, targets: targets('patients') });
  await untilDelivered(run, a);
  await untilDelivered(run, b);
  const { records } = run.operations;
  const [first, second] = await Promise.all([a, b].map((id) => records.study({ source: 'main', orthancStudyId: id })));
  expect((await records.studiesOfUid('2.25.9006')).map(({ orthancStudyId }) => orthancStudyId).sort()).toEqual(
    [a, b].sort(),
  );
  expect((await records.studies({ source: 'main', limit: 10 })).records.length).toBe(2);
  // Three sweeps from now on.
  const sweepKey = `${run.config.redis.prefix}:sweep:main`;
  for (let count = 0; count < 3; count += 1) {
    const before = await run.connection.hget(sweepKey, 'endedAt');
    await waitFor(async () => (await run.connection.hget(sweepKey, 'endedAt')) !== before);
    expect(await run.connection.hget(sweepKey, 'routed')).toBe('0');
  }
  expect(await records.study({ source: 'main', orthancStudyId: a })).toEqual(first);
  expect(await records.study({ source: 'main', orthancStudyId: b })).toEqual(second);
  expect((await records.counts()).delivered).toBe(8);
  expect(await filesOf('patients')).toEqual(
    ['A', 'B'].map((patient) => `PATIENT-${patient}/2.25.9006.1/2.25.9006.1.1.dcm`),
  );
  expect(((await archive.get('/patients')) as string[]).length).toBe(2);
  for (const [study, other] of [
    [a, b],
    [b, a],
  ] as const) {
    const notice = expect.stringContaining(`was also sent to the target with study ${other} of main`);
    expect(await noticesOf(run, study)).toEqual({ pacs: notice, web: notice });
    const toPacs = (await records.deliveriesOf({ source: 'main', orthancStudyId: study })).filter(
      ({ target }) => target === 'pacs',
    );
    const events = await Promise.all(toPacs.map(({ deliveryId }) => records.events(deliveryId)));
    const noted = events.flat().filter(({ kind }) => kind === 'noticed');
    expect(noted.length).toBe(1);
  }
  for (const id of [a, b]) await system.orthanc.send('DELETE', `/studies/${id}`);
  for (const id of await archive.studies()) await archive.send('DELETE', `/studies/${id}`);
});

it('a study that is moved to another patient is another study, is sent, and reports with which it shares its UIDs', async () => {
  const study = await system.upload({ seed: 'moved patient', instancesPerSeries: 2 });
  await using run = await system.start({ sources: fromTheBeginning(), targets: targets('corrected') });
  await untilDelivered(run, study.orthancStudyId);
  const uids = ['StudyInstanceUID', 'SeriesInstanceUID', 'SOPInstanceUID'];
  let corrected = '';
  for (const id of study.instanceIds) {
    const file = await modified(id, { Replace: { PatientID: 'CORRECTED' }, Keep: uids });
    ({ ParentStudy: corrected } = await system.orthanc.upload(file));
    await system.orthanc.send('DELETE', `/instances/${id}`);
  }
  expect(corrected).not.toBe(study.orthancStudyId);
  await untilDelivered(run, corrected);
  expect((await filesOf('corrected')).filter((name) => name.startsWith('CORRECTED/')).length).toBe(2);
  expect((await filesOf('corrected')).length).toBe(4);
  const notice = expect.stringContaining(`was also sent to the target with study ${study.orthancStudyId}`);
  expect(await noticesOf(run, corrected)).toEqual({ pacs: notice, web: notice });
  expect((await run.operations.records.studiesOfUid(study.studyInstanceUid)).length).toBe(2);
  await system.orthanc.send('DELETE', `/studies/${corrected}`);
  for (const id of await archive.studies()) await archive.send('DELETE', `/studies/${id}`);
});

it('one SOP Instance UID in two studies is noted with both, and what is noted is not deleted at the source', async () => {
  const study = await system.upload({ seed: 'reused UID', instancesPerSeries: 2 });
  const [id = ''] = study.instanceIds;
  const copyOf = (PatientID: string): Promise<Buffer> => {
    const uids = {
      StudyInstanceUID: `2.25.9007.${PatientID.length}`,
      SeriesInstanceUID: `2.25.9007.${PatientID.length}.1`,
    };
    return modified(id, { Replace: { ...uids, PatientID }, Keep: ['SOPInstanceUID'] });
  };
  const [file, thirdFile] = [await copyOf('REUSED'), await copyOf('CAREFUL')];
  const { pacs = {}, web = {} } = targets('reused');
  await using run = await system.start({
    sources: fromTheBeginning(),
    targets: { pacs, web, careful: { ...pacs, onConflict: 'error' } },
    rules: [
      { name: 'all', when: 'study.PatientID != "CAREFUL"', targets: ['pacs', 'web'], onSuccess: { delete: true } },
      { name: 'error', when: 'study.PatientID != "REUSED"', targets: ['careful'] },
    ],
  });
  await untilDelivered(run, study.orthancStudyId);
  expect(await noticesOf(run, study.orthancStudyId)).toEqual({});
  // The first instance has left its source before the others arrive.
  await waitFor(async () => !(await system.orthanc.studies()).includes(study.orthancStudyId), {
    message: 'the end of the first study',
  });
  const [{ ParentStudy: other }, { ParentStudy: third }] = [
    await system.orthanc.upload(file),
    await system.orthanc.upload(thirdFile),
  ];
  await untilDelivered(run, other, ['delivered'], 2);
  await untilDelivered(run, third, ['failed'], 1);
  const [refused] = await run.operations.records.deliveriesOf({ source: 'main', orthancStudyId: third });
  expect(refused?.error?.code).toBe('all-quarantined');
  expect([...(await run.operations.ledger.entries(ledgerKeyOf(refused!))).values()]).toMatchObject([
    {
      error: {
        code: 'target-conflict',
        // The receiver has the instance of both, one of them under another name.
        message: expect.stringMatching(`study (?:${study.orthancStudyId}|${other}) of main`),
      },
    },
  ]);
  for (const [one, another] of [
    [study.orthancStudyId, other],
    [other, study.orthancStudyId],
  ] as const) {
    const notice = expect.stringMatching(
      `^A SOP Instance UID of this study was also sent to the target with study ${another} of main \\(another Study Instance UID\\)`,
    );
    // The first instance reached the same receiver under another name.
    const byOtherName = one === other ? {} : { careful: notice };
    expect(await noticesOf(run, one)).toEqual({ pacs: notice, web: notice, ...byOtherName });
  }
  const [delivery] = await run.operations.records.deliveriesOf({ source: 'main', orthancStudyId: other });
  const reported = async (): Promise<string[]> =>
    (await run.operations.records.events(delivery!.deliveryId)).map(({ text }) => text);
  await waitFor(
    async () => (await reported()).some((text) => text.includes('not done in the source: instances deleted')),
    {
      message: 'the actions after success',
    },
  );
  expect(await system.orthanc.studies()).toContain(other);
  for (const left of [other, third]) await system.orthanc.send('DELETE', `/studies/${left}`);
  for (const left of await archive.studies()) await archive.send('DELETE', `/studies/${left}`);
});

it('two patients with the same UIDs never share a file, even if they are very similar', async () => {
  const attributes = { PatientID: 'SAM' };
  const [plain] = [...makeStudy({ seed: 'odd patient', series: 1, instancesPerSeries: 1, attributes })];
  const pairs = [
    // Orthanc treats the padding of a Patient ID with VR UN as part of the value.
    [plain!.bytes, otherPixels(withUnknownVr(plain!.bytes))],
    [await caseFile('tiny-same-uids-patient-A.dcm'), otherPixels(await caseFile('tiny-same-uids-patient-B.dcm'))],
  ] as const;
  const studies: { readonly id: string; readonly bytes: Buffer }[][] = [];
  for (const pair of pairs) {
    const uploaded = [];
    for (const bytes of pair) uploaded.push({ id: (await system.orthanc.upload(bytes)).ParentStudy, bytes });
    expect(uploaded[0]!.id).not.toBe(uploaded[1]!.id);
    studies.push(uploaded);
  }
  const place = (name: string): object => ({ type: 'folder', path: `${folder.path}/${name}`, minFree: 0, ...quick });
  await mkdir(`${folder.path}/flat`);
  await mkdir(`${folder.path}/nobody`);
  await using run = await system.start({
    sources: fromTheBeginning(),
    transforms: { nobody: { anonymise: { pseudonyms: false } } },
    targets: { flat: { ...place('flat'), layout: 'flat' }, nobody: { ...place('nobody'), transform: 'nobody' } },
  });
  const { records, ledger } = run.operations;
  for (const [one, other] of studies) {
    for (const { id } of [one!, other!]) await untilDelivered(run, id, ['delivered', 'failed']);
    for (const target of ['flat', 'nobody']) {
      const ends = await Promise.all(
        [one!, other!].map(async ({ id, bytes }) => {
          const deliveries = await records.deliveriesOf({ source: 'main', orthancStudyId: id });
          return { bytes, delivery: deliveries.find((delivery) => delivery.target === target)! };
        }),
      );
      const [delivered, failed] = ends.toSorted((a, b) => (a.delivery.state < b.delivery.state ? -1 : 1));
      expect(delivered?.delivery, target).toMatchObject({ state: 'delivered', confirmed: 1 });
      expect(failed?.delivery, target).toMatchObject({ state: 'failed', error: { code: 'all-quarantined' } });
      const entries = await ledger.entries(ledgerKeyOf(failed!.delivery));
      expect([...entries.values()], target).toMatchObject([
        { state: 'quarantined', error: { code: 'target-conflict' } },
      ]);
      if (target === 'flat') {
        const names = (await filesOf('flat')).filter((name) => delivered!.bytes.includes(name.slice(0, -4)));
        expect(names.length).toBe(1);
        expect((await readFile(`${folder.path}/flat/${names[0]}`)).equals(delivered!.bytes)).toBe(true);
      }
    }
  }
  expect((await filesOf('nobody')).length).toBe(2);
  for (const { id } of studies.flat()) await system.orthanc.send('DELETE', `/studies/${id}`);
});

it('an instance that is overwritten in its series is sent again, the others are not', async () => {
  const study = await system.upload({ seed: 'overwritten', instancesPerSeries: 3 });
  const pacs = { pacs: targets('overwritten')['pacs'] ?? {} };
  await using run = await system.start({ sources: fromTheBeginning(), targets: pacs });
  await untilDelivered(run, study.orthancStudyId);
  const before = await run.operations.records.study({ source: 'main', orthancStudyId: study.orthancStudyId });
  const [id = ''] = study.instanceIds;
  const changed = await modified(id, { Replace: { ImageComments: 'changed' }, Keep: ['SOPInstanceUID'] });
  // Times of reception are in seconds.
  await setTimeout(1_100);
  expect((await system.orthanc.upload(changed)).ID).toBe(id);
  await waitFor(async () => {
    const now = await run.operations.records.study({ source: 'main', orthancStudyId: study.orthancStudyId });
    return now?.contentHash !== before?.contentHash;
  });
  await untilDelivered(run, study.orthancStudyId);
  const { targets: receipts } = await readReceipt(run.operations, {
    source: 'main',
    orthancStudyId: study.orthancStudyId,
  });
  const lines = receipts[0]?.lines ?? [];
  expect(lines.map(({ state }) => state).sort()).toEqual(['delivered', 'delivered', 'delivered', 'replaced']);
  const replaced = lines.find(({ state }) => state === 'replaced');
  const now = lines.find((line) => line.state === 'delivered' && line.sopInstanceUid === replaced?.sopInstanceUid);
  expect(now?.sha256).not.toBe(replaced?.sha256);
  expect(now?.sizeBytes).toBe(changed.length);
  await system.orthanc.send('DELETE', `/studies/${study.orthancStudyId}`);
});

it('one series UID in two studies keeps them separate', async () => {
  const attributes = { SeriesInstanceUID: '2.25.424242' };
  const one = await system.upload({ seed: 'series one', instancesPerSeries: 2, attributes });
  const two = await system.upload({ seed: 'series two', instancesPerSeries: 2, attributes });
  await using run = await system.start({ sources: fromTheBeginning(), targets: targets('series') });
  for (const study of [one, two]) {
    await untilDelivered(run, study.orthancStudyId);
    expect(await noticesOf(run, study.orthancStudyId)).toEqual({});
    const { targets: receipts } = await readReceipt(run.operations, {
      source: 'main',
      orthancStudyId: study.orthancStudyId,
    });
    for (const { lines, target } of receipts) {
      expect(lines.map(({ sopInstanceUid }) => sopInstanceUid).sort(), target).toEqual(
        [...study.sopInstanceUids].sort(),
      );
    }
  }
  expect((await filesOf('series')).length).toBe(4);
});

it('with onConflict: error one of two deliveries at the same moment waits, and is refused when the other has arrived', async () => {
  const study = await system.upload({ seed: 'same moment', instancesPerSeries: 2 });
  const [id = ''] = study.instanceIds;
  const Replace = { PatientID: 'MOMENT', StudyInstanceUID: '2.25.9008', SeriesInstanceUID: '2.25.9008.1' };
  const file = await modified(id, { Replace, Keep: ['SOPInstanceUID'] });
  await using line = await startFaultProxy({ port: scp.port, paused: true });
  const careful = { ...targets('moment')['pacs'], port: line.port, onConflict: 'error' };
  await using run = await system.start({ targets: { careful } });
  const { records, ledger } = run.operations;
  await run.until(study, 'careful', 'active');
  await waitFor(() => line.counters().open > 0, { message: 'the first is on its way' });
  const { ParentStudy: other } = await system.orthanc.upload(file);
  const key = { source: 'main', orthancStudyId: other };
  const of = async () => (await records.deliveriesOf(key))[0];
  await waitFor(async () => (await of())?.error?.code === 'uids-in-use', { message: 'the second waits' });
  expect((await of())?.error?.message).toContain(`careful with study ${study.orthancStudyId} of main`);
  expect(await of()).toMatchObject({ state: 'waiting', attempts: 0, failures: 0, waits: 0 });
  await line.heal();
  await untilDelivered(run, study.orthancStudyId);
  await untilDelivered(run, other, ['failed']);
  const refused = (await of())!;
  expect(refused.error?.code).toBe('all-quarantined');
  expect([...(await ledger.entries(ledgerKeyOf(refused))).values()]).toMatchObject([
    { error: { code: 'target-conflict', message: expect.stringContaining(study.orthancStudyId) } },
  ]);
  expect(await noticesOf(run, study.orthancStudyId)).toEqual({});
  expect(await run.connection.keys(`${run.config.redis.prefix}:uid-claims:*`)).toEqual([]);
  for (const one of [study.orthancStudyId, other]) await system.orthanc.send('DELETE', `/studies/${one}`);
});

it('one study from two sources has a note if its files differ, and none if they are the same', async () => {
  const [same, first] = ['twin same', 'twin other'].map((seed) => [
    ...makeStudy({ seed, series: 1, instancesPerSeries: 2, rows: 16, columns: 16 }),
  ]);
  const other = [first![0]!.bytes, otherPixels(first![1]!.bytes)];
  for (const { bytes } of [...same!, ...first!]) await system.orthanc.upload(bytes);
  let [twin, twinSame] = ['', ''];
  for (const { bytes } of same!) ({ ParentStudy: twinSame } = await archive.upload(bytes));
  for (const bytes of other) ({ ParentStudy: twin } = await archive.upload(bytes));
  const { pacs = {} } = targets('twin');
  const source = (url: string): object => ({ url, pollInterval: '100ms' });
  await using run = await system.start({
    sources: { main: source(system.orthanc.url), second: source(archive.url) },
    targets: { pacs },
  });
  const { records } = run.operations;
  const deliveryOf = async (from: string, orthancStudyId: string) =>
    (await records.deliveriesOf({ source: from, orthancStudyId }))[0];
  for (const from of ['main', 'second']) {
    for (const id of [twin, twinSame]) {
      await waitFor(async () => (await deliveryOf(from, id))?.state === 'delivered');
    }
  }
  for (const from of ['main', 'second']) {
    expect(await deliveryOf(from, twinSame)).toMatchObject({ notice: undefined, mayBeLost: false });
    const another = from === 'main' ? 'second' : 'main';
    const notice = `A SOP Instance UID of this study was also sent to the target with study ${twin} of ${another} (the same study there, but as other files)`;
    expect(await deliveryOf(from, twin)).toMatchObject({ notice: expect.stringContaining(notice), mayBeLost: true });
  }
  for (const id of [twin, twinSame]) {
    await Promise.all([system.orthanc, archive].map((orthanc) => orthanc.send('DELETE', `/studies/${id}`)));
  }
});

it('a receiver that keeps its version (0111H) does not have an instance that was corrected in the source', async () => {
  await using keeper = await startFaultScp();
  keeper.answer = (uid) => (keeper.stores.some(({ sopInstanceUid }) => sopInstanceUid === uid) ? 0x0111 : 0);
  const study = await system.upload({ seed: 'kept', series: 1, instancesPerSeries: 2 });
  await using run = await system.start({ targets: { keeper: pacsTarget(keeper) } });
  await untilDelivered(run, study.orthancStudyId);
  const [id = ''] = study.instanceIds;
  const corrected = await modified(id, { Replace: { ImageComments: 'corrected' }, Keep: ['SOPInstanceUID'] });
  expect((await system.orthanc.upload(corrected)).ID).toBe(id);
  await untilDelivered(run, study.orthancStudyId, ['delivered', 'partial'], 2);
  const [later] = await run.operations.records.deliveriesOf({ source: 'main', orthancStudyId: study.orthancStudyId });
  expect(later).toMatchObject({ state: 'partial', confirmed: 1, quarantined: 1 });
  const entries = [...(await run.operations.ledger.entries(ledgerKeyOf(later!))).values()];
  expect(entries.filter(({ state }) => state === 'quarantined')).toMatchObject([
    { error: { code: 'target-conflict', message: expect.stringMatching(/older version.*0111H/) } },
  ]);
  // Instances that were never confirmed there are reported as not compared.
  keeper.answer = () => 0x0111;
  const another = await system.upload({ seed: 'had before', series: 1, instancesPerSeries: 1 });
  await untilDelivered(run, another.orthancStudyId);
  const key = { source: 'main', orthancStudyId: another.orthancStudyId };
  expect(await run.operations.records.deliveriesOf(key)).toMatchObject([
    { notice: expect.stringContaining('had an instance before'), mayBeLost: true },
  ]);
  for (const one of [study, another]) await system.orthanc.send('DELETE', `/studies/${one.orthancStudyId}`);
});
