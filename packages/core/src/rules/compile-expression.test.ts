import { describe, expect, it } from 'vitest';
import {
  compileExpression,
  compileInstanceFilter,
  compileRules,
  explainRules,
  routeStudy,
  type RuleFacts,
} from '../index.ts';

const facts: RuleFacts = {
  source: 'main',
  study: { StudyDescription: 'CT Thorax', ModalitiesInStudy: ['CT', 'SR'], NumberOfStudyRelatedInstances: '120' },
  series: [{ Modality: 'CT', StationName: 'CT1' }, { Modality: 'SR' }],
  origin: { RemoteAET: 'SCANNER', CalledAET: 'ORTHANC' },
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

  it.each([
    ['study.Modality ==', 'line 1, column 18'],
    ['source == "a" &&\n nonsense == 3', 'line 2, column 2'],
    ['source == 5', 'line 1, column 1'],
    ['source', 'not true or false'],
  ])('%j is refused with its place', (text, message) => {
    expect(() => compileExpression(text)).toThrow(message);
  });

  it('says which part decided', () => {
    const explain = (text: string): string => compileExpression(text).explain(facts).because;
    expect(explain('source == "other" || study.StudyDescription == "CT Thorax"')).toContain(
      '`study.StudyDescription == "CT Thorax"` is true',
    );
    expect(explain('source == "main" && "MR" in study.ModalitiesInStudy')).toContain(
      '`"MR" in study.ModalitiesInStudy` is false',
    );
  });
});

describe('rules', () => {
  const rules = compileRules([
    { name: 'ct', enabled: true, when: '"CT" in study.ModalitiesInStudy', targets: ['pacs', 'ai'], priority: 'normal' },
    { name: 'other-source', enabled: true, sources: ['other'], targets: ['x'], priority: 'stat' },
    { name: 'off', enabled: false, targets: ['y'], priority: 'stat' },
    { name: 'all', enabled: true, targets: ['pacs'], priority: 'urgent' },
  ]);

  it('all that match apply; the most urgent priority counts; no target twice', () => {
    expect(routeStudy(rules, facts)).toEqual({ rules: ['ct', 'all'], targets: ['pacs', 'ai'], priority: 'urgent' });
  });

  it('are explained one by one', () => {
    expect(explainRules(rules, facts).map(({ rule, matched }) => [rule, matched])).toEqual([
      ['ct', true],
      ['other-source', false],
      ['all', true],
    ]);
  });
});

it('an instance filter looks at instance and series', () => {
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
