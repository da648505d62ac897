import { describe, expect, it } from 'vitest';
import {
  compileExpression,
  compileGlob,
  compileInstanceFilter,
  isSameServer,
  nearestKeyword,
  sourceOfTarget,
  type ManifestInstance,
  type RuleFacts,
  type TargetConfig,
} from '../index.ts';
import { compilePattern, matchesPattern } from './patterns.ts';
import { uniteWanted, wantedTags } from './wanted-tags.ts';
import { ruleEnvironment } from './compile-expression.ts';

const facts = (study: RuleFacts['study'], more: Partial<RuleFacts> = {}): RuleFacts => ({
  source: 'main',
  study,
  series: [],
  origin: {},
  now: new Date('2024-03-04T08:00:00Z'),
  ...more,
});
const explain = (text: string, study: RuleFacts['study'] = {}, more: Partial<RuleFacts> = {}): string =>
  compileExpression(text).explain(facts(study, more)).because;
const holds = (text: string, study: RuleFacts['study'] = {}): boolean => compileExpression(text).evaluate(facts(study));

describe('dates and times of DICOM', () => {
  it.each([
    ['date("20240229")', '2024-02-29T00:00:00Z'],
    ['date(" 20240229 ")', '2024-02-29T00:00:00Z'],
    ['date("2024022911")', '2024-02-29T11:00:00Z'],
    ['date("202402291130")', '2024-02-29T11:30:00Z'],
    ['date("20240229113045.123")', '2024-02-29T11:30:45Z'],
    ['date("20240229T113045")', '2024-02-29T11:30:45Z'],
    ['date("20240229113045+0100")', '2024-02-29T10:30:45Z'],
    ['date("20240229113045.5-0530")', '2024-02-29T17:00:45Z'],
    ['date("20240229", "1015")', '2024-02-29T10:15:00Z'],
    ['date("20240229000000+0100", "1015")', '2024-02-29T10:15:00Z'],
  ])('%s is %s', (text, expected) => {
    expect(explain(`${text} == timestamp("${expected}")`)).toContain('is true');
  });

  it.each(['2024', '20240229x', 'x20240229', '20240229T', '2024-02-29', '20240229.5', '20240229+01', ''])(
    '%j is no date',
    (text) => {
      expect(explain(`date("${text}") < now`)).toContain('a date is YYYYMMDD');
    },
  );

  it.each(['20241301', '20240232', '2024022925'])('%s does not exist', (text) => {
    expect(explain(`date("${text}") < now`)).toContain('this date or time does not exist');
  });

  it.each([
    ['time("10")', '10h'],
    ['time("1015")', '10h15m'],
    ['time("101530")', '10h15m30s'],
    ['time(" 101530.123456 ")', '10h15m30s'],
    ['time("000001")', '1s'],
  ])('%s is %s', (text, expected) => {
    expect(explain(`${text} == duration("${expected}")`)).toContain('is true');
  });

  it.each(['1', '10153', '10:15', '1015300', 'x10', '101530.', ''])('%j is no time', (text) => {
    expect(explain(`time("${text}") < duration("1h")`)).toContain('a time is HHMMSS');
  });
});

describe('the age of a patient', () => {
  it.each([
    ['045Y', 45],
    ['1Y', 1],
    ['018M', 1.5],
    [' 003W ', 21 / 365.25],
    ['010D', 10 / 365.25],
  ])('%j is %d years', (text, years) => {
    expect(holds(`age("${text}") > ${years - 0.0001} && age("${text}") < ${years + 0.0001}`)).toBe(true);
  });

  it.each(['45', '0045Y', '045y', 'x045Y', '045Y1', ''])('%j is none', (text) => {
    expect(explain(`age("${text}") > 0.0`)).toContain('an age is three digits and D, W, M or Y');
  });

  it('is Patient’s Age, otherwise that from birth to the study, otherwise to now', () => {
    const birth = { PatientBirthDate: '20000101' };
    expect(holds('age(study) == 7.0', { PatientAge: '007Y', ...birth, StudyDate: '20200101' })).toBe(true);
    expect(holds('age(study) > 19.9 && age(study) < 20.1', { PatientAge: ' ', ...birth, StudyDate: '20200101' })).toBe(
      true,
    );
    expect(holds('age(study) > 24.0', birth)).toBe(true);
    expect(holds('age(study) > 24.0', { ...birth, StudyDate: ' ' })).toBe(true);
    expect(explain('age(study) > 1.0', { StudyDate: '20200101' })).toContain(
      'PatientBirthDate is missing in the study',
    );
    expect(explain('age(study) > 1.0', { PatientBirthDate: ' ' })).toContain(
      'PatientBirthDate is missing in the study',
    );
  });

  it('shows the values from which it was computed', () => {
    const { parts } = compileExpression('age(study) > 18.0').explain(facts({ PatientAge: '007Y' }));
    expect(parts[0]?.values).toEqual([
      { name: 'study.PatientAge', value: '007Y' },
      { name: 'study.PatientBirthDate', value: undefined },
      { name: 'study.StudyDate', value: undefined },
    ]);
  });
});

