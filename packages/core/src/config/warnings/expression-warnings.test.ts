import { expect, it } from 'vitest';
import { warningsOf } from '../../testing/warnings-of.ts';

const numbers = 'tags are texts: int(study.X), double(study.X), date(study.X), age(study) convert them';
const list = 'it is a list: write "CT" in study.ModalitiesInStudy';
const inText = 'the right side of `in` must be a list: use study.StudyDescription.contains("…") to search in a text';
const neither = 'neither true nor false, so it never matches: compare it with a value';

it.each<[string, string]>([
  [
    'study.PatientWeight == 80',
    `\`study.PatientWeight == 80\` compares a text with a number, so it is never true; ${numbers}`,
  ],
  [
    'study.PatientWeight != 80',
    `\`study.PatientWeight != 80\` compares a text with a number, so it is always true; ${numbers}`,
  ],
  [
    'study.StudyDate == now',
    '`study.StudyDate == now` compares a text with a time, so it is never true; tags are texts: date(study.StudyDate) < now',
  ],
  [
    'study.ModalitiesInStudy == "CT"',
    `\`study.ModalitiesInStudy == "CT"\` compares a list with a text, so it is never true; ${list}`,
  ],
  [
    'study.ModalitiesInStudy == true',
    `\`study.ModalitiesInStudy == true\` compares a list with true or false, so it is never true; ${list}`,
  ],
  ['study.StudyDescription', `\`study.StudyDescription\` is a text, ${neither}`],
  ['study.ModalitiesInStudy', `\`study.ModalitiesInStudy\` is a list, ${neither}`],
  ['!(study.StudyDescription)', `\`study.StudyDescription\` is a text, ${neither}`],
  ['true ? study.StudyID : source == "a"', `\`study.StudyID\` is a text, ${neither}`],
  [
    'series.exists_one(s, s.SeriesNumber == 3)',
    `\`s.SeriesNumber == 3\` compares a text with a number, so it is never true; ${numbers}`,
  ],
  [
    'series.all(s, series.exists(t, t.KVP == 3))',
    `\`t.KVP == 3\` compares a text with a number, so it is never true; ${numbers}`,
  ],
  [
    '"CT" in series',
    '`"CT" in series` is never true: the list has no such elements; write series.exists(s, s.Modality == "CT")',
  ],
  [
    'study.StudyID in [1, 2]',
    '`study.StudyID in [1, 2]` is never true: the list has no such elements; compare texts with texts',
  ],
  ['source == "other"', '`source == "other"` is never true: the sources of this rule are a'],
  [
    'study.StudyID == "1" && "2" == study.StudyID',
    '`study.StudyID == "1"` and `"2" == study.StudyID` are never true at the same time: use || if one of them is sufficient',
  ],
  [
    'study.SeriesDescription == "x"',
    'study.SeriesDescription has the value of one instance only, because it belongs to series and instances: write series.exists(s, s.SeriesDescription == "…")',
  ],
  ['study.PatientSex == "m"', '"m" is never a value of PatientSex, whose codes are written in capitals: "M"'],
])('a condition that cannot be meant: %s', (when, message) => {
  expect(warningsOf({ rules: [{ name: 'r', targets: ['d'], when }] })).toEqual([`rules.0.when: ${message}`]);
});

it('a condition that can never be evaluated is reported with the reason and the remedy', () => {
  const of = (when: string): string[] => warningsOf({ rules: [{ name: 'r', targets: ['d'], when }] });
  expect(of('"CT" in study.StudyDescription')).toEqual([
    expect.stringMatching(
      /^rules\.0\.when: `"CT" in study\.StudyDescription` can never be evaluated, so it counts as false \(.+\); /,
    ),
  ]);
  expect(of('"CT" in study.StudyDescription')[0]).toContain(inText);
  expect(of('study.PatientAge > 60')[0]).toContain(numbers);
  expect(of('source == "a" && (study.PatientAge > 60 || study.PatientWeight > 60)')).toHaveLength(2);
});

it.each([
  'study.StudyID == "1" || study.StudyID == "2"',
  'study.StudyID == "1" && study.StudyID == "1"',
  'study.StudyID == "1" && study.AccessionNumber == "2"',
  '"1" in ["1", "2"]',
  '3 in []',
  'series.exists(s, s.KVP == "120")',
  'has(study.StudyID) ? study.StudyID == "1" : true',
  'study.PatientSex == "M"',
])('a condition that is sound: %s', (when) => {
  expect(warningsOf({ rules: [{ name: 'r', targets: ['d'], when }] })).toEqual([]);
});

it('the condition of completeness and that of priors are checked as well, those of a disabled rule are not', () => {
  const more = {
    complete: { when: 'study.StudyID', timeout: '1h' },
    priors: { when: 'prior.PatientWeight == 80' },
  };
  expect(warningsOf({ rules: [{ name: 'r', targets: ['d'], ...more }] })).toEqual([
    `rules.0.complete.when: \`study.StudyID\` is a text, ${neither}`,
    `rules.0.priors.when: \`prior.PatientWeight == 80\` compares a text with a number, so it is never true; ${numbers}`,
  ]);
  const rules = [
    { name: 'r', targets: ['d'] },
    { name: 's', enabled: false, targets: ['d'], when: 'study.StudyID' },
  ];
  expect(warningsOf({ rules })).toEqual([]);
});
