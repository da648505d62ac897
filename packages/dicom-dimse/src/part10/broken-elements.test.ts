import { expect, it } from 'vitest';
import { collect } from '../testing/open-pair.ts';
import { CT_IMAGE } from '../testing/part10-fixture.ts';
import { TRANSFER_SYNTAX } from '../uids.ts';
import { digestElements } from './digest-elements.ts';
import { encodeFileMeta } from './encode-file-meta.ts';
import { parseFileMeta } from './file-meta.ts';
import { readPart10 } from './read-part10.ts';
import { canBecomeImplicitVr, toImplicitVr } from './to-implicit-vr.ts';

const { explicitVrLittleEndian: explicit, deflatedExplicitVrLittleEndian: deflated } = TRANSFER_SYNTAX;
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
const fileOf = (dataSet: Buffer, transferSyntaxUid: string = explicit): Buffer =>
  Buffer.concat([encodeFileMeta({ sopClassUid: CT_IMAGE, sopInstanceUid: '2.25.1', transferSyntaxUid }), dataSet]);

const SEQUENCE = '0800 1511 5351 0000 ffffffff';
const ITEM = 'feff00e0 ffffffff';
const PATIENT_ID = '1000 2000 4c4f 0200 4120';
const deep = (levels: number): Buffer => hex(`${SEQUENCE}${ITEM}`.repeat(levels));
const messageOf = (reading: Promise<unknown>): Promise<string> =>
  reading.then(
    () => 'read',
    ({ code, message }: { code: string; message: string }) => `${code}: ${message}`,
  );

const cut = 'not a DICOM file: the source ends inside an element';

it.each<[string, Buffer, string, string]>([
  ['cut within a value', hex('1000 2000 4c4f 0400 4120'), cut, cut],
  ['cut within the head of an element', hex('1000 2000 4c4f'), cut, cut],
  [
    'an element without a VR',
    hex('1000 2000 0200 0000 4120'),
    'not a DICOM file: element (0010,0020) has no VR: check the transfer syntax',
    'not a DICOM file that can be re-encoded: element (0010,0020) has no VR',
  ],
  [
    'an element instead of an item',
    hex(`${SEQUENCE} ${PATIENT_ID}`),
    'not a DICOM file: (0010,0020) instead of an item of (0008,1115)',
    'not a DICOM file that can be re-encoded: (0010,0020) instead of an item',
  ],
  [
    'sequences without end',
    deep(70),
    'not a DICOM file: sequences are nested deeper than 64',
    'not a DICOM file that can be re-encoded: sequences are nested deeper than 64',
  ],
])('a data set with %s is refused with its fault', async (_name, dataSet, whenRead, whenEncoded) => {
  const file = fileOf(dataSet);
  const reading = readPart10([file], { tags: [0x7fe00010] });
  expect(await messageOf(reading)).toBe(`source-not-dicom: ${whenRead}`);
  expect(await messageOf(collect(toImplicitVr([file])))).toBe(
    `source-not-dicom: ${whenEncoded === cut ? cut : whenEncoded}`,
  );
  const { broken } = await digestElements([file], { vrOf: () => undefined });
  expect(broken?.reason).toMatch(/^not a DICOM file: /);
});

it.each<[string, Buffer, string]>([
  [
    'encapsulated pixel data',
    hex(`e07f 1000 4f42 0000 ffffffff`),
    'encapsulated pixel data in an uncompressed transfer syntax',
  ],
  ['the end of an item where none is open', hex('feff0de0 00000000'), '(FFFE,E00D) instead of an element'],
  [
    'an element that exceeds its item',
    hex(`0800 1511 5351 0000 10000000 feff00e0 08000000 ${PATIENT_ID}`),
    'an element exceeds its sequence or item',
  ],
])('a data set with %s is not re-encoded', async (_name, dataSet, fault) => {
  expect(await messageOf(collect(toImplicitVr([fileOf(dataSet)])))).toBe(
    `source-not-dicom: not a DICOM file that can be re-encoded: ${fault}`,
  );
});