describe('what a deciding part shows', () => {
  it('has source, time and origin where it uses them', () => {
    const arrived = new Date('2024-03-04T07:00:00Z');
    const of = (text: string) =>
      compileExpression(text).explain(facts({}, { origin: { RemoteAET: 'CT', ArrivedAt: arrived } })).parts[0]?.values;
    expect(of('source == "x"')).toEqual([{ name: 'source', value: 'main' }]);
    expect(of('origin.ArrivedAt > now')).toEqual([
      { name: 'origin.ArrivedAt', value: '2024-03-04T07:00:00.000Z' },
      { name: 'now', value: '2024-03-04T08:00:00.000Z' },
    ]);
    expect(of('origin.RemoteAET == "x"')).toEqual([{ name: 'origin.RemoteAET', value: 'CT' }]);
    expect(of('series.exists(s, s.Modality == "CT")')).toEqual([{ name: 'series.Modality', value: undefined }]);
  });

  it('is shown as it was written, with parentheses and patterns', () => {
    expect(explain('!(source == "main") && true')).toContain('`!(source == "main")` is false');
    expect(explain('source == "a)" || source.matches("^x")')).toBe(
      '`source == "a)"` is false; `source.matches("^x")` is false',
    );
    // The range of the parser lacks the first parenthesis.
    expect(explain('(source.matches("x") ? "a" : "b") == "c"')).toMatch(
      /^`[^`]*source\.matches\("x"\)[^`]*` is false$/,
    );
  });

  it('is neither true nor false for a part of another type', () => {
    expect(explain('study.StudyID', { StudyID: 'x' })).toContain('is neither true nor false');
  });
});

describe('a pattern', () => {
  it('matches a part of a text', () => {
    expect(matchesPattern('CT Thorax', 'Th.r')).toBe(true);
    expect(matchesPattern('CT Thorax', '^Thorax')).toBe(false);
    expect(holds('study.StudyID.matches("^A+$")', { StudyID: 'AAA' })).toBe(true);
  });

  it('is refused where it is written, if RE2 does not have it', () => {
    expect(() => compileExpression('source.matches("(?=x)")')).toThrow(
      /^line 1, column 16: matches\(\): not a valid RE2 regular expression \(.+\)$/,
    );
    expect(() => compileExpression('source == "a" ||\n study.StudyID.matches("(")')).toThrow('line 2, column 24');
  });

  it('of a tag that RE2 does not have makes the expression false', () => {
    expect(explain('source.matches(study.StudyID)', { StudyID: '(' })).toContain(
      'matches(): not a valid RE2 regular expression',
    );
  });

  it('has at most 1000 characters and 2000 repetitions', () => {
    expect(matchesPattern('x', 'x'.repeat(1000))).toBe(false);
    expect(() => compilePattern('x'.repeat(1001))).toThrow('longer than 1000 characters');
    expect(matchesPattern('a', '(a{1,1000}){0}b{1000}|a')).toBe(true);
    expect(() => compilePattern('a{1,1000}b{1000}c{1}')).toThrow('more than 2000 repetitions in braces');
    expect(() => compilePattern('a{900,1000}b{,1001}')).toThrow('more than 2000 repetitions in braces');
  });
});

describe('a glob', () => {
  it.each([
    ['CT*', 'ct thorax', true],
    ['*thorax', 'CT Thorax', true],
    ['c?', 'CT', true],
    ['c?', 'C', false],
    ['*', '', true],
    ['a*b*c', 'aXbXXc', true],
    ['a*b*c', 'acb', false],
    ['ab*ba', 'aba', false],
    ['*a*a*', 'xa', false],
    ['ß', 'SS', false],
    ['İx', 'İX', true],
  ])('%j on %j: %s', (glob, text, expected) => {
    expect(compileGlob(glob)(text)).toBe(expected);
  });

  it('can be case-sensitive', () => {
    expect(compileGlob('CT*', 'exact')('ct')).toBe(false);
    expect(compileGlob('CT*', 'exact')('CTx')).toBe(true);
    expect(compileGlob('CT*')('ct')).toBe(true);
  });

  it('matches any of several values, and nothing that is no text', () => {
    expect(holds('glob(study.ModalitiesInStudy, "M?")', { ModalitiesInStudy: ['CT', 'MR'] })).toBe(true);
    expect(holds('glob(study.ModalitiesInStudy, "X?")', { ModalitiesInStudy: ['CT', 'MR'] })).toBe(false);
    expect(holds('glob(5, "*")')).toBe(false);
  });
});

