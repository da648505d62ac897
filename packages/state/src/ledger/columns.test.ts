import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { ColumnReader, ColumnWriter } from './columns.ts';

const largest = 1e15;
const numbers = fc.array(
  fc.oneof(fc.integer({ min: -largest / 4, max: largest / 4 }), fc.integer({ min: 526_000, max: 526_300 })),
  { maxLength: 150, size: 'max' },
);
/** Like UIDs, times and sizes; some with too many digits for a number, or with leading zeros. */
const texts = fc.array(fc.oneof(fc.stringMatching(/^a?[0-9]{0,40}[./#"]?0{0,3}[0-9]{0,6}$/), fc.string()), {
  maxLength: 150,
  size: 'max',
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
      reader.end();
    }),
    { numRuns: 50 },
  );
});

test.each([0, 1, 63, 64, 65])(
  'a column of %i values is read again, whether it is compressed separately or not',
  (count) => {
    const some = Array.from({ length: count }, (_, at) => (at * at * 7_919) % 100_003);
    const names = some.map((value, at) => `1.2.${at % 3}.0${value}`);
    const reader = new ColumnReader(new ColumnWriter().numbers(some).texts(names).numbers(some).bytes);
    expect([reader.numbers(count), reader.texts(count), reader.numbers(count)]).toEqual([some, names, some]);
  },
);

test.each([63, 64, 65, 66])('texts with %i forms are read again', (count) => {
  const names = Array.from({ length: count }, (_, at) => `${'a'.repeat(at)}1`);
  const reader = new ColumnReader(new ColumnWriter().texts(names).json('next').bytes);
  expect([reader.texts(count), reader.json()]).toEqual([names, 'next']);
});

test('of numbers only what distinguishes them takes space: above the smallest one, or as differences', () => {
  const size = (of: (at: number) => number): number =>
    new ColumnWriter().numbers(Array.from({ length: 1_000 }, (_, at) => of(at))).bytes.length;
  // Unordered: a byte each, and not the two of a difference.
  const scattered = (at: number): number => createHash('sha256').update(String(at)).digest()[0] ?? 0;
  expect(size((at) => 1e12 + scattered(at))).toBeLessThan(1_050);
  // In order, with steps that vary: a byte each, and not the four of their range.
  let sum = 0;
  expect(size((at) => (sum += scattered(at) % 128))).toBeLessThan(1_050);
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
  // A row that is longer than its column is not unpacked.
  expect(() => new ColumnReader(bytes).numbers(199)).toThrow();
  const few = new ColumnWriter().numbers([1, 2, 4]).bytes;
  expect(new ColumnReader(few).numbers(3)).toEqual([1, 2, 4]);
  expect(() => new ColumnReader(few).numbers(40)).toThrow('too early');
  expect(() => new ColumnReader(few).end()).toThrow('too late');
});

test('a column takes the bits that distinguish its values, and nothing if these are equal or in equal steps', () => {
  const size = (of: (at: number) => number): number =>
    new ColumnWriter().numbers(Array.from({ length: 500 }, (_, at) => of(at))).bytes.length;
  const scattered = (at: number): number => createHash('sha256').update(String(at)).digest().readUInt32BE(0);
  // 45 values take 5.5 bits each, whatever the distance between them.
  expect(size((at) => 526_000 + 2 * (scattered(at) % 45))).toBeLessThan(375);
  expect(size((at) => 526_000 + 1_000_000 * (scattered(at) % 45))).toBeLessThan(375);
  for (const step of [0, 1, -7, 1_000_000]) expect(size((at) => 1e14 + step * at)).toBeLessThan(40);
});
