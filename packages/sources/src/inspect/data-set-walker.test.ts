import { makeStudy, type StudyOptions } from '@dicom-dispatch/samples';
import { expect, it } from 'vitest';
import { DataSetWalker, NoDataSet, type WalkedElement } from './data-set-walker.ts';

function dataSetOf(options: StudyOptions): Buffer {
  const [sample] = makeStudy({ instancesPerSeries: 1, rows: 16, columns: 16, ...options });
  if (!sample) throw new Error('an empty sample');
  return sample.bytes.subarray(144 + sample.bytes.readUInt32LE(140));
}

function walk(bytes: Buffer, pieceBytes = bytes.length): string[] {
  const found: string[] = [];
  const walker = new DataSetWalker(({ path, length, value }: WalkedElement) => {
    found.push(`${path} ${length} ${value?.toString('hex') ?? ''}`);
  }, 64);
  for (let at = 0; at < bytes.length; at += pieceBytes) walker.add(bytes.subarray(at, at + pieceBytes));
  walker.end();
  return found;
}

const kinds: StudyOptions[] = [
  { seed: 'walk', modality: 'SR' },
  { seed: 'walk', modality: 'SR', transferSyntax: 'implicit-le' },
  { seed: 'walk', modality: 'SR', transferSyntax: 'explicit-be' },
  { seed: 'walk', modality: 'CT', transferSyntax: 'rle' },
];

it.each(kinds)('finds the same in pieces of any size: %j', (options) => {
  const bytes = dataSetOf(options);
  const whole = walk(bytes);
  expect(whole.length).toBeGreaterThan(20);
  for (const size of [1, 3, 7, 64, 1000]) expect(walk(bytes, size)).toEqual(whole);
});

it.each(kinds)('a data set that breaks off anywhere but between two elements is noticed: %j', (options) => {
  const bytes = dataSetOf(options);
  const boundaries = new Set<number>();
  for (let length = 1; length < bytes.length; length += 1) {
    try {
      walk(bytes.subarray(0, length));
      boundaries.add(length);
    } catch (error) {
      expect(error).toBeInstanceOf(NoDataSet);
    }
  }
  expect(boundaries.size).toBeLessThan(walk(bytes).length);
});

it('random bytes cause a defined error or none', () => {
  const bytes = dataSetOf({ seed: 'random', modality: 'SR' });
  for (let seed = 1; seed < 500; seed += 1) {
    const changed = Buffer.from(bytes);
    for (let count = 0; count < 4; count += 1) {
      const at = (seed * 7919 + count * 104_729) % changed.length;
      changed[at] = (seed * 31 + count * 17) & 0xff;
    }
    try {
      walk(changed, 100);
    } catch (error) {
      expect(error).toBeInstanceOf(NoDataSet);
    }
  }
});
