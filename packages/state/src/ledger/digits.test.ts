import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { packDigits, packedLength, unpackDigits } from './digits.ts';

test('digits come back as they were packed, in the length that follows from their number and base', () => {
  const column = fc.oneof(fc.integer({ min: 1, max: 300 }), fc.constantFrom(256, 65_535, 65_536)).chain((base) =>
    fc.record({
      base: fc.constant(base),
      values: fc.array(fc.integer({ min: 0, max: base - 1 }), { maxLength: 1_100, size: 'max' }),
    }),
  );
  fc.assert(
    fc.property(column, ({ base, values }) => {
      const bytes = packDigits(values, base);
      expect(bytes).toHaveLength(packedLength(values.length, base));
      expect(unpackDigits(bytes, values.length, base)).toEqual(values);
    }),
    { numRuns: 50 },
  );
});

test.each([0, 1, 511, 512, 513, 1_024, 1_025])('%i digits, all of them the highest, are read again', (count) => {
  for (const base of [1, 2, 3, 255, 256, 257, 65_536]) {
    const values = Array.from({ length: count }, () => base - 1);
    expect(unpackDigits(packDigits(values, base), count, base)).toEqual(values);
  }
});

test('bytes that are no number of these digits are refused', () => {
  expect(() => unpackDigits(Buffer.from([255]), 5, 3)).toThrow('other digits');
});
