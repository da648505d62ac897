import { transformConfig } from '@dicom-dispatch/core';
import { expect, it } from 'vitest';
import { withKeywords } from '../transform/find-path.ts';
import { describeReport, keptRows, profileReport } from './profile-report.ts';
import { profileRow, profileTable } from './profile-table.ts';

function report(definition: object) {
  const found = profileReport(transformConfig.parse(definition));
  if (!found) throw new Error('no report');
  return found;
}

it('the profile as it is, met', () => {
  const found = report({ anonymise: {} });
  expect(found).toEqual({ isMet: true, options: [], exceptions: [], partly: [] });
  expect(describeReport(found)).toBe(
    'PS3.15 2024e Basic Application Level Confidentiality Profile met for attributes; not done: Clean Pixel Data, Clean Recognizable Visual Features, Clean Graphics, Clean Structured Content, Clean Descriptors, Retain Longitudinal Temporal Information With Modified Dates, Retain Safe Private',
  );
});

it('an option that keeps attributes, completely or in part', () => {
  const found = report({ anonymise: {}, uids: 'keep', keep: ['PatientSex', '0010,1010', 'StudyDate'] });
  expect(found.isMet).toBe(true);
  expect(found.options.map(({ value }) => value)).toEqual(['113106', '113108', '113110']);
  expect(found.partly).toEqual([
    'Retain Longitudinal Temporal Information Full Dates Option',
    'Retain Patient Characteristics Option',
  ]);
});

it.each([
  [{ keep: ['StudyDescription'] }, 'StudyDescription is kept'],
  [{ anonymise: { keepPrivateTags: true } }, 'private attributes are kept, safe or not'],
  [{ keep: ['0008,1000'] }, 'NetworkID is kept'],
  [{ copy: { PatientComments: 'PatientName' } }, 'PatientName is copied to PatientComments'],
  [{ copy: { InstitutionName: '0010,1050' } }, 'InsurancePlanIdentification is copied to InstitutionName'],
  [{ copy: { InstitutionName: '0032,1032' } }, 'RequestingPhysician is copied to InstitutionName'],
])('what no option allows: %j', (more, exception) => {
  const expected = { isMet: false, exceptions: [exception] };
  expect(report({ anonymise: {}, ...more })).toMatchObject(expected);
  // As a delivery has it.
  expect(profileReport(withKeywords(transformConfig.parse({ anonymise: {}, ...more })))).toMatchObject(expected);
});

it('reports nothing for a transform that does not de-identify', () => {
  expect(profileReport(transformConfig.parse({ set: { PatientName: 'X' } }))).toBeUndefined();
});

it('keeps each attribute by its number and by its keyword, retired ones included', () => {
  const unlisted = ['0040a067', '0040a160', '00420010'].flatMap((tag) => profileRow(tag) ?? []);
  for (const row of [...profileTable.values(), ...unlisted]) {
    for (const name of [row.tag, `${row.tag.slice(0, 4)},${row.tag.slice(4).toUpperCase()}`, row.keyword]) {
      const transform = transformConfig.parse({ anonymise: {}, keep: [name] });
      expect([name, keptRows(transform)(row), keptRows(withKeywords(transform))(row)]).toEqual([name, true, true]);
    }
  }
});
