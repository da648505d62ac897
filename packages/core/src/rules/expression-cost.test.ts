import { describe, expect, it } from 'vitest';
import { compileExpression, ExpressionError, ruleEnvironment } from './compile-expression.ts';
import { costProblem } from './expression-cost.ts';

describe('an expression', () => {
  const series = Array.from({ length: 300 }, (_, at) => ({ Modality: 'CT', SeriesNumber: String(at) }));
  const facts = { source: 'main', study: { StudyDescription: 'x' }, series, origin: {} };
  const copies = 'a+a+a+a+a+a+a+a';
  const names = (count: number): string =>
    JSON.stringify(Array.from({ length: count }, (_, at) => `STATION-NAME-OF-${1000 + at}`));
  const longCondition = Array(10).fill('a.StationName.contains(b)').join(' || ');

  it.each([
    ['lists in lists in lists', 'series.exists(a, series.exists(b, series.all(c, a == b && b == c)))', /nested 3 deep/],
    ['a list that doubles', `[[1]]${`.map(a, ${copies})`.repeat(12)} == []`, /nested 12 deep/],
    ['a text that doubles', `["x"]${`.map(a, ${copies})`.repeat(10)}.exists(a, a == "y")`, /nested 11 deep/],
    ['a filter over such a list', `series.map(a, ${copies}).filter(a, a.exists(b, b == "x")) == []`, /nested 3 deep/],
    [
      'long lists in each other',
      `"${'a,'.repeat(1200)}".split(",").exists(a, "${'b,'.repeat(1200)}".split(",").exists(b, a == b))`,
      /more than 10 million steps/,
    ],
    [
      'a long list of long conditions',
      `series.exists(a, ${names(900)}.exists(b, ${longCondition}))`,
      /10 million steps/,
    ],
    [
      'a list that doubles in a sum',
      `${'('.repeat(9)}[[1]]${`.map(a, ${copies})+[])`.repeat(9)} == []`,
      /nested 9 deep/,
    ],
    [
      'a text that doubles with each name',
      `cel.bind(x0, "a", ${Array.from({ length: 20 }, (_, at) => `cel.bind(x${at + 1}, x${at}+x${at}, `).join('')}x20 == ""${')'.repeat(21)}`,
      /a cel.bind is made from another one/,
    ],
    [
      'a text that doubles inside',
      'cel.bind(x, cel.bind(y, "a", y+y), x+x) == ""',
      /a cel.bind is made from another one/,
    ],
    ['parts without end', Array(1_500).fill('true').join('||'), /more than 1000 parts in a row/],
    ['calls without end', `study.StudyDescription${'.trim()'.repeat(1_100)} == ""`, /maxDepth/],
  ])('that would take too long is refused: %s', (_, text, reason) => {
    expect(() => compileExpression(text)).toThrow(ExpressionError);
    expect(() => compileExpression(text)).toThrow(reason);
  });

  it.each([
    ['series.exists(a, a.Modality == "CT" && series.exists(b, b.Modality == "SR"))', false],
    ['series.filter(a, a.Modality == "CT").filter(a, a.SeriesNumber == "7").exists(a, true)', true],
    ['series.map(a, a.Modality).exists(a, a == "CT")', true],
    ['cel.bind(d, study.StudyDescription.lowerAscii(), cel.bind(m, "x", d == m && d.size() == 1))', true],
    ['series.map(a, a.Modality).exists(m, ["CT", "MR"].exists(x, x == m))', true],
    [
      'series.filter(a, a.Modality == "CT").map(a, a["Modality"].lowerAscii()).all(d, ["a", "b"].all(x, !d.contains(x)))',
      true,
    ],
  ])('that looks at lists as rules do is taken: %s', (text, expected) => {
    expect(compileExpression(text).evaluate(facts)).toBe(expected);
  });

  it('that compares each series with a list of names is taken', () => {
    for (const text of [
      `series.exists(a, ${names(90)}.exists(name, a.SeriesNumber.contains(name)))`,
      `${names(400)}.exists(name, series.exists(a, a.SeriesNumber.contains(name)))`,
    ]) {
      expect(compileExpression(text).evaluate(facts)).toBe(false);
    }
  });
});

