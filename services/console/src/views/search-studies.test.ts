import { Secret } from '@dicom-dispatch/core';
import { startOrthanc, type OrthancServer } from '@dicom-dispatch/harness';
import { makeStudy } from '@dicom-dispatch/samples';
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
});
