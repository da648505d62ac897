import { makeStudy, type StudyOptions } from '@dicom-dispatch/samples';
import { describe, expect, it } from 'vitest';
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

it.each([
  [
    'an element that is lower than the one before it',
    ['08006000CS0200MR', '10002000LO020042', '10001000PN0800MUSTER^E'],
    true,
  ],
  [
    'an element that is lower than Pixel Data',
    ['08006000CS0200MR', 'e07f1000US020042', '10001000PN0800MUSTER^E'],
    false,
  ],
  ['an element with an unknown VR', ['08006000CS0200MR', '10001000ZZ0800MUSTER^E'], false],
  ['an element of a group that is not allowed', ['08006000CS0200MR', '07001000PN0800MUSTER^E'], false],
] as const)('a data set that ends within %s', (_what, elements, isCut) => {
  const bytes = Buffer.concat(
    elements.map((text) =>
      Buffer.concat([
        Buffer.from(text.slice(0, 8), 'hex'),
        Buffer.from(text.slice(8, 10)),
        Buffer.from(text.slice(10, 14), 'hex'),
        Buffer.from(text.slice(14)),
      ]),
    ),
  );
  for (const missing of [1, 7, 8]) {
    const walker = new DataSetWalker(() => {});
    walker.add(bytes.subarray(0, -missing));
    expect(() => walker.end()).toThrow(expect.objectContaining({ name: 'NoDataSet', isCut }));
  }
});

describe('bytes behind a data set without pixels', () => {
  const implicit = dataSetOf({ seed: 'behind', modality: 'SR', transferSyntax: 'implicit-le' });
  const explicit = dataSetOf({ seed: 'behind', modality: 'SR' });
  const file = Buffer.concat([Buffer.alloc(128), Buffer.from('DICM'), Buffer.from('02000000554c0400b4000000', 'hex')]);
  const padding = Buffer.concat([Buffer.from('fcfffcff', 'hex'), Buffer.from([200, 0, 0, 0]), Buffer.alloc(200)]);
  const paddingWithVr = Buffer.concat([Buffer.from('fcfffcff4f420000c8000000', 'hex'), Buffer.alloc(200)]);
  const isCut = (bytes: Buffer): boolean => {
    const walker = new DataSetWalker(() => {});
    try {
      walker.add(bytes);
      walker.end();
      return false;
    } catch (error) {
      return (error as NoDataSet).isCut;
    }
  };

  it.each([
    ['zero bytes', Buffer.alloc(513)],
    ['0xFF', Buffer.alloc(513, 0xff)],
    ['a line feed', Buffer.from('\r\n')],
    ['a line of text', Buffer.from('zz: the rest of a block\n')],
    ['the beginning of another file', file],
    ['an even group that PS3.6 does not have', Buffer.from('3456789a10000000', 'hex')],
  ])('%s: not cut', (_name, behind) => {
    for (const bytes of [implicit, explicit]) expect(isCut(Buffer.concat([bytes, behind]))).toBe(false);
  });

  it('Data Set Trailing Padding is an element: whole or cut', () => {
    expect(isCut(Buffer.concat([implicit, padding]))).toBe(false);
    expect(isCut(Buffer.concat([implicit, padding.subarray(0, 100)]))).toBe(true);
    expect(isCut(Buffer.concat([explicit, paddingWithVr]))).toBe(false);
    expect(isCut(Buffer.concat([explicit, paddingWithVr.subarray(0, 100)]))).toBe(true);
  });

  it('another data set is read like more elements', () => {
    for (const bytes of [implicit, explicit]) {
      expect(isCut(Buffer.concat([bytes, bytes]))).toBe(false);
      expect(isCut(Buffer.concat([bytes, bytes.subarray(0, -3)]))).toBe(true);
    }
  });
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

describe('a private value that begins like a sequence', () => {
  const head = (tag: number, vr: string, length: number): Buffer => {
    const isLong = vr === 'UN';
    const bytes = Buffer.alloc(isLong ? 12 : 8);
    bytes.writeUInt16LE(tag >>> 16, 0);
    bytes.writeUInt16LE(tag & 0xffff, 2);
    bytes.write(vr, 4, 'latin1');
    if (isLong) bytes.writeUInt32LE(length, 8);
    else bytes.writeUInt16LE(length, 6);
    return bytes;
  };
  const name = Buffer.from('Muster^Erika');
  const around = (value: Buffer): Buffer =>
    Buffer.concat([head(0x00091001, 'UN', value.length), value, head(0x00100010, 'PN', name.length), name]);
  const nameFound = `0010,0010 12 ${name.toString('hex')}`;

  it.each([
    ['a fragment that is longer than it', 'feff00e0ffffffffe07f1000fffffffffeff00e0ffffff7f'],
    ['an item without an end', 'feff00e0ffffffff'],
    ['an element without a length at its end', 'feff00e0ffffffff0a0010000a000000ffffffff'],
  ])('hides nothing behind it: %s', (_what, value) => {
    const bytes = around(Buffer.from(value, 'hex'));
    for (const size of [bytes.length, 7, 1]) expect(walk(bytes, size).at(-1)).toBe(nameFound);
  });

  it('hides nothing behind it, whatever it consists of', () => {
    const words =
      'feff00e0 ffffffff e07f1000 feff0de0 feffdde0 00000000 04000000 08000000 40007ca3 53510000 554e0000 ffffff7f';
    const parts = words.split(' ').map((word) => Buffer.from(word, 'hex'));
    let random = 1;
    for (let count = 0; count < 3000; count += 1) {
      // An item, or an item with fragments.
      const value = count % 2 === 0 ? [parts[0]!] : [0, 1, 2, 1, 0].map((at) => parts[at]!);
      for (let left = 1 + (count % 10); left > 0; left -= 1) {
        random = (random * 48_271) % 0x7fffffff;
        value.push(parts[random % parts.length]!);
      }
      const bytes = around(Buffer.concat(value));
      for (const size of [bytes.length, 7]) expect(walk(bytes, size).at(-1)).toBe(nameFound);
    }
  });
});
