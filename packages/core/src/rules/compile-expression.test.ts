import { describe, expect, it } from 'vitest';
import { compileExpression, compileInstanceFilter, type RuleFacts } from '../index.ts';

const facts: RuleFacts = {
  source: 'main',
  study: {
    StudyDescription: 'CT Thorax',
    StudyDate: '20240229',
    StudyTime: '101500.25',
    PatientBirthDate: '19840229',
    ModalitiesInStudy: ['CT', 'SR'],
    NumberOfStudyRelatedInstances: '120',
  },
  series: [{ Modality: 'CT', StationName: 'CT1' }, { Modality: 'SR' }],
  origin: { RemoteAET: 'SCANNER', CalledAET: 'ORTHANC', ArrivedAt: new Date('2024-03-01T22:30:00Z') },
  now: new Date('2024-03-04T08:00:00Z'),
};

describe('an expression', () => {
  it.each([
    ['"CT" in study.ModalitiesInStudy', true],
    ['series.exists(s, s.Modality == "SR")', true],
    ['series.all(s, s.Modality == "CT")', false],
    ['study.StudyDescription.startsWith("CT")', true],
    ['glob(study.StudyDescription, "*thorax*")', true],
    ['glob(study.ModalitiesInStudy, "S?")', true],
    ['origin.CalledAET == "ORTHANC" && source == "main"', true],
    ['int(study.NumberOfStudyRelatedInstances) > 100', true],
    ['has(study.AccessionNumber)', false],
    ['!has(study.AccessionNumber)', true],
    ['has(study.AccessionNumber) && study.AccessionNumber == "1"', false],
    ['origin.ArrivedAt < now && now - origin.ArrivedAt > duration("24h")', true],
    ['origin.ArrivedAt.getHours("Europe/Berlin") == 23', true],
    ['now.getDayOfWeek() == 1', true],
    ['date(study.StudyDate) == timestamp("2024-02-29T00:00:00Z")', true],
    ['date(study.StudyDate, study.StudyTime) > date("20240229T1014")', true],
    ['time(study.StudyTime) >= duration("10h15m")', true],
    ['age(study) >= 40.0 && age(study) < 41.0', true],
    ['age("018M") == 1.5', true],
  ])('%s is %s', (text, expected) => {
    expect(compileExpression(text).evaluate(facts)).toBe(expected);
  });

  it('is false, and throws nothing, when it needs a tag that is not there', () => {
    expect(compileExpression('study.AccessionNumber == "1"').evaluate(facts)).toBe(false);
    expect(compileExpression('study.AccessionNumber == "1" || source == "main"').evaluate(facts)).toBe(true);
    expect(compileExpression('study.AccessionNumber == "1"').explain(facts).because).toContain(
      'AccessionNumber is missing',
    );
  });

  it('is false, and throws nothing, for a value that a function cannot read', () => {
    const odd = { ...facts, study: { ...facts.study, StudyDate: 'DOE^JOHN' } };
    expect(compileExpression('date(study.StudyDate) < now').evaluate(odd)).toBe(false);
    const { because } = compileExpression('date(study.StudyDate) < now').explain(odd);
    expect(because).toContain('a date is YYYYMMDD');
    expect(because).not.toContain('DOE');
    expect(compileExpression('age(study) > 3.0').evaluate({ ...facts, study: {} })).toBe(false);
  });

  it('knows the tags that it uses', () => {
    const { wanted } = compileExpression(
      'has(study.PatientAge) && study["StudyID"] != "" && series.exists(s, s.KVP == "120") && origin.RemoteAET == "X"',
    );
    expect([...wanted.study]).toEqual(['PatientAge', 'StudyID']);
    expect([...wanted.series]).toEqual(['KVP']);
    expect(compileInstanceFilter('instance.ImageType.contains("ORIGINAL") && instance.SizeBytes > 1').wanted).toEqual([
      'ImageType',
    ]);
  });

  it.each([
    ['study.Modality ==', 'line 1, column 18'],
    ['source == "a" &&\n nonsense == 3', 'line 2, column 2'],
    ['source == 5', 'line 1, column 1'],
    ['source', 'not true or false'],
    ['date(5) < now', 'line 1, column 1'],
    ['glob(study.X)', 'line 1, column 1'],
    ['now > "x"', 'line 1, column 1'],
    ['study.PatinetName == "x"', 'line 1, column 7: "PatinetName" is not a DICOM keyword; the nearest is PatientName'],
    [
      'source == "a" &&\n  has(study.accessionnumber)',
      'line 2, column 13: "accessionnumber" is not a DICOM keyword; the nearest is AccessionNumber',
    ],
    [
      'series.exists(s, s.Modalty == "CT")',
      'line 1, column 20: "Modalty" is not a DICOM keyword; the nearest is Modality',
    ],
    ['study["StudyDescripton"] == "x"', 'line 1, column 8: "StudyDescripton" is not a DICOM keyword; the nearest'],
    ['study.Wombat == "x"', 'line 1, column 7: "Wombat" is not a DICOM keyword'],
    [
      'origin.RemoteAe == "x"',
      'line 1, column 8: "RemoteAe" is not a known property of the origin; the nearest is RemoteAET',
    ],
  ])('%j is refused with its place', (text, message) => {
    expect(() => compileExpression(text)).toThrow(message);
  });

  it('allows names of a private dictionary in brackets, and rejects them elsewhere', () => {
    expect(compileExpression('source == "a" || study["OurDepartmentCode7"] == "x"').wanted.study).toContain(
      'OurDepartmentCode7',
    );
    expect(() => compileInstanceFilter('instance.SizeByte > 1')).toThrow('"SizeByte" is not a DICOM keyword');
  });

  it('reports which part decided', () => {
    const explain = (text: string): string => compileExpression(text).explain(facts).because;
    expect(explain('source == "other" || study.StudyDescription == "CT Thorax"')).toContain(
      '`study.StudyDescription == "CT Thorax"` is true',
    );
    expect(explain('source == "main" && "MR" in study.ModalitiesInStudy')).toContain(
      '`"MR" in study.ModalitiesInStudy` is false',
    );
    const { parts } = compileExpression(
      'source == "main" &&\n  (study.StudyDescription == "x" || series.exists(s, s.Modality == "MR") || has(study.StudyID))',
    ).explain(facts);
    expect(parts).toEqual([
      {
        text: 'study.StudyDescription == "x"',
        line: 2,
        column: 4,
        result: 'is false',
        values: [{ name: 'study.StudyDescription', value: 'CT Thorax' }],
      },
      {
        text: 'series.exists(s, s.Modality == "MR")',
        line: 2,
        column: 37,
        result: 'is false',
        values: [{ name: 'series.Modality', value: ['CT', 'SR'] }],
      },
      {
        text: 'has(study.StudyID)',
        line: 2,
        column: 77,
        result: 'is false',
        values: [{ name: 'study.StudyID', value: undefined }],
      },
    ]);
  });
});

