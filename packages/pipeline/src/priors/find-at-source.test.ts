import { startLyingProxy, startOrthanc, type LyingProxy, type OrthancServer } from '@dicom-dispatch/harness';
import { makeStudy } from '@dicom-dispatch/samples';
import { openSource, type OrthancClient } from '@dicom-dispatch/sources';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { candidatesAtSource } from './find-at-source.ts';
import { orthancIdOf } from './find-at-target.ts';

let server: OrthancServer;
let proxy: LyingProxy;
let orthanc: OrthancClient;
const { signal } = new AbortController();

function study(seed: string, attributes: Readonly<Record<string, string>> = {}) {
  return makeStudy({
    seed: `at source ${seed}`,
    instancesPerSeries: 1,
    rows: 16,
    columns: 16,
    attributes: { PatientID: 'P', IssuerOfPatientID: 'A', ...attributes },
  });
}
async function upload(of: ReturnType<typeof study>): Promise<string> {
  let id = '';
  for (const { bytes } of of) ({ ParentStudy: id } = await server.upload(bytes));
  return id;
}
const own = study('own');
const earlier = study('earlier', { StudyDate: '20200101', StudyDescription: 'Earlier' });
let ownId = '';
let earlierId = '';

beforeAll(async () => {
  server = await startOrthanc();
  proxy = await startLyingProxy({ url: server.url });
  orthanc = await openSource({ url: proxy.url } as never);
  ownId = await upload(own);
  earlierId = await upload(earlier);
  await upload(study('of another patient', { PatientID: 'Q' }));
});
afterEach(() => proxy.beHonest());
afterAll(async () => {
  await orthanc?.close();
  await proxy?.stop();
  await server?.stop();
});

const find = (more = signal) => candidatesAtSource(orthanc, { source: 'main', orthancStudyId: ownId }, more);

it('the other studies of the patient are candidates, with the tags that conditions use', async () => {
  const found = await find();
  expect(found).toHaveLength(1);
  expect(found[0]).toMatchObject({
    studyInstanceUid: earlier.studyInstanceUid,
    orthancStudyId: earlierId,
    from: 'source',
    identity: { patientId: 'P', issuer: 'A' },
    study: { StudyDescription: 'Earlier', ModalitiesInStudy: ['CT'] },
    series: [{ Modality: 'CT' }],
  });
});

it('a study has the id that Orthanc computes from its Patient ID and its UID', () => {
  expect(orthancIdOf('P', own.studyInstanceUid)).toBe(ownId);
  expect(orthancIdOf('Q', own.studyInstanceUid)).not.toBe(ownId);
});

it.each<[string, (path: string) => boolean, string]>([
  ['a candidate that cannot be read', (path) => path.includes(earlierId), 'source-error'],
  ['a patient that cannot be read', (path) => path.includes('/patients/'), 'source-error'],
])('%s is an error of the source', async (_what, isMeant, code) => {
  proxy.lie(({ path }) => (isMeant(path) ? { kind: 'status', status: 500 } : undefined));
  await expect(find()).rejects.toMatchObject({ code });
});

it('a cancelled search reads nothing', async () => {
  await expect(find(AbortSignal.abort())).rejects.toMatchObject({ code: 'cancelled' });
});

it('of many studies the newest 50 are read, by date and time; one that has left the source is no error', async () => {
  const idOf = (at: number): string => orthancIdOf('P', `1.2.${at}`);
  const listed = Array.from({ length: 60 }, (_, at) => ({
    ID: idOf(at),
    Type: 'Study',
    IsStable: true,
    LastUpdate: '20260101T000000',
    ParentPatient: idOf(99),
    Series: [],
    PatientMainDicomTags: { PatientID: 'P' },
    // Ten a day, the newest first; the last five have no date.
    MainDicomTags:
      at >= 55 ? {} : { StudyDate: `2024010${9 - Math.floor(at / 10)}`, StudyTime: `${23 - (at % 10)}0000` },
  }));
  const body = JSON.stringify(listed.toSorted((one, other) => one.ID.localeCompare(other.ID)));
  const read = new Set<string>();
  proxy.lie(({ path }) => {
    if (path.startsWith('/patients/')) return { kind: 'text', contentType: 'application/json', body };
    for (const { ID } of listed) if (path.includes(ID)) read.add(ID);
    return undefined;
  });
  // The source does not have them any more.
  expect(await find()).toEqual([]);
  expect(listed.flatMap(({ ID }, at) => (read.has(ID) ? [at] : []))).toEqual(Array.from({ length: 50 }, (_, at) => at));
});
