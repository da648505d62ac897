import { describe, expect, it } from 'vitest';

import { instanceSchema, tagsSchema, patientSchema, seriesSchema, studySchema } from './schema.ts';

const id = Array(5).fill('01234567').join('-');

describe('resources as Orthanc 1.12 gives them', () => {
  it('have sequences among their main tags, which are no text', () => {
    const series = seriesSchema.parse({
      ID: id,
      Type: 'Series',
      IsStable: true,
      Labels: [],
      LastUpdate: '20260101T000000',
      MainDicomTags: {
        Modality: 'CT',
        RequestAttributesSequence: [{ RequestedProcedureID: 'RP1', ScheduledProcedureStepID: 'S1' }],
        SeriesInstanceUID: '1.2',
      },
      ParentStudy: id,
      Instances: [id],
      RequestedTags: { RequestAttributesSequence: [{}], Modality: 'CT' },
    });
    expect(series.MainDicomTags).toEqual({ Modality: 'CT', SeriesInstanceUID: '1.2' });
  });
});

describe('a resource with values of an unexpected kind', () => {
  const odd = {
    IsStable: 'yes',
    IsProtected: 1,
    LastUpdate: 20260101,
    Status: null,
    ExpectedNumberOfInstances: '12',
    IndexInSeries: {},
    Labels: 'one',
    MainDicomTags: { PatientID: 'P', PatientName: 7, Other: null, Nested: { a: 1 }, List: ['x'] },
  };

  it.each([
    ['Patient', patientSchema, {}],
    ['Study', studySchema, { ParentPatient: id, PatientMainDicomTags: { PatientSex: null } }],
    ['Series', seriesSchema, { ParentStudy: id }],
    ['Instance', instanceSchema, { ParentSeries: id, FileSize: 7 }],
  ] as const)('%s: is read without them', (Type, schema, more) => {
    const read = schema.parse({ ID: id, Type, ...odd, ...more });
    expect(read).toMatchObject({ ID: id, MainDicomTags: { PatientID: 'P' } });
    expect(Object.values(read.MainDicomTags)).toEqual(['P']);
    expect(read.Labels).toBeUndefined();
  });

  it('is refused only for want of its identifiers and tags', () => {
    expect(studySchema.safeParse({ ID: id, Type: 'Study', ParentPatient: id, MainDicomTags: null }).success).toBe(
      false,
    );
    expect(studySchema.safeParse({ Type: 'Study', ...odd, ParentPatient: id }).success).toBe(false);
    expect(tagsSchema.parse({ LastUpdate: 'x', Odd: 7, Nested: {} })).toEqual({ LastUpdate: 'x' });
  });
});
