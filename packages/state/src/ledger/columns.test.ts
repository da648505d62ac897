import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { ColumnReader, ColumnWriter } from './columns.ts';

const largest = 1e15;
const numbers = fc.array(
  fc.oneof(fc.integer({ min: -largest / 4, max: largest / 4 }), fc.integer({ min: 526_000, max: 526_300 })),
  { maxLength: 150 },
);
/** As UIDs, times and sizes; some that a number has no room for, and zeros in front. */
const texts = fc.array(fc.oneof(fc.stringMatching(/^a?[0-9]{0,40}[./#"]?0{0,3}[0-9]{0,6}$/), fc.string()), {
  maxLength: 150,
});

test('columns come back as they were written, in their order', () => {
  fc.assert(
    fc.property(numbers, texts, fc.jsonValue(), numbers, (first, some, value, second) => {
      const { bytes } = new ColumnWriter().numbers(first).texts(some).json(value).numbers(second);
      const reader = new ColumnReader(bytes);
      expect(reader.numbers(first.length)).toEqual(first);
      expect(reader.texts(some.length)).toEqual(some);
      expect(reader.json()).toEqual(JSON.parse(JSON.stringify(value)));
      expect(reader.numbers(second.length)).toEqual(second);
    }),
  );
});

test('what is regular takes next to nothing, whatever its length', () => {
  const size = (count: number): number =>
    new ColumnWriter().texts(Array.from({ length: count }, (_, at) => `1.2.840.113619.2.55.3.${7 + (at % 3)}.${at}`))
      .bytes.length;
  expect(size(1_000)).toBeLessThan(160);
  expect(size(4_000)).toBeLessThan(200);
});

test('bytes that end too early are refused', () => {
  const { bytes } = new ColumnWriter().numbers(Array.from({ length: 200 }, (_, at) => (at * 7_919) % 1_000));
  for (const end of [bytes.length - 1, 20, 5]) {
    expect(() => new ColumnReader(bytes.subarray(0, end)).numbers(200)).toThrow();
  }
  expect(() => new ColumnReader(bytes).numbers(201)).toThrow('too early');
});
