import { expect, it } from 'vitest';
import { ruleConfig } from '../config/rule-config.ts';
import { compileRules } from './compile-rules.ts';
import { routeStudy } from './route-study.ts';

const targets = { pacs: { type: 'dicom' }, files: { type: 'sftp' } };

function compile(...rules: readonly object[]): ReturnType<typeof compileRules> {
  const parsed = rules.map((rule, index) => ruleConfig.parse({ name: `rule-${index}`, targets: ['pacs'], ...rule }));
  return compileRules(parsed, { targets });
}

function startOf(rule: object): string {
  return compile({ start: 'arrival', ...rule })[0]!.start;
}

it('a condition starts early when more of the study cannot make it false', () => {
  for (const when of [
    undefined,
    'study.PatientID == "1"',
    'origin.RemoteAET.startsWith("CT")',
    'series.exists(s, s.Modality == "CT")',
    'study.StudyDescription == "Stroke" && (series.exists(s, s.Modality == "CT") || source == "main")',
  ]) {
    expect([when, startOf({ when })]).toEqual([when, 'arrival']);
  }
});

it('a condition that more of the study can make false starts at stable, and names its part', () => {
  for (const when of [
    '"CT" in study.ModalitiesInStudy',
    'study["NumberOfStudyRelatedInstances"] == "3"',
    '!series.exists(s, s.Modality == "SR")',
    'series.all(s, s.Modality == "CT")',
    'series.size() == 2',
    'series[0].Modality == "CT"',
    'series.exists(s, series.size() > 1)',
    'series.exists(s, s.Modality == "CT") ? true : false',
  ]) {
    const [rule] = compile({ start: 'arrival', when });
    expect([when, rule?.start]).toEqual([when, 'stable']);
    expect(rule?.whyStable).toContain('needs the complete study');
  }
});

it('completion, fallbacks, late: all, whole-study targets and tags of instances start when stable', () => {
  expect(startOf({ complete: { series: 2 } })).toBe('stable');
  expect(startOf({ fallback: true })).toBe('stable');
  expect(startOf({ late: 'all' })).toBe('stable');
  expect(startOf({ targets: ['pacs', 'files'] })).toBe('stable');
  expect(startOf({ instances: { only: 'instance.ImageType == "ORIGINAL"' } })).toBe('stable');
  expect(startOf({ instances: { only: 'series.Modality != "SR"' } })).toBe('arrival');
});

it('a rule behind one that stops starts early only when that one can be answered early for sure', () => {
  const after = (when: string): string | undefined =>
    compile({ when, stop: true }, { start: 'arrival' }).map(({ start }) => start)[1];
  expect(after('study.PatientID == "1"')).toBe('arrival');
  expect(after('series.exists(s, s.Modality == "CT")')).toBe('stable');
});

it('while a study arrives only rules that start by then apply', () => {
  const rules = compile({ start: 'arrival' }, { start: 'series' }, {}, { start: 'arrival', when: 'source == "other"' });
  const facts = { source: 'main', study: {}, series: [], origin: {} };
  expect(routeStudy(rules, facts, { isArriving: true }).rules).toEqual(['rule-0', 'rule-1']);
  expect(routeStudy(rules, facts, { isArriving: true }).deliveries[0]?.start).toBe('arrival');
  expect(routeStudy(rules, facts).rules).toEqual(['rule-0', 'rule-1', 'rule-2']);
});
