import { transformConfig } from '@dicom-dispatch/core';
import { expect, it } from 'vitest';
import { describeReport, profileReport } from './profile-report.ts';

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
  [{ copy: { PatientComments: 'PatientName' } }, 'PatientName is copied to PatientComments'],
])('what no option allows: %j', (more, exception) => {
  expect(report({ anonymise: {}, ...more })).toMatchObject({ isMet: false, exceptions: [exception] });
});

it('reports nothing for a transform that does not de-identify', () => {
  expect(profileReport(transformConfig.parse({ set: { PatientName: 'X' } }))).toBeUndefined();
});