it('a part that decided is shown as it is written, with its parentheses', () => {
  const shown = (text: string): string | undefined => compileExpression(text).explain(facts).parts[0]?.text;
  expect(shown("source == 'x' || has( study.StudyID )")).toBe("source == 'x'");
  expect(shown('source == "main" && has( study.StudyID )')).toBe('has( study.StudyID )');
  expect(shown('source == "main" && glob( study.StudyDescription, "(MR)*)" )')).toBe(
    'glob( study.StudyDescription, "(MR)*)" )',
  );
  // The ranges of the parser omit the outer parentheses of an operand.
  expect(shown('source == "main" && (source + "a") == ("b" + source)')).toBe('source + "a" == "b" + source');
  expect(shown('source == "main" && (study.StudyDescription).matches("^MR")')).toBe(
    'study.StudyDescription.matches("^MR")',
  );
});

it('an instance filter uses instance and series', () => {
  const filter = compileInstanceFilter('series.Modality == "CT" && instance.SizeBytes < 1000');
  const instance = {
    sopInstanceUid: '1.2',
    seriesInstanceUid: '1.3',
    studyInstanceUid: '1.4',
    sopClassUid: undefined,
    transferSyntaxUid: undefined,
    instanceNumber: 1,
    sizeBytes: 500,
    sourceId: 'x',
    version: 'v',
  };
  expect(filter(instance, { Modality: 'CT' })).toBe(true);
  expect(filter(instance, { Modality: 'MR' })).toBe(false);
  expect(filter(instance, {})).toBe(false);
});
