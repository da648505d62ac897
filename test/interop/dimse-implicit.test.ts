import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tempFolder, type TempFolder } from '@dicom-dispatch/harness';
import { makeStudy, type TransferSyntax } from '@dicom-dispatch/samples';
import { canBecomeImplicitVr, encodeFileMeta, readPart10, toImplicitVr, TRANSFER_SYNTAX } from 'dicom-dimse';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from './dimse-fixtures.ts';

let folder: TempFolder;
beforeAll(async () => {
  folder = await tempFolder('implicit');
});
afterAll(() => folder.remove());

const {
  explicitVrLittleEndian: explicit,
  explicitVrBigEndian: big,
  implicitVrLittleEndian: implicit,
} = TRANSFER_SYNTAX;

function fileOf(dataSet: Buffer, transferSyntaxUid: string = explicit): Buffer {
  const meta = { sopClassUid: '1.2.840.10008.5.1.4.1.1.7', sopInstanceUid: '2.25.4', transferSyntaxUid };
  return Buffer.concat([encodeFileMeta(meta), dataSet]);
}

async function ours(file: Buffer, chunkBytes = file.length): Promise<Buffer> {
  function* chunks(): Generator<Buffer> {
    for (let at = 0; at < file.length; at += chunkBytes) yield file.subarray(at, at + chunkBytes);
  }
  const pieces = await Array.fromAsync(toImplicitVr(chunks()));
  const whole = Buffer.concat(pieces);
  const { meta } = await readPart10([whole]);
  expect(meta.transferSyntaxUid).toBe(implicit);
  const [head] = pieces;
  return whole.subarray(head!.length);
}

/** The file as re-encoded by DCMTK, with undefined lengths and without group lengths, as ours. */
async function theirs(file: Buffer, name: string, options: readonly string[] = []): Promise<Buffer> {
  const input = join(folder.path, `${name}.dcm`);
  const output = join(folder.path, `${name}.out`);
  await writeFile(input, file);
  const { exitCode, output: text } = await run('dcmconv', ['+ti', '-e', '-g', '-F', '-dc', ...options, input, output]);
  expect(exitCode, text).toBe(0);
  return readFile(output);
}

/** One element, Explicit VR. */
function element(tag: string, vr: string, value: Buffer | string, isBigEndian = false, length?: number): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'latin1') : value;
  const isLong = 'OB OD OF OL OV OW SQ SV UC UN UR UT UV'.split(' ').includes(vr);
  const head = Buffer.alloc(isLong ? 12 : 8);
  const [group, number] = [Number.parseInt(tag.slice(0, 4), 16), Number.parseInt(tag.slice(4), 16)];
  const of = length ?? bytes.length;
  if (isBigEndian) {
    head.writeUInt16BE(group, 0);
    head.writeUInt16BE(number, 2);
    if (isLong) head.writeUInt32BE(of, 8);
    else head.writeUInt16BE(of, 6);
  } else {
    head.writeUInt16LE(group, 0);
    head.writeUInt16LE(number, 2);
    if (isLong) head.writeUInt32LE(of, 8);
    else head.writeUInt16LE(of, 6);
  }
  head.write(vr, 4, 'latin1');
  return Buffer.concat([head, bytes]);
}

function item(content: Buffer, isDefined: boolean): Buffer {
  const head = Buffer.from('feff00e000000000', 'hex');
  head.writeUInt32LE(isDefined ? content.length : 0xffffffff, 4);
  return Buffer.concat(isDefined ? [head, content] : [head, content, Buffer.from('feff0de000000000', 'hex')]);
}

function sequence(tag: string, items: readonly Buffer[], isDefined: boolean, vr = 'SQ'): Buffer {
  const content = Buffer.concat(items);
  if (isDefined) return element(tag, vr, content);
  return Buffer.concat([element(tag, vr, content, false, 0xffffffff), Buffer.from('feffdde000000000', 'hex')]);
}

const short = (tag: string, vr: string, hexValue: string): Buffer => element(tag, vr, Buffer.from(hexValue, 'hex'));

