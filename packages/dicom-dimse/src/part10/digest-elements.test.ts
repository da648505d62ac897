import { makeStudy, type StudyOptions } from '@dicom-dispatch/samples';
import { describe, expect, it } from 'vitest';
import { describeTag } from '../dataset/index.ts';
import { digestElements, type ElementDigests } from './digest-elements.ts';
import { toImplicitVr } from './to-implicit-vr.ts';

const options = { vrOf: (tag: number) => describeTag(tag)?.vr };
const pixelData = 0x7fe00010;
const patientName = 0x00100010;

function fileOf(more: StudyOptions = {}): Buffer {
  const [instance] = makeStudy({ seed: 'digests', series: 1, instancesPerSeries: 1, rows: 16, columns: 16, ...more });
  return instance!.bytes;
}

async function digestsOf(bytes: Uint8Array | AsyncIterable<Uint8Array>): Promise<ElementDigests> {
  return digestElements(bytes, options);
}

function* inPieces(bytes: Buffer, size: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** Explicit VR Little Endian. */
const element = (tag: readonly number[], vr: string, value: Buffer): Buffer => {
  const head = Buffer.from([...tag, ...Buffer.from(vr), 0, 0]);
  head.writeUInt16LE(value.length, 6);
  return Buffer.concat([head, value]);
};
const undefinedLength = [0xff, 0xff, 0xff, 0xff];
const item = (value: Buffer): Buffer =>
  Buffer.concat([Buffer.from([0xfe, 0xff, 0x00, 0xe0, value.length, 0, 0, 0]), value]);
const sequence = (length: 'explicit' | 'undefined', items: readonly Buffer[]): Buffer => {
  const all = Buffer.concat(items);
  const head = Buffer.from([0x08, 0x00, 0x40, 0x11, ...Buffer.from('SQ'), 0, 0, 0, 0, 0, 0]);
  if (length === 'explicit') head.writeUInt32LE(all.length, 8);
  else head.set(undefinedLength, 8);
  const end = length === 'explicit' ? [] : [Buffer.from([0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0])];
  return Buffer.concat([head, all, ...end]);
};
const openItem = (value: Buffer): Buffer =>
  Buffer.concat([
    Buffer.from([0xfe, 0xff, 0x00, 0xe0, ...undefinedLength]),
    value,
    Buffer.from([0xfe, 0xff, 0x0d, 0xe0, 0, 0, 0, 0]),
  ]);

it.each(['implicit-le', 'explicit-be', 'deflated'] as const)(
  'finds the same content in %s as in Explicit VR Little Endian',
  async (transferSyntax) => {
    const [one, other] = [await digestsOf(fileOf()), await digestsOf(fileOf({ transferSyntax }))];
    expect(other.broken).toBeUndefined();
    expect(other.meta.transferSyntaxUid).not.toBe(one.meta.transferSyntaxUid);
    expect(other.elements).toEqual(one.elements);
    expect(one.elements.has(pixelData)).toBe(true);
  },
);

it('reads pieces of any size alike', async () => {
  const bytes = fileOf();
  const whole = await digestsOf(bytes);
  for (const size of [1, 13, 4096]) expect(await digestElements(inPieces(bytes, size), options)).toEqual(whole);
});

it('ignores lengths of sequences and items, group lengths, padding', async () => {
  const head = metaOf(fileOf());
  const inner = element([0x08, 0x00, 0x55, 0x11], 'UI', Buffer.from('1.2.3\0', 'latin1'));
  const groupLength = element([0x08, 0x00, 0x00, 0x00], 'UL', Buffer.from([1, 2, 3, 4]));
  const padding = Buffer.from([0xfc, 0xff, 0xfc, 0xff, 0x4f, 0x42, 0, 0, 2, 0, 0, 0, 0, 0]);
  const files = [
    Buffer.concat([head, sequence('explicit', [item(inner)])]),
    Buffer.concat([head, sequence('undefined', [openItem(inner)])]),
    Buffer.concat([head, groupLength, sequence('explicit', [item(Buffer.concat([groupLength, inner]))]), padding]),
    Buffer.concat(await Array.fromAsync(toImplicitVr(Buffer.concat([head, sequence('explicit', [item(inner)])])))),
  ];
  const [first, ...others] = await Promise.all(files.map(digestsOf));
  expect(first?.broken).toBeUndefined();
  expect([...first!.elements.keys()]).toEqual([0x00081140]);
  for (const other of others) expect(other.elements).toEqual(first?.elements);
  const another = Buffer.concat([head, sequence('explicit', [item(inner), item(inner)])]);
  expect((await digestsOf(another)).elements).not.toEqual(first?.elements);
});

const bytesOf = (...parts: readonly (Buffer | readonly number[])[]): Buffer =>
  Buffer.concat(parts.map((part) => Buffer.from(part)));
const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
/** Explicit VR Little Endian, with a length of 32 bits. */
const longElement = (tag: readonly number[], vr: string, value: Buffer): Buffer =>
  bytesOf(tag, Buffer.from(vr), [0, 0], uint32(value.length), value);
const implicitElement = (tag: readonly number[], value: Buffer): Buffer => bytesOf(tag, uint32(value.length), value);
/** (0002,0000) follows the prefix: PS3.10 section 7.1. */
const metaOf = (file: Buffer): Buffer => file.subarray(0, 144 + file.readUInt32LE(140));

describe('a private value that begins with an item', () => {
  // (0009,1010), and (7FE1,1001) of GE.
  const tags = { low: [0x09, 0x00, 0x10, 0x10], abovePixels: [0xe1, 0x7f, 0x01, 0x10] };
  const inner = [0x09, 0x00, 0x02, 0x10];
  const text = Buffer.from('ABCDEFGHIJ', 'latin1');
  const innerOf = { implicit: implicitElement(inner, text), explicit: longElement(inner, 'UN', text) };
  /** The same value as SQ and as UN in Explicit VR, and in Implicit VR. */
  const filesOf = (tag: readonly number[], explicit: Buffer, implicit: Buffer): Buffer[] => [
    bytesOf(metaOf(fileOf()), longElement(tag, 'SQ', explicit)),
    bytesOf(metaOf(fileOf()), longElement(tag, 'UN', implicit)),
    bytesOf(metaOf(fileOf({ transferSyntax: 'implicit-le' })), implicitElement(tag, implicit)),
  ];
  const same = async (files: readonly Buffer[]): Promise<void> => {
    const [first, ...others] = await Promise.all(files.map(digestsOf));
    expect(first?.broken).toBeUndefined();
    expect(first?.elements.size).toBe(1);
    for (const other of others) expect([other.broken, other.elements]).toEqual([undefined, first?.elements]);
  };

  it.each(Object.entries(tags))('is the same as SQ, as UN and in Implicit VR: %s', async (_, tag) => {
    await same(filesOf(tag, item(innerOf.explicit), item(innerOf.implicit)));
    await same(filesOf(tag, openItem(innerOf.explicit), openItem(innerOf.implicit)));
    const nested = [
      item(longElement(tag, 'SQ', item(innerOf.explicit))),
      item(implicitElement(tag, item(innerOf.implicit))),
    ];
    await same(filesOf(tag, nested[0]!, nested[1]!));
  });

  it('is compared byte by byte if it is no sequence', async () => {
    const start = [0xfe, 0xff, 0x00, 0xe0];
    const values = [
      bytesOf(start, text),
      bytesOf(start, uint32(1_000_000), text),
      bytesOf(start, uint32(0xffffffff), text),
      bytesOf(item(innerOf.implicit), text),
      bytesOf(item(innerOf.implicit), [0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0], text),
      // An element that exceeds its item and the value, and one that begins with an item likewise.
      item(bytesOf(inner, uint32(50_000_000), text)),
      item(bytesOf(inner, uint32(50_000_000), start, uint32(2), text)),
      // Items in Explicit VR are not allowed in UN.
      item(innerOf.explicit),
    ];
    const after = implicitElement([0x0b, 0x00, 0x02, 0x10], text);
    const afterExplicit = longElement([0x0b, 0x00, 0x02, 0x10], 'UN', text);
    const seen = new Set<string | undefined>();
    for (const value of values) {
      const [, unknown, implicit] = filesOf(tags.low, value, value) as [Buffer, Buffer, Buffer];
      const found = await digestsOf(bytesOf(unknown, afterExplicit));
      expect(found.broken).toBeUndefined();
      expect(found.elements.size).toBe(2);
      expect((await digestsOf(bytesOf(implicit, after))).elements).toEqual(found.elements);
      expect((await digestElements(inPieces(implicit, 3), options)).elements.get(0x00091010)).toBe(
        found.elements.get(0x00091010),
      );
      seen.add(found.elements.get(0x00091010));
      // It ends with the file, not with its value.
      expect((await digestsOf(implicit.subarray(0, -2))).broken).toMatchObject({ tag: 0x00091010 });
    }
    expect(seen.size).toBe(values.length);
  });
});

it('does not depend on offset tables and fragments of encapsulated pixel data', async () => {
  const head = metaOf(fileOf({ transferSyntax: 'rle' }));
  const pixels = Buffer.from('0123456789', 'latin1');
  const end = Buffer.from([0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0]);
  const pixelHead = Buffer.from([0xe0, 0x7f, 0x10, 0x00, ...Buffer.from('OB'), 0, 0, ...undefinedLength]);
  const offsets = longElement([0xe0, 0x7f, 0x01, 0x00], 'OV', Buffer.alloc(8));
  const lengths = longElement([0xe0, 0x7f, 0x02, 0x00], 'OV', bytesOf(uint32(pixels.length), uint32(0)));
  const [empty, table] = [item(Buffer.alloc(0)), item(uint32(0))];
  const files = [
    bytesOf(head, pixelHead, empty, item(pixels), end),
    bytesOf(head, pixelHead, table, item(pixels), end),
    bytesOf(head, pixelHead, empty, item(pixels.subarray(0, 4)), item(pixels.subarray(4)), end),
    bytesOf(head, offsets, lengths, pixelHead, empty, item(pixels), end),
  ];
  const [first, ...others] = await Promise.all(files.map(digestsOf));
  expect([...first!.elements.keys()]).toEqual([pixelData]);
  for (const other of others) expect([other.broken, other.elements]).toEqual([undefined, first?.elements]);
  const another = bytesOf(head, pixelHead, empty, item(pixels.subarray(0, 4)), end);
  expect((await digestsOf(another)).elements).not.toEqual(first?.elements);
});

it('reports which element differs, and where a file is truncated', async () => {
  const bytes = fileOf();
  const whole = await digestsOf(bytes);
  const altered = Buffer.from(bytes);
  altered.writeUInt8(altered.readUInt8(altered.length - 9) ^ 0xff, altered.length - 9);
  const other = await digestsOf(altered);
  expect([...whole.elements].filter(([tag, digest]) => other.elements.get(tag) !== digest).map(([tag]) => tag)).toEqual(
    [pixelData],
  );
  const renamed = await digestsOf(fileOf({ attributes: { PatientName: 'Other^Name' } }));
  expect(renamed.elements.get(patientName)).not.toBe(whole.elements.get(patientName));
  expect((await digestsOf(bytes.subarray(0, -20))).broken).toMatchObject({ tag: pixelData });
  await expect(digestsOf(Buffer.from('<html>sign in</html>'))).rejects.toMatchObject({ code: 'source-not-dicom' });
});

it('does not hold the value of a large element', async () => {
  const bytes = fileOf();
  const at = bytes.lastIndexOf(Buffer.from([0xe0, 0x7f, 0x10, 0x00]));
  const head = Buffer.from(bytes.subarray(0, at + 12));
  const pixelBytes = 128 * 1024 * 1024;
  head.writeUInt32LE(pixelBytes, at + 8);
  const block = Buffer.alloc(1024 * 1024);
  const before = process.memoryUsage().arrayBuffers;
  let most = 0;
  async function* large(): AsyncGenerator<Uint8Array> {
    yield head;
    for (let sent = 0; sent < pixelBytes; sent += block.length) {
      most = Math.max(most, process.memoryUsage().arrayBuffers - before);
      yield block;
    }
  }
  expect((await digestsOf(large())).broken).toBeUndefined();
  expect(most).toBeLessThan(32 * 1024 * 1024);
});
