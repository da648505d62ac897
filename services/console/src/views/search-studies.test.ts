import { Secret } from '@dicom-dispatch/core';
import { startOrthanc, type OrthancServer } from '@dicom-dispatch/harness';
import { makeStudy } from '@dicom-dispatch/samples';
import { redisKeys } from '@dicom-dispatch/state/keys';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestConsole, type TestConsole } from '../testing/start-test-console.ts';
import type { StudyList } from './schemas.ts';

let orthanc: OrthancServer;
let test: TestConsole;

beforeAll(async () => {
  orthanc = await startOrthanc();
  test = await startTestConsole({
    sourceUrl: orthanc.url,
    records: { searchKey: new Secret('a key of this test alone') },
  });
});
afterAll(async () => {
  await test[Symbol.asyncDispose]();
  await orthanc.stop();
});

async function search(from: TestConsole, text: string): Promise<StudyList> {
  return (await from.ask('GET', `/api/studies?search=${encodeURIComponent(text)}`)).body as StudyList;
}

describe('a search for a study', () => {
  it('finds it in its source, after it has left, and while the source is unavailable, and reports what was not searched', async () => {
    const study = makeStudy({ seed: 'leaves', instancesPerSeries: 1 });
    let orthancStudyId = '';
    for (const { bytes } of study) ({ ParentStudy: orthancStudyId } = await orthanc.upload(bytes));
    const { studyInstanceUid, accessionNumber, patientId } = study;
    await test.route({
      studyInstanceUid,
      orthancStudyId,
      tags: { AccessionNumber: accessionNumber, PatientID: patientId },
    });
    expect(await search(test, accessionNumber)).toMatchObject({
      studies: [{ orthancStudyId, inSource: 'yes', label: { accessionNumber } }],
      notSearched: [],
    });

    await fetch(`${orthanc.url}/studies/${orthancStudyId}`, { method: 'DELETE' });
    for (const text of [accessionNumber, accessionNumber.toLowerCase(), patientId, studyInstanceUid]) {
      const { studies, notSearched } = await search(test, text);
      expect(studies, text).toMatchObject([{ orthancStudyId, inSource: 'no', deliveries: [{}, {}] }]);
      expect(notSearched).toEqual([]);
    }
    const page = (await test.ask('GET', `/studies?search=${accessionNumber}`)).text;
    expect(page).toContain('no longer in main');
    expect(page).toContain(`/studies/main/${orthancStudyId}/receipt`);
    expect((await test.ask('GET', `/studies/main/${orthancStudyId}/receipt`)).status).toBe(200);

    await orthanc.stop();
    const { studies, notSearched } = await search(test, accessionNumber);
    expect(studies).toMatchObject([{ orthancStudyId, inSource: 'unknown' }]);
    expect(notSearched.join()).toMatch(
      /^main does not answer\. .* whole accession number, Patient ID or UID; not searched are names/,
    );
  });

  it('reports how to find studies that have left, if there is no key', async () => {
    await using bare = await startTestConsole();
    const { studyInstanceUid } = await bare.route({ tags: { AccessionNumber: 'A4712' } });
    const nothing = await search(bare, 'A4712');
    expect(nothing.studies).toEqual([]);
    expect(nothing.notSearched.join()).toContain('set records.searchKey');
    expect((await search(bare, studyInstanceUid)).studies).toHaveLength(1);
  });

  it('and lists show the others if a record is damaged, its deliveries by their state, and the reason on its page', async () => {
    await using bare = await startTestConsole();
    const [damaged, other] = [
      { orthancStudyId: 'o-1', studyInstanceUid: '1.2.3.1' },
      { orthancStudyId: 'o-2', studyInstanceUid: '1.2.3.2' },
    ];
    for (const study of [damaged, other]) await bare.route(study);
    const key = redisKeys('{dicom-dispatch}').study('main', damaged.orthancStudyId);
    await bare.redis.set(key, 'no JSON');
    const list = async (query: string) => {
      const { studies } = (await bare.ask('GET', `/api/studies?${query}`)).body as StudyList;
      return studies.map(({ orthancStudyId }) => orthancStudyId).toSorted();
    };
    expect(await list('')).toEqual([other.orthancStudyId]);
    expect(await list('state=waiting')).toEqual([damaged.orthancStudyId, other.orthancStudyId].toSorted());
    expect(await list(`search=${other.studyInstanceUid}`)).toEqual([other.orthancStudyId]);
    expect(await list(`search=${damaged.studyInstanceUid}`)).toEqual([]);
    const page = await bare.ask('GET', `/api/studies/main/${damaged.orthancStudyId}`);
    expect(page.text).toContain(key);
  });
});
