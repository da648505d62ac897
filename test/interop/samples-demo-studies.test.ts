import { startOrthanc } from '@dicom-dispatch/harness';
import { expect, test } from 'vitest';
import { demoStudies } from '@dicom-dispatch/samples';

test('Orthanc stores the demo studies completely and reads their text', async () => {
  await using orthanc = await startOrthanc();
  const studies = demoStudies({ slices: 4, size: 32, date: '20250131' });
  for (const study of studies) {
    let count = 0;
    for (const { bytes } of study) {
      expect((await orthanc.upload(bytes)).Status).toBe('Success');
      count += 1;
    }
    expect(count).toBe(study.instanceCount);
  }
  const stored = (await orthanc.get('/studies?expand')) as {
    Series: string[];
    MainDicomTags: Record<string, string>;
    PatientMainDicomTags: Record<string, string>;
  }[];
  expect(stored.map((one) => one.MainDicomTags['StudyInstanceUID']).sort()).toEqual(
    studies.map((one) => one.studyInstanceUid).sort(),
  );
  const names = stored.map((one) => one.PatientMainDicomTags['PatientName']);
  expect(names).toContain('Müller-Beispiel^Jörg');
  expect(names).toContain('Sato^Hanako=佐藤^花子=さとう^はなこ');
  expect(stored.every((one) => one.MainDicomTags['StudyDate'] === '20250131')).toBe(true);
  expect(stored.map((one) => one.Series.length).sort()).toEqual([2, 2, 4, 4]);
});

test('another seed makes other patients', () => {
  const ids = [...demoStudies({ seed: 'a' }), ...demoStudies({ seed: 'b' })].map((study) => study.patientId);
  expect(new Set(ids).size).toBe(ids.length);
});