describe('an uncompressed instance in Implicit VR Little Endian', () => {
  it.each(['explicit-le', 'explicit-be', 'deflated'] as const)(
    'is the one that dcmconv makes of it, from %s, however it is cut',
    async (transferSyntax: TransferSyntax) => {
      for (const { bytes } of makeStudy({ transferSyntax, instancesPerSeries: 2, series: 2, rows: 33, columns: 17 })) {
        const expected = await theirs(bytes, transferSyntax);
        for (const size of [1, 7, 1000, bytes.length])
          expect((await ours(bytes, size)).equals(expected), String(size)).toBe(true);
      }
    },
  );

  it('preserves sequences of every kind, private elements, UN and all VRs', async () => {
    const nested = sequence('00081140', [item(element('00081150', 'UI', '1.2.840.1\0'), true)], true);
    const inside = Buffer.concat([element('00081032', 'SH', 'A '), nested, element('00104000', 'LT', 'in')]);
    // Inside of a UN of undefined length all is Implicit VR Little Endian.
    const implicitInside = Buffer.from('0800500002000000780108000011ffffffff', 'hex');
    const implicitItem = Buffer.concat([
      Buffer.from('feff00e0ffffffff', 'hex'),
      implicitInside.subarray(0, 10),
      Buffer.from('feff0de000000000', 'hex'),
    ]);
    const dataSet = Buffer.concat([
      short('00080000', 'UL', '64000000'),
      element('00080005', 'CS', 'ISO_IR 100'),
      element('00080016', 'UI', '1.2.840.10008.5.1.4.1.1.7\0'),
      element('00080018', 'UI', '2.25.4'),
      element('00080054', 'AE', 'ME'),
      sequence('00081110', [], true),
      sequence('00081111', [item(Buffer.alloc(0), true), item(Buffer.alloc(0), false)], true),
      sequence('00081115', [item(inside, true), item(inside, false)], true),
      sequence('00081140', [item(inside, false), item(nested, true)], false),
      sequence('00081199', [], false),
      element('00090010', 'LO', 'PRIVATE '),
      short('00091001', 'US', '0100'),
      element('00091002', 'UN', Buffer.from('0102030405060708')),
      element('00091003', 'OB', Buffer.from([1, 2, 3, 4])),
      sequence('00091004', [item(short('00091001', 'US', '0200'), true)], true),
      sequence('00091005', [implicitItem], false, 'UN'),
      element('00100010', 'PN', 'DOE^JANE'),
      element('00101010', 'AS', '042Y'),
      short('00189219', 'SS', 'ffff'),
      short('00189308', 'FD', '000000000000f03f'),
      short('00200242', 'UI', ''),
      short('00280009', 'AT', '18006310'),
      short('00281101', 'US', '000100000800'),
      element('00281201', 'OW', Buffer.alloc(512, 7)),
      element('0040a160', 'UT', 'text'.repeat(30_000)),
      short('00660015', 'FL', '0000803f'),
      element('00660016', 'OF', Buffer.alloc(8, 3)),
      element('7fe00010', 'OW', Buffer.alloc(300_000, 9)),
    ]);
    const file = fileOf(dataSet);
    const expected = await theirs(file, 'kinds');
    for (const size of [1, 13, 4096, file.length])
      expect((await ours(file, size)).equals(expected), String(size)).toBe(true);
  });

  it('is the same for 25 data sets that chance has made', async () => {
    const text = fc
      .string({ unit: fc.constantFrom(...'ABC 12'), maxLength: 30 })
      .map((one) => one + ' '.repeat(one.length % 2));
    const element_ = fc.oneof(
      text.map((value) => (tag: string) => element(tag, 'LO', value)),
      fc
        .uint8Array({ maxLength: 40 })
        .map((value) => (tag: string) => element(tag, 'UN', Buffer.concat([value, value]))),
      fc
        .uint8Array({ maxLength: 9000 })
        .map((value) => (tag: string) => element(tag, 'OB', Buffer.concat([value, value]))),
      fc.nat(0xffff).map((value) => (tag: string) => element(tag, 'US', Buffer.from([value & 255, value >> 8]))),
    );
    const elements = (more: fc.Arbitrary<(tag: string) => Buffer>, maxLength: number): fc.Arbitrary<Buffer> =>
      fc
        .array(more, { maxLength })
        .map((list) =>
          Buffer.concat([
            element('00110010', 'LO', 'CHANCE'),
            ...list.map((make, index) => make(`001110${(index + 1).toString(16).padStart(2, '0')}`)),
          ]),
        );
    const tree = fc.letrec<{ value: (tag: string) => Buffer; set: Buffer }>((tie) => ({
      set: elements(tie('value'), 6),
      value: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        element_,
        fc.tuple(fc.array(fc.tuple(tie('set'), fc.boolean()), { maxLength: 3 }), fc.boolean()).map(
          ([items, isDefined]) =>
            (tag: string) =>
              sequence(
                tag,
                items.map(([one, is]) => item(one, is)),
                isDefined,
              ),
        ),
      ),
    }));
    const class_ = element('00080016', 'UI', '1.2.840.10008.5.1.4.1.1.7\0');
    let index = 0;
    await fc.assert(
      fc.asyncProperty(tree.set, async (set) => {
        const file = fileOf(Buffer.concat([class_, set]));
        expect((await ours(file, 777)).equals(await theirs(file, `chance-${(index += 1)}`))).toBe(true);
      }),
      { numRuns: 25 },
    );
  });

  it('converts Big Endian numbers at any chunk boundaries', async () => {
    const words = Buffer.from(Array.from({ length: 4000 }, (_, index) => index & 255));
    const dataSet = Buffer.concat([
      element('00080016', 'UI', '1.2.840.10008.5.1.4.1.1.7\0', true),
      element('00091003', 'OB', words, true),
      element('00189308', 'FD', words.subarray(0, 16), true),
      element('00280009', 'AT', words.subarray(0, 8), true),
      element('00281201', 'OW', words, true),
      element('00660015', 'FL', words.subarray(0, 8), true),
      element('7fe00010', 'OW', words, true),
    ]);
    const file = fileOf(dataSet, big);
    const expected = await theirs(file, 'big');
    for (const size of [1, 3, 5, 1001, file.length])
      expect((await ours(file, size)).equals(expected), String(size)).toBe(true);
  });

  it.each<[string, Buffer, string]>([
    ['compressed', Buffer.alloc(0), TRANSFER_SYNTAX.jpegBaseline],
    ['cut within an element', element('00100010', 'PN', 'DOE^', false, 400), explicit],
    ['cut within a sequence', element('00081115', 'SQ', Buffer.alloc(0), false, 0xffffffff), explicit],
    [
      'with an item that exceeds its sequence',
      sequence('00081115', [item(element('00100010', 'PN', 'DOE^'), true).subarray(0, 14)], true),
      explicit,
    ],
    [
      'with an element where an item should be',
      sequence('00081115', [element('00100010', 'PN', 'DOE^')], true),
      explicit,
    ],
    ['with encapsulated pixel data', element('7fe00010', 'OB', Buffer.alloc(0), false, 0xffffffff), explicit],
    ['without VRs', Buffer.from('0800160002000000312e0000', 'hex'), explicit],
    [
      'nested without end',
      Buffer.concat(
        Array.from({ length: 200 }, () =>
          Buffer.concat([
            element('00081115', 'SQ', Buffer.alloc(0), false, 0xffffffff),
            Buffer.from('feff00e0ffffffff', 'hex'),
          ]),
        ),
      ),
      explicit,
    ],
  ])('is not made of one that is %s', async (_name, dataSet, syntax) => {
    const file = fileOf(Buffer.concat([element('00080016', 'UI', '1.2'), dataSet]), syntax);
    await expect(ours(file)).rejects.toMatchObject({ code: 'source-not-dicom' });
    expect(canBecomeImplicitVr(syntax)).toBe(syntax === explicit);
  });

  it('uses no more memory than a chunk or two, for a value of any length', async () => {
    let max = 0;
    async function* large(): AsyncGenerator<Buffer> {
      yield fileOf(element('7fe00010', 'OW', Buffer.alloc(0), false, 1 << 30));
      for (let count = 0; count < 1 << 14; count += 1) yield Buffer.alloc(1 << 16);
    }
    let bytes = 0;
    for await (const piece of toImplicitVr(large())) {
      max = Math.max(max, piece.length);
      bytes += piece.length;
    }
    expect(bytes).toBeGreaterThan(1 << 30);
    expect(max).toBeLessThan(1 << 17);
  });
});
