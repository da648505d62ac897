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

it('the reason for starting later is named', () => {
  const why = (...rules: readonly object[]): string | undefined =>
    compile(...rules.map((rule) => ({ start: 'arrival', ...rule }))).at(-1)!.whyStable;
  expect(why({})).toBeUndefined();
  // It does not request an earlier start.
  expect(why({ start: 'stable', late: 'all' })).toBeUndefined();
  expect(why({ complete: { series: 2 } })).toBe('`complete` waits until the study is complete');
  expect(why({ fallback: true })).toBe('a fallback depends on the result of the other rules for the complete study');
  expect(why({ late: 'all' })).toBe('`late: all` sends the complete study');
  expect(why({ targets: ['pacs', 'files'] })).toBe('the target "files" of type sftp accepts complete studies only');
  expect(why({ instances: { only: 'instance.ImageType == "ORIGINAL"' } })).toBe(
    'the selection of instances reads ImageType, which is only known for a complete study',
  );
  expect(why({ when: 'series.size() == 2', stop: true }, {})).toBe(
    'the rule "rule-0" before it stops, and needs the complete study to be answered',
  );
});

it('a rule behind one that stops starts early only when that one can be answered early for sure', () => {
  const after = (when: string): string | undefined =>
    compile({ when, stop: true }, { start: 'arrival' }).map(({ start }) => start)[1];
  expect(after('study.PatientID == "1"')).toBe('arrival');
  expect(after('series.exists(s, s.Modality == "CT")')).toBe('stable');
  expect(after('"CT" in study.ModalitiesInStudy')).toBe('stable');
  // It always stops, or it is a fallback: it is not evaluated first.
  const behind = (rule: object): string | undefined =>
    compile({ stop: true, ...rule }, { start: 'arrival' }).at(-1)?.start;
  expect(behind({})).toBe('arrival');
  expect(behind({ fallback: true, when: '"CT" in study.ModalitiesInStudy' })).toBe('arrival');
  expect(behind({ stop: false, when: '"CT" in study.ModalitiesInStudy' })).toBe('arrival');
});

it('a target that is not configured, or a group of targets, does not hide what the others need', () => {
  const parsed = [ruleConfig.parse({ name: 'one', targets: ['gone', 'pair'], start: 'arrival' })];
  const start = (groups: object): string | undefined => compileRules(parsed, { targets, groups } as never)[0]?.start;
  expect(start({})).toBe('arrival');
  expect(start({ pair: { strategy: 'all', targets: ['pacs', 'files'] } })).toBe('stable');
  expect(compileRules(parsed)[0]?.start).toBe('arrival');
});

it('while a study arrives only rules that start by then apply', () => {
  const rules = compile({ start: 'arrival' }, { start: 'series' }, {}, { start: 'arrival', when: 'source == "other"' });
  const facts = { source: 'main', study: {}, series: [], origin: {} };
  expect(routeStudy(rules, facts, { isArriving: true }).rules).toEqual(['rule-0', 'rule-1']);
  expect(routeStudy(rules, facts, { isArriving: true }).deliveries[0]?.start).toBe('arrival');
  expect(routeStudy(rules, facts).rules).toEqual(['rule-0', 'rule-1', 'rule-2']);
});
