import { array, assert, constantFrom, oneof, property } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileExpression, ExpressionError } from './compile-expression.ts';
import { compileGlob } from './glob.ts';
import { matchesPattern } from './patterns.ts';

/** CPU time of this process, in ms: independent of other load of the machine. */
function cpuMs(act: () => void): number {
  const from = process.cpuUsage();
  act();
  const { user, system } = process.cpuUsage(from);
  return (user + system) / 1000;
}

/** Far above linear time, far below other complexities for such texts: minutes to years. */
const boundMs = 3_000;

describe('globs', () => {
  it('match what the regular expression would', () => {
    const letters = constantFrom('a', 'b', 'A', 'ä', '.', '\n', '😀');
    const glob = array(oneof(letters, constantFrom('*', '?')), { maxLength: 8 }).map((all) => all.join(''));
    const text = array(letters, { maxLength: 12 }).map((all) => all.join(''));
    assert(
      property(glob, text, (pattern, value) => {
        const source = pattern
          .replaceAll('.', String.raw`\.`)
          .replaceAll('*', '.*')
          .replaceAll('?', '.');
        expect(compileGlob(pattern)(value)).toBe(new RegExp(`^${source}$`, 'isu').test(value));
        expect(compileGlob(pattern, 'exact')(value)).toBe(new RegExp(`^${source}$`, 'su').test(value));
      }),
      { numRuns: 2000 },
    );
  });

  it('take linear time for any text', () => {
    const hostile = [
      '*a'.repeat(30),
      `${'*a'.repeat(30)}b`,
      `${'*?'.repeat(50)}x`,
      '*'.repeat(500),
      `*${'a'.repeat(100)}b*`,
    ];
    const texts = ['a'.repeat(100_000), `${'ab'.repeat(50_000)}c`];
    const spent = cpuMs(() => {
      for (const glob of hostile) for (const text of texts) compileGlob(glob)(text);
      assert(
        property(
          array(constantFrom('*', '?', 'a', 'b', '*a', '*?'), { maxLength: 60 }),
          array(constantFrom('a', 'b', 'ab'), { maxLength: 3 }),
          (glob, text) => void compileGlob(glob.join(''))(text.join('').repeat(3000)),
        ),
        { numRuns: 100 },
      );
    });
    expect(spent).toBeLessThan(boundMs);
  });
});

describe('matches()', () => {
  const facts = (text: string) => ({ source: 'main', study: { StudyDescription: text }, series: [], origin: {} });

  it.each([
    ['(a+)+$', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!'],
    ['(a|a)*b', 'a'.repeat(50_000)],
    ['(.*)*=', 'x'.repeat(50_000)],
    ['^(([a-z])+.)+[A-Z]([a-z])+$', 'a'.repeat(50_000)],
    [String.raw`(\w+\s?)+$`, `${'word '.repeat(10_000)}!`],
  ])('takes linear time for %s', (pattern, text) => {
    const rule = compileExpression(`study.StudyDescription.matches(${JSON.stringify(pattern)})`);
    expect(cpuMs(() => void rule.evaluate(facts(text)))).toBeLessThan(boundMs);
  });

  it('takes linear time for patterns of all kinds', () => {
    const part = constantFrom('a', '.', '[ab]', '(a|b)', '(a*)*', '(a+)+', 'a{1,20}', '(?:a?){10}', '^', '$', 'b*');
    const spent = cpuMs(() => {
      assert(
        property(array(part, { minLength: 1, maxLength: 8 }), (parts) => {
          matchesPattern('a'.repeat(5_000), parts.join(''));
        }),
        { numRuns: 100 },
      );
    });
    expect(spent).toBeLessThan(3 * boundMs);
  });

  it.each([
    ['CT.*Thorax', 'CT a Thorax', true],
    ['^thorax', 'CT Thorax', false],
    ['(?i)thorax', 'CT Thorax', true],
    [String.raw`\d{3}`, 'a 123', true],
    ['Müll.r', 'Müller', true],
  ])('finds %s in "%s": %s', (pattern, text, expected) => {
    const rule = compileExpression(`study.StudyDescription.matches(${JSON.stringify(pattern)})`);
    expect(rule.evaluate(facts(text))).toBe(expected);
    expect(rule.explain(facts(text)).because).toContain('.matches(');
  });

  it('refuses patterns that are written out a hundredfold', () => {
    const when = (pattern: string): string => `study.StudyDescription.matches("${pattern}")`;
    expect(() => compileExpression(when('(a?){1000}'.repeat(80)))).toThrow(/more than 2000 repetitions/);
    expect(compileExpression(when(String.raw`^\\d{8}[A-Z]{2,16}$`)).evaluate(facts('20260101CT'))).toBe(true);
  });

  it('rejects expressions that RE2 does not support when the configuration is checked, with their place', () => {
    for (const pattern of ['(?=a)b', String.raw`(a)\\1`, '(', 'a'.repeat(1001)]) {
      expect(() => compileExpression(`study.StudyDescription.matches("${pattern}")`)).toThrow(ExpressionError);
    }
    expect(() => compileExpression('true && study.X.matches("(?=a)b")')).toThrow(/line 1, column 25: matches\(\)/);
  });

  it('is false for an invalid pattern from a tag', () => {
    const rule = compileExpression('"x".matches(study.StudyDescription)');
    expect(rule.evaluate(facts('('))).toBe(false);
    expect(rule.explain(facts('(')).because).toContain('not a valid RE2 regular expression');
  });
});

describe('an expression', () => {
  it('of many parts is explained in time that grows with their number', () => {
    const rule = compileExpression(Array.from({ length: 400 }, (_, at) => `study.StudyID == "${at}"`).join(' || '));
    let parts = 0;
    const spent = cpuMs(() => {
      parts = rule.explain({ source: 'main', study: { StudyID: 'none' }, series: [], origin: {} }).parts.length;
    });
    expect(parts).toBe(400);
    expect(spent).toBeLessThan(boundMs);
  });
});