it('the nearest keyword differs in a third of the letters at most, and may have two letters swapped', () => {
  const among = ['Modality', 'PatientID', 'Rows'];
  expect(nearestKeyword('modality', among)).toBe('Modality');
  expect(nearestKeyword('Modlaity', among)).toBe('Modality');
  expect(nearestKeyword('PatinetDI', among)).toBe('PatientID');
  expect(nearestKeyword('Mdlty', among)).toBeUndefined();
  expect(nearestKeyword('Rwos', among)).toBe('Rows');
  expect(nearestKeyword('Raws', among)).toBe('Rows');
  expect(nearestKeyword('Cals', among)).toBeUndefined();
  expect(nearestKeyword('', among)).toBeUndefined();
  expect(nearestKeyword('Row', ['Rowsx', 'Rows'])).toBe('Rows');
});

describe('a filter of instances', () => {
  const instance = {
    sopInstanceUid: '1.2',
    sopClassUid: '1.3',
    transferSyntaxUid: '1.4',
    instanceNumber: 7,
    sizeBytes: 500,
  } as ManifestInstance;
  const bare = { sopInstanceUid: '1.2', sizeBytes: 500 } as ManifestInstance;

  it.each([
    'instance.SOPInstanceUID == "1.2"',
    'instance.SOPClassUID == "1.3"',
    'instance.TransferSyntaxUID == "1.4"',
    'instance.InstanceNumber == 7',
    'instance.SizeBytes == 500',
  ])('can use %s of each instance', (text) => {
    const filter = compileInstanceFilter(text);
    expect(filter(instance, {})).toBe(true);
    expect(filter.wanted).toEqual([]);
    expect(
      filter(
        { ...instance, sopInstanceUid: 'x', sopClassUid: 'x', transferSyntaxUid: 'x', instanceNumber: 1, sizeBytes: 1 },
        {},
      ),
    ).toBe(false);
  });

  it('has no property of an instance whose value is not known', () => {
    for (const name of ['SOPClassUID', 'TransferSyntaxUID', 'InstanceNumber'])
      expect(compileInstanceFilter(`has(instance.${name})`)(bare, {}), name).toBe(false);
  });

  it('reads other tags, which do not replace those of the manifest', () => {
    const filter = compileInstanceFilter('instance.ImageType == "X" && instance.SizeBytes == 500');
    expect(filter.wanted).toEqual(['ImageType']);
    expect(filter(instance, {}, { ImageType: 'X', SizeBytes: '1' })).toBe(true);
    expect(filter(instance, {})).toBe(false);
  });
});

describe('a target that is a source', () => {
  const sources = { a: { url: 'http://127.0.0.1:8042' }, b: { url: 'https://pacs.example/orthanc/' } };
  const of = (target: object): string | undefined => sourceOfTarget(target as TargetConfig, sources);

  it('is named, or has the address of it', () => {
    expect(of({ type: 'disk', source: 'a' })).toBe('a');
    expect(of({ type: 'orthanc', url: 'http://localhost:8042/' })).toBe('a');
    expect(of({ type: 'orthanc', url: 'http://[::1]:8042' })).toBe('a');
    expect(of({ type: 'orthanc', url: 'https://pacs.example:443/orthanc' })).toBe('b');
    expect(of({ type: 'dicomweb', url: 'https://pacs.example/orthanc/dicom-web/' })).toBe('b');
  });

  it('is none with another port, path or protocol, or without an address', () => {
    expect(of({ type: 'orthanc', url: 'http://127.0.0.1:8043' })).toBeUndefined();
    expect(of({ type: 'orthanc', url: 'http://pacs.example/orthanc' })).toBeUndefined();
    expect(of({ type: 'orthanc', url: 'https://pacs.example/orthanc/dicom-web' })).toBeUndefined();
    expect(of({ type: 'dicomweb', url: 'https://pacs.example/orthanc' })).toBeUndefined();
    expect(of({ type: 'disk' })).toBeUndefined();
    expect(of({ type: 'disk', url: 5 })).toBeUndefined();
    expect(of({ type: 'disk', url: 'nonsense' })).toBeUndefined();
    expect(isSameServer('nonsense', 'nonsense')).toBe(false);
    expect(isSameServer('http://x:80/', 'http://x')).toBe(true);
  });
});

it('the tags of several expressions are united by level', () => {
  const of = (text: string) => wantedTags(ruleEnvironment.parse(text).ast);
  const united = uniteWanted([
    of('study.StudyID == "x" && source == "a" && origin.RemoteAET == "b"'),
    of('study["PatientAge"] == "x" && series.exists(s, s.?KVP.orValue("") == "1" || s[?"Rows"].orValue("") == "1")'),
  ]);
  expect(united).toEqual({
    study: new Set(['StudyID', 'PatientAge']),
    series: new Set(['KVP', 'Rows']),
    instance: new Set(),
    prior: new Set(),
  });
  expect([...of('study.StudyID.size() == 1 && study["a b"] == "x"').study]).toEqual(['StudyID']);
});
