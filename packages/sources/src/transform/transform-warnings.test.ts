import { transformConfig } from '@dicom-dispatch/core';
import { describeTag } from 'dicom-dimse/dataset';
import { createRequire } from 'node:module';
import { expect, it } from 'vitest';
import { wellKnownVrs } from './find-path.ts';
import { transformWarnings } from './transform-warnings.ts';
import { vrOf } from './vr-of.ts';

it.each([
  ['InstitutionName', 'x'.repeat(65), '65 characters, and LO has at most 64'],
  ['0008,0050', 'x'.repeat(17), '17 characters, and SH has at most 16'],
  ['StudyDate', '15.06.2024', '10 characters, and DA has at most 8'],
  ['StudyDate', '20241301', 'a value that DA does not allow'],
  ['PatientBirthDate', '19000100', 'a value that DA does not allow'],
  ['StudyTime', '2460', 'a value that TM does not allow'],
  ['StudyTime', '12:30', 'a value that TM does not allow'],
  ['AcquisitionDateTime', '202413', 'a value that DT does not allow'],
  ['AcquisitionDateTime', '20240615250000', 'a value that DT does not allow'],
])('warns of %s set to %j', (tag, value, reason) => {
  expect(transformWarnings({ transforms: { t: transformConfig.parse({ set: { [tag]: value } }) } })).toEqual([
    {
      path: ['transforms', 't', 'set', tag],
      message: `would have ${reason}: every instance would be rejected; correct the value`,
    },
  ]);
});

it('does not warn of values that can be written', () => {
  const set = {
    StudyDate: '20240229',
    PatientBirthDate: '',
    StudyTime: '235960.123456',
    SeriesTime: '07',
    AcquisitionDateTime: '20240615123000.5+0200',
    InstitutionName: 'x'.repeat(64),
    OtherPatientIDs: `${'a'.repeat(64)}\\b`,
    '0009,1001': 'x'.repeat(200),
    PixelPaddingValue: '-2000',
  };
  expect(transformWarnings({ transforms: { t: transformConfig.parse({ set }) } })).toEqual([]);
});

it('does not load the dictionary for well-known tags, and agrees with it', () => {
  const { cache } = createRequire(import.meta.url);
  const loaded = (): string[] => Object.keys(cache).filter((path) => /[\\/]dcmjs[\\/]/.test(path));
  for (const path of loaded()) delete cache[path];
  const names = ['AccessionNumber', 'PatientID', 'PatientName', 'SOPInstanceUID', 'SeriesInstanceUID', '0020,000D'];
  expect(names.map((name) => vrOf({}, name))).toEqual(['SH', 'LO', 'PN', 'UI', 'UI', 'UI']);
  expect(loaded()).toEqual([]);
  for (const [path, vr] of Object.entries(wellKnownVrs)) {
    expect(describeTag(Number.parseInt(path.replace(',', ''), 16))?.vr).toBe(vr);
  }
  expect(loaded()).not.toEqual([]);
});