it('64 levels of sequences are read and re-encoded', async () => {
  const whole = Buffer.concat([deep(64), hex('feff0de0 00000000 feffdde0 00000000'.repeat(64)), hex(PATIENT_ID)]);
  const { elements } = await readPart10([fileOf(whole)], { tags: [0x00100020] });
  expect(elements.get(0x00100020)?.value.toString()).toBe('A ');
  const encoded = await collect(toImplicitVr([fileOf(whole)]));
  expect(encoded.subarray(-10)).toEqual(hex('1000 2000 02000000 4120'));
  expect((await digestElements([fileOf(whole)], { vrOf: () => undefined })).broken).toBeUndefined();
});

it('only uncompressed data sets with VRs are re-encoded', async () => {
  const { explicitVrBigEndian: big, implicitVrLittleEndian: implicit, jpegBaseline: jpeg } = TRANSFER_SYNTAX;
  expect([explicit, deflated, big, implicit, jpeg].map(canBecomeImplicitVr)).toEqual([true, true, true, false, false]);
  expect(await messageOf(collect(toImplicitVr([fileOf(hex(PATIENT_ID), jpeg)])))).toBe(
    `source-not-dicom: not a DICOM file that can be re-encoded: transfer syntax ${jpeg} cannot be re-encoded`,
  );
});

it('a deflated data set that is damaged is no DICOM file, one that cannot be read has failed', async () => {
  const file = fileOf(Buffer.alloc(100, 0xff), deflated);
  const options = { tags: [0x00100020] };
  expect(await messageOf(readPart10([file], options))).toBe(
    'source-not-dicom: the deflated data set cannot be decompressed',
  );
  async function* failing(): AsyncGenerator<Buffer> {
    yield fileOf(Buffer.alloc(0), deflated);
    throw new Error('disk');
  }
  expect(await messageOf(readPart10(failing(), options))).toBe(
    'source-failed: reading the source of the instance failed',
  );
});

it('a value that is longer than allowed is refused with its tag and both lengths', async () => {
  const file = fileOf(hex(PATIENT_ID));
  const read = (maxValueBytes: number) => messageOf(readPart10([file], { tags: [0x00100020], maxValueBytes }));
  expect(await read(2)).toBe('read');
  expect(await read(1)).toBe('limit-exceeded: element (0010,0020) has 2 bytes; at most 1 are read (maxValueBytes)');
});

it('a file meta information is as long as its group length, and not of a file without DICM', () => {
  const whole = fileOf(hex(PATIENT_ID));
  const { dataSetOffset } = parseFileMeta(whole, true) as { dataSetOffset: number };
  const withLength = (bytes: number): Buffer => {
    const changed = Buffer.from(whole);
    changed.writeUInt32LE(changed.readUInt32LE(140) + bytes, 140);
    return changed;
  };
  expect(() => parseFileMeta(withLength(2), true)).toThrow(
    'not a DICOM file: the file meta information is shorter than its length (0002,0000)',
  );
  expect(() => parseFileMeta(withLength(-2), true)).toThrow(
    'not a DICOM file: the file meta information is longer than its length (0002,0000)',
  );
  expect(() => parseFileMeta(whole.subarray(0, 131), true)).toThrow(
    'not a DICOM file: the source ends inside its file meta information',
  );
  expect(() => parseFileMeta(Buffer.alloc(200), true)).toThrow(
    'not a DICOM file: bytes 129 to 132 are not DICM; only files with a Part 10 header can be sent',
  );
  // Only file meta information, with and without its length.
  expect(parseFileMeta(whole.subarray(0, dataSetOffset), true)).toMatchObject({ dataSetOffset });
  const without = Buffer.concat([whole.subarray(0, 132), whole.subarray(144, dataSetOffset)]);
  expect(parseFileMeta(without, true)).toMatchObject({ dataSetOffset: dataSetOffset - 12 });
  expect(parseFileMeta(without, false)).toEqual({ meta: undefined, neededBytes: without.length + 2 });
});
