import * as fc from 'fast-check';
import { expect, it, vi } from 'vitest';
import { compileExpression } from './compile-expression.ts';
import { readConditions, writeConditions, type SimpleCondition } from './simple-conditions.ts';

const value = fc.stringMatching(/^[ -~äöü]{1,20}$/);
const condition: fc.Arbitrary<SimpleCondition> = fc.oneof(
  fc.record({ subject: fc.constant('modality'), operator: fc.constantFrom('is', 'is-not'), value }),
  fc.record({
    subject: fc.constantFrom('study.StudyDescription', 'study.InstitutionName', 'origin.RemoteAET', 'source'),
    operator: fc.constantFrom('is', 'is-not', 'contains', 'contains-not', 'like', 'like-not'),
    value,
  }),
  fc.record({
    subject: fc.constant('age'),
    operator: fc.constantFrom('at-least', 'below'),
    value: fc.integer({ min: 0, max: 120 }).map(String),
  }),
  fc.record({
    subject: fc.constant('hour'),
    operator: fc.constantFrom('at-least', 'below'),
    value: fc.constantFrom('0', '7', '23', '20 Pacific/Chatham'),
  }),
) as fc.Arbitrary<SimpleCondition>;

it('writes expressions that can be used, and reads what it has written', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('all', 'any'),
      fc.array(condition, { minLength: 2, maxLength: 5 }),
      (join, conditions) => {
        const expression = writeConditions({ join, conditions });
        expect(readConditions(expression)).toEqual({ join, conditions });
        expect(() => compileExpression(expression)).not.toThrow();
      },
    ),
    { numRuns: 500 },
  );
});

it.each(['', "'CT' in study.ModalitiesInStudy", "study.StudyDescription.contains('it\\'s && more')"])(
  'keeps %s as it is',
  (expression) => {
    expect(writeConditions(readConditions(expression) ?? { join: 'all', conditions: [] })).toBe(expression);
  },
);

it.each([
  ['"CT" in study.ModalitiesInStudy && source != "a"', "'CT' in study.ModalitiesInStudy && source != 'a'"],
  [
    String.raw`source == "it's" || study.StudyDescription.contains("a \"||\" \\ b")`,
    String.raw`source == 'it\'s' || study.StudyDescription.contains('a "||" \\ b')`,
  ],
])('reads texts in double quotes: %s', (expression, written) => {
  const read = readConditions(expression);
  expect(read && writeConditions(read)).toBe(written);
  expect(() => [expression, written].map((one) => compileExpression(one))).not.toThrow();
});

it.each([
  "'CT' in study.ModalitiesInStudy && (source == 'a' || source == 'b')",
  'true',
  'source == "a" b"',
  "series.exists(s, s.Modality == 'CT')",
])('does not pretend to read %s', (expression) => {
  expect(readConditions(expression)).toBeUndefined();
});

it.each<[SimpleCondition['subject'], SimpleCondition['operator'], string, string]>([
  ['modality', 'is', 'CT', "'CT' in study.ModalitiesInStudy"],
  ['modality', 'is-not', 'CT', "!('CT' in study.ModalitiesInStudy)"],
  ['source', 'is', 'main', "source == 'main'"],
  ['source', 'is-not', 'main', "source != 'main'"],
  ['study.StudyDescription', 'contains', "it's", String.raw`study.StudyDescription.contains('it\'s')`],
  ['study.StudyDescription', 'contains-not', 'x', "!study.StudyDescription.contains('x')"],
  ['origin.RemoteAET', 'like', 'CT*', "glob(origin.RemoteAET, 'CT*')"],
  ['origin.RemoteAET', 'like-not', 'CT*', "!glob(origin.RemoteAET, 'CT*')"],
  ['age', 'at-least', '18', 'age(study) >= 18'],
  ['age', 'below', '18', 'age(study) < 18'],
  ['age', 'below', 'old', 'age(study) < 0'],
  ['hour', 'at-least', '20 Europe/Berlin', 'now.getHours("Europe/Berlin") >= 20'],
  ['hour', 'below', '  7   Europe/Berlin ', 'now.getHours("Europe/Berlin") < 7'],
  ['hour', 'below', 'x UTC', 'now.getHours("UTC") < 0'],
])('%s %s %s is written as %s', (subject, operator, text, expression) => {
  expect(writeConditions({ join: 'all', conditions: [{ subject, operator, value: text }] })).toBe(expression);
});

it('an hour without a time zone is one of this host', () => {
  const options = { ...new Intl.DateTimeFormat().resolvedOptions(), timeZone: 'America/St_Johns' };
  using _ = vi.spyOn(Intl.DateTimeFormat.prototype, 'resolvedOptions').mockReturnValue(options);
  const hour = { subject: 'hour', operator: 'at-least', value: '20' } as const;
  expect(writeConditions({ join: 'all', conditions: [hour] })).toBe('now.getHours("America/St_Johns") >= 20');
});

it('joins conditions by and, or by or, and reads spaces and empty expressions', () => {
  const conditions = [
    { subject: 'source', operator: 'is', value: 'a' },
    { subject: 'source', operator: 'is', value: 'b' },
  ] as const;
  expect(writeConditions({ join: 'all', conditions })).toBe("source == 'a' && source == 'b'");
  expect(writeConditions({ join: 'any', conditions })).toBe("source == 'a' || source == 'b'");
  expect(readConditions(" source == 'a'  ||\n source == 'b' ")).toEqual({ join: 'any', conditions });
  expect(readConditions(' \n')).toEqual({ join: 'all', conditions: [] });
});
