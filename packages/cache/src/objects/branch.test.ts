import { expect, test } from 'vitest';
import { mergeSeries, mergeStudy } from './branch.ts';

const study = (attributes: object, ...series: string[]) => ({
  studyInstanceUid: '1',
  attributes: { ...attributes },
  series: series.map((seriesInstanceUid) => ({ seriesInstanceUid, attributes: {} })),
});

test('what is carried over does not become younger', () => {
  const old = mergeStudy(undefined, study({ a: 1, b: 1 }, 'x'), true, 100);
  expect(mergeStudy(old, study({ a: 2, b: 2 }, 'x'), true, 200)).toMatchObject({ expiresAt: 200 });
  expect(mergeStudy(old, study({ a: 2 }, 'x'), true, 200)).toEqual({
    attributes: { a: 2, b: 1 },
    series: ['x'],
    complete: true,
    expiresAt: 100,
  });
  expect(mergeStudy({ ...old, expiresAt: 0 }, study({ a: 2 }), false, 200)).toMatchObject({ expiresAt: 200 });
});

test('only a complete result removes children, and an unknown child ends completeness', () => {
  const old = mergeStudy(undefined, study({}, 'x', 'y'), true, 100);
  expect(mergeStudy(old, study({}, 'y'), false, 100)).toMatchObject({ series: ['y', 'x'], complete: true });
  expect(mergeStudy(old, study({}, 'z'), false, 100)).toMatchObject({ series: ['z', 'x', 'y'], complete: false });
  expect(mergeStudy(old, study({}, 'y'), true, 100)).toMatchObject({ series: ['y'], complete: true });
});

test('instances of a series are merged alike', () => {
  const series = (...uids: string[]) => ({
    seriesInstanceUid: 'x',
    attributes: {},
    instances: uids.map((sopInstanceUid) => ({ sopInstanceUid, attributes: { n: uids.length } })),
  });
  const old = mergeSeries(undefined, series('1', '2'), true, 100);
  expect(mergeSeries(old, series('2'), false, 200)).toEqual({
    attributes: {},
    instances: { 1: { n: 2 }, 2: { n: 1 } },
    complete: true,
    expiresAt: 100,
  });
  expect(mergeSeries(old, series('2'), true, 200)).toMatchObject({ instances: { 2: { n: 1 } }, expiresAt: 200 });
  expect(mergeSeries(old, series('3'), false, 200)).toMatchObject({ complete: false });
});
