import { expect, it } from 'vitest';
import type { CompiledExpression } from './compile-expression.ts';
import { missingParts } from './completion.ts';

const facts = (series: number, instances?: number) =>
  ({
    study: instances === undefined ? {} : { NumberOfStudyRelatedInstances: `${instances}` },
    series: Array.from({ length: series }, () => ({})),
  }) as never;
const expression = (isTrue: boolean): CompiledExpression =>
  ({ text: 'has(study.X)', evaluate: () => isTrue }) as unknown as CompiledExpression;

it.each([
  ['as many series as are wanted', { series: 2 }, facts(2), []],
  ['fewer series', { series: 2 }, facts(1), ['2 series (1 are there)']],
  ['as many instances as are wanted', { instances: 10 }, facts(0, 10), []],
  ['fewer instances', { instances: 10 }, facts(0, 9), ['10 instances (9 are there)']],
  ['a source that does not count instances', { instances: 1 }, facts(0), ['1 instances (0 are there)']],
  ['a condition that is met', { compiled: expression(true) }, facts(0), []],
  ['one that is not', { compiled: expression(false) }, facts(0), ['`has(study.X)`']],
  [
    'all of it',
    { series: 2, instances: 5, compiled: expression(false) },
    facts(1, 4),
    ['2 series (1 are there)', '5 instances (4 are there)', '`has(study.X)`'],
  ],
])('%s', (_name, wanted, found, missing) => {
  expect(missingParts({ timeout: 0, compiled: undefined, ...wanted }, found)).toEqual(missing);
});
