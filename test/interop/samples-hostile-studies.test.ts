import { startOrthanc } from '@dicom-dispatch/harness';
import { expect, test } from 'vitest';
import { hostileKinds, makeHostileStudy } from '@dicom-dispatch/samples';

test('Orthanc stores every hostile study, so that they reach the following stages', async () => {
  await using orthanc = await startOrthanc();
  for (const kind of hostileKinds) {
    for (const { bytes } of makeHostileStudy({ kind })) {
      expect((await orthanc.upload(bytes)).Status, kind).toBe('Success');
    }
  }
  const found = (await orthanc.send('POST', '/tools/find', { Level: 'Study', Query: {}, Expand: true })) as {
    MainDicomTags: Record<string, string>;
    PatientMainDicomTags: Record<string, string>;
  }[];
  const names = found.map((study) => study.PatientMainDicomTags['PatientName']);
  expect(names).toContain('../../../../tmp/escaped');
  expect(names).toContain('x'.repeat(256));
  expect(names).toContain('Люкceмбypг Проба');
  expect(names).toContain('Διονυσιος');
});
