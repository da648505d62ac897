import { makeStudy, type StudyOptions } from '@dicom-dispatch/samples';
import { expect, it } from 'vitest';
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
  const file = fileOf();
  // (0002,0000) follows the prefix: PS3.10 section 7.1.
  const head = file.subarray(0, 144 + file.readUInt32LE(140));
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
