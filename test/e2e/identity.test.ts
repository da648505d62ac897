import { readdir } from 'node:fs/promises';
import {
  caseFile,
  startOrthanc,
  startStorescp,
  tempFolder,
  waitFor,
  type OrthancServer,
  type StorescpServer,
  type TempFolder,
} from '@dicom-dispatch/harness';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { quick } from './support/pacs-target.ts';
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

/** Until every target of a study has ended as it should. */
async function untilDelivered(run: RunningRouting, orthancStudyId: string, states = ['delivered']): Promise<void> {
  const key = { source: 'main', orthancStudyId };
  let seen: unknown;
  await waitFor(
    async () => {
      const deliveries = await run.operations.records.deliveriesOf(key);
      seen = deliveries.map(({ target, state, error }) => ({ target, state, error }));
      return (
        deliveries.length >= Object.keys(run.config.targets).length &&
        deliveries.every(({ state }) => states.includes(state))
      );
    },
    { timeoutMs: 40_000, message: () => JSON.stringify(seen) },
  );
}

it('sends both instances that share a SOP Instance UID in two series, and accounts for each', async () => {
  const { ParentStudy: study } = await upload('dup-sop-series1.dcm');
  await upload('dup-sop-series2.dcm');
  await using run = await system.start({ targets: targets('shared') });
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
  await system.orthanc.send('DELETE', `/studies/${study}`);
  await archive.send('DELETE', `/studies/${study}`);
});

it('a study that gets an instance with a SOP Instance UID that it has already sends that instance only', async () => {
  const { ParentStudy: study } = await upload('dup-sop-series1.dcm');
  await using run = await system.start({ targets: targets('late') });
  await untilDelivered(run, study);
  await upload('dup-sop-series2.dcm');
  await waitFor(
    async () => (await run.operations.records.study({ source: 'main', orthancStudyId: study }))?.instanceCount === 2,
    {
      timeoutMs: 20_000,
    },
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
    main: { url: system.orthanc.url, pollInterval: '100ms', sweep: { every: '1s', pause: 0, settle: '1s' } },
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
    await waitFor(async () => (await run.connection.hget(sweepKey, 'endedAt')) !== before, { timeoutMs: 20_000 });
    expect(await run.connection.hget(sweepKey, 'routed')).toBe('0');
  }
  expect(await records.study({ source: 'main', orthancStudyId: a })).toEqual(first);
  expect(await records.study({ source: 'main', orthancStudyId: b })).toEqual(second);
  expect((await records.counts()).delivered).toBe(8);
  expect(await filesOf('patients')).toEqual(
    ['A', 'B'].map((patient) => `PATIENT-${patient}/2.25.9006.1/2.25.9006.1.1.dcm`),
  );
  expect(((await archive.get('/patients')) as string[]).length).toBe(2);
});