describe('the cost of an expression', () => {
  const costOf = (text: string) => costProblem(ruleEnvironment.parse(text).ast);
  const nested = (depth: number): string =>
    `exists, exists_one, all, filter, map are nested ${depth} deep, at most 2: use several rules`;
  const bound = 'a cel.bind is made from another one, and may double with each: write the first value out instead';
  const steps = 'nested lists may need more than 10 million steps for a study: shorten them, or use several rules';
  const inner = 'series.exists(c, true)';

  it.each([
    ['two lists in each other', 'series.exists(a, series.exists(b, a == b))'],
    ['pairs of lists beside each other', `series.exists(a, ${inner}) && series.exists(b, ${inner})`],
    ['two lists over a filtered one', `series.filter(a, ${inner}).exists(b, ${inner})`],
    ['elements that stay as they are', `series.map(a, a).map(b, b).exists(d, ${inner})`],
    ['elements that become a part', `series.map(a, a.Modality).map(b, b["x"]).map(c, c.?x[?"y"]).exists(d, ${inner})`],
    [
      'elements that become a shorter text',
      `series.map(a, a.x.trim().lowerAscii().upperAscii().substring(1)).exists(b, ${inner})`,
    ],
    ['a chosen part of an element', `series.map(a, a.x == 1, a).exists(b, ${inner})`],
    ['a cel.bind inside another one', 'cel.bind(x, "a", cel.bind(y, "b", x == y))'],
    ['cel.binds beside each other', 'cel.bind(x, "a", x == "") || cel.bind(y, [x] == [], y)'],
  ])('is no problem with %s', (_, text) => {
    expect(costOf(text)).toBeUndefined();
  });

  it.each([
    ['three lists in each other', ' series.all(a, series.exists_one(b, series.filter(c, true) == []))', nested(3), 1],
    ['a sum', `series.map(a, a + a).exists(b, ${inner})`, nested(3), 0],
    ['a sum, filtered', `series.map(a, a + a).filter(b, true).exists(c, ${inner})`, nested(4), 0],
    ['a list of an element', `series.map(a, [a]).exists(b, ${inner})`, nested(3), 0],
    ['parts of a text', `series.map(a, a.split(",")).exists(b, ${inner})`, nested(3), 0],
    ['a text that may grow', `series.map(a, a.x.replace("a", "bb")).exists(b, ${inner})`, nested(3), 0],
    ['a shortened sum', `series.map(a, (a + a).trim()).exists(b, ${inner})`, nested(3), 0],
    ['a chosen sum', `series.map(a, true, a + a).exists(b, ${inner})`, nested(3), 0],
    ['a sum in parentheses', `(series.map(a, [a]) + []).exists(b, ${inner})`, nested(3), 1],
    ['a cel.bind of the name around it', 'true || cel.bind(x, "a", cel.bind(y, x + "b", x == y))', bound, 25],
    ['a cel.bind in the value of one', 'cel.bind(x, cel.bind(y, "a", y), x == "")', bound, 0],
    ['a cel.bind in a list', 'cel.bind(x, "a", [cel.bind(y, x, y)] == [])', bound, 18],
  ])('is a problem with %s, at its place', (_, text, message, at) => {
    expect(costOf(text)).toEqual({ message, at });
  });

  it('is a problem above 1000 operators in a row, and from ten million steps', () => {
    const row = (count: number): string => Array(count).fill('true').join(' || ');
    expect(costOf(row(1_001))).toBeUndefined();
    expect(costOf(row(1_002))).toEqual({
      message: 'more than 1000 parts in a row: use `value in [...]`, or several rules',
      at: 0,
    });
    const list = (length: number): string => `"${'x'.repeat(length)}".split(",")`;
    const lists = (length: number): string => `${list(length)}.exists(a, ${list(1_000)}.exists(b, a == b))`;
    expect(costOf(lists(2_451))).toBeUndefined();
    expect(costOf(lists(2_452))).toEqual({ message: steps, at: 0 });
    // One long list alone is evaluated once.
    expect(costOf(`${list(100_000)}.exists(a, a == "b")`)).toBeUndefined();
  });
});
