import { deflateRawSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { encodeFileMeta } from '../part10/encode-file-meta.ts';
import { TRANSFER_SYNTAX } from '../uids.ts';
import { decodeDataSet, decodePart10, encodeDataSet } from './codec.ts';
import { decodeElements } from './decode-elements.ts';
import { describeTag, findElement, findKeyword, isStandardTag } from './find-element.ts';

const {
  implicitVrLittleEndian: implicit,
  explicitVrLittleEndian: explicit,
  explicitVrBigEndian: big,
  deflatedExplicitVrLittleEndian: deflated,
} = TRANSFER_SYNTAX;
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/[^0-9a-f]/g, ''), 'hex');
const LONG = new Set('OB OD OF OL OV OW SQ SV UC UN UR UT UV'.split(' '));

/** One element in Explicit VR Little Endian; its value as text, or as bytes in hexadecimal digits. */
function element(tag: string, vr: string, value: string | Buffer, length?: number): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'latin1') : value;
  const head = Buffer.alloc(LONG.has(vr) ? 12 : 8);
  head.writeUInt16LE(Number.parseInt(tag.slice(0, 4), 16), 0);
  head.writeUInt16LE(Number.parseInt(tag.slice(4), 16), 2);
  head.write(vr, 4, 'latin1');
  if (LONG.has(vr)) head.writeUInt32LE(length ?? bytes.length, 8);
  else head.writeUInt16LE(length ?? bytes.length, 6);
  return Buffer.concat([head, bytes]);
}

const decode = (bytes: Buffer, transferSyntaxUid: string = explicit, more: object = {}) =>
  decodeElements(bytes, { transferSyntaxUid, ...more });

const PATIENT_ID = element('00100020', 'LO', 'P7');
const ITEM_OPEN = hex('feff00e0 ffffffff');
const ITEM_CLOSE = hex('feff0de0 00000000');
const SEQUENCE_CLOSE = hex('feffdde0 00000000');

describe('a value', () => {
  it.each<[string, string, string | Buffer, unknown]>([
    ['one unsigned 16-bit number', '00280010', element('00280010', 'US', hex('0002')), 512],
    ['several', '00281101', element('00281101', 'US', hex('0001 0000 1000')), [256, 0, 16]],
    ['a signed 16-bit number', '00189219', element('00189219', 'SS', hex('feff')), -2],
    ['an unsigned 32-bit number', '00186018', element('00186018', 'UL', hex('000000f0')), 0xf0000000],
    ['a signed 32-bit number', '00186020', element('00186020', 'SL', hex('feffffff')), -2],
    ['a 32-bit float', '00189089', element('00189089', 'FL', hex('0000c03f')), 1.5],
    ['a 64-bit float', '00189087', element('00189087', 'FD', hex('000000000000f83f')), 1.5],
    ['tags', '00280009', element('00280009', 'AT', hex('18006310 28000900')), ['00181063', '00280009']],
    ['no number', '00280010', element('00280010', 'US', ''), ''],
    ['half a number', '00280010', element('00280010', 'US', hex('00')), ''],
    ['a number as text', '00200013', element('00200013', 'IS', ' 12 '), 12],
    ['decimal numbers as text', '00280030', element('00280030', 'DS', '0.5\\1e1'), [0.5, 10]],
    ['what is no number', '00200013', element('00200013', 'IS', 'x '), 'x'],
    ['an empty number', '00200013', element('00200013', 'IS', ''), ''],
    ['several texts', '00080008', element('00080008', 'CS', 'ORIGINAL\\ PRIMARY '), ['ORIGINAL', 'PRIMARY']],
    ['a padded UID', '00080018', element('00080018', 'UI', '2.25.4\0'), '2.25.4'],
    ['a long text with backslashes', '00104000', element('00104000', 'LT', ' a\\b '), ' a\\b'],
    ['an empty text', '00100020', element('00100020', 'LO', ''), ''],
    [
      'a name with its groups',
      '00100010',
      element('00100010', 'PN', 'Doe^Jane=JI^=PH '),
      [{ Alphabetic: 'Doe^Jane', Ideographic: 'JI^', Phonetic: 'PH' }],
    ],
    ['a name of one group', '00100010', element('00100010', 'PN', 'Doe^Jane'), [{ Alphabetic: 'Doe^Jane' }]],
    ['an empty name', '00100010', element('00100010', 'PN', ''), ''],
    ['bytes', '00420011', element('00420011', 'OB', hex('0102')), hex('0102')],
  ])('%s', (_name, tag, bytes, expected) => {
    const name = findKeyword(tag.toLowerCase()) ?? tag;
    expect(decode(Buffer.from(bytes))).toEqual({ [name]: expected });
  });

  it('of each kind is read in Big Endian as well', () => {
    const bytes = hex(`
      0028 0010 5553 0002 0200  0018 9219 5353 0002 fffe  0018 6018 554c 0004 f0000000  0018 6020 534c 0004 fffffffe
      0018 9089 464c 0004 3fc00000  0018 9087 4644 0008 3ff8000000000000  0028 0009 4154 0004 0018 1063
      0042 0011 4f42 0000 00000002 0102`);
    expect(decode(bytes, big)).toEqual({
      Rows: 512,
      TagAngleSecondAxis: -2,
      RegionLocationMinX0: 0xf0000000,
      ReferencePixelX0: -2,
      DiffusionGradientOrientation: 1.5,
      DiffusionBValue: 1.5,
      FrameIncrementPointer: '00181063',
      EncapsulatedDocument: hex('0102'),
    });
  });

  it('has the VR of the dictionary in Implicit VR, and bytes where it has none', () => {
    const bytes = hex('2800 1000 02000000 0002  2800 0601 02000000 0300  0900 0110 02000000 4142');
    expect(decode(bytes, implicit)).toEqual({ Rows: 512, SmallestImagePixelValue: 3, '00091001': Buffer.from('AB') });
  });

  it('written as UN by the peer has the VR of the dictionary', () => {
    expect(decode(element('00100020', 'UN', 'P7'))).toEqual({ PatientID: 'P7' });
    expect(decode(element('00091001', 'UN', 'P7'))).toEqual({ '00091001': Buffer.from('P7') });
  });
});

describe('a sequence', () => {
  const expected = { ReferencedStudySequence: [{ PatientID: 'P7' }, {}], PatientID: 'P7' };

  it('with lengths', () => {
    const items = Buffer.concat([hex('feff00e0 0a000000'), PATIENT_ID, hex('feff00e0 00000000')]);
    expect(decode(Buffer.concat([element('00081110', 'SQ', items), PATIENT_ID]))).toEqual(expected);
  });

  it('with delimiters', () => {
    const items = Buffer.concat([ITEM_OPEN, PATIENT_ID, ITEM_CLOSE, ITEM_OPEN, ITEM_CLOSE, SEQUENCE_CLOSE]);
    expect(decode(Buffer.concat([element('00081110', 'SQ', items, 0xffffffff), PATIENT_ID]))).toEqual(expected);
  });

  it('in a UN of undefined length is in Implicit VR', () => {
    const items = Buffer.concat([ITEM_OPEN, hex('1000 2000 02000000 5037'), ITEM_CLOSE, SEQUENCE_CLOSE]);
    expect(decode(Buffer.concat([element('00091001', 'UN', items, 0xffffffff), PATIENT_ID]))).toEqual({
      '00091001': [{ PatientID: 'P7' }],
      PatientID: 'P7',
    });
  });

  it('has texts in the character set around it, or in that of its item', () => {
    const latin = element('00080005', 'CS', 'ISO_IR 100');
    const name = element('00100020', 'LO', 'J\xe9');
    const other = Buffer.concat([element('00080005', 'CS', 'ISO_IR 144'), element('00100020', 'LO', '\xbb\xee')]);
    const items = [name, other].flatMap((one) => [ITEM_OPEN, one, ITEM_CLOSE]);
    const sequence = element('00081110', 'SQ', Buffer.concat([...items, SEQUENCE_CLOSE]), 0xffffffff);
    expect(decode(Buffer.concat([latin, sequence, name]))).toEqual({
      SpecificCharacterSet: 'ISO_IR 100',
      ReferencedStudySequence: [{ PatientID: 'Jé' }, { SpecificCharacterSet: 'ISO_IR 144', PatientID: 'Лю' }],
      PatientID: 'Jé',
    });
  });

  it('may be nested up to a bound', () => {
    const nested = (depth: number): Buffer =>
      Buffer.concat([
        ...Array.from({ length: depth }, () => Buffer.concat([element('00081110', 'SQ', '', 0xffffffff), ITEM_OPEN])),
        ...Array.from({ length: depth }, () => Buffer.concat([ITEM_CLOSE, SEQUENCE_CLOSE])),
      ]);
    expect(JSON.stringify(decode(nested(64))).match(/ReferencedStudySequence/g)).toHaveLength(64);
    expect(() => decode(nested(65))).toThrow('sequences are nested deeper than 64');
  });
});

describe('a broken data set', () => {
  const long = element('00100020', 'LO', 'P7', 8);

  it.each<[string, Buffer, string]>([
    ['a value beyond the end', long, 'element 00100020 has 8 bytes; only 2 are left'],
    ['half a header', hex('1000 2000 4c4f'), 'the data set ends inside the header of an element'],
    ['half a long header', hex('4200 1100 4f42 0000 0200'), 'the data set ends inside the header of an element'],
    ['no VR', hex('1000 2000 3132 0000'), 'element 00100020 has no VR'],
    ['an element instead of an item', element('00081110', 'SQ', PATIENT_ID), '00100020 instead of an item'],
  ])('with %s is an error', (_name, broken, message) => {
    const bytes = Buffer.concat([element('00080050', 'SH', 'A1'), broken]);
    expect(() => decode(bytes)).toThrow(message);
    expect(decode(bytes, explicit, { isLenient: true })).toEqual({ AccessionNumber: 'A1' });
  });

  it('that may be cut ends before the element that is not complete', () => {
    for (const cut of [long, hex('1000 2000 4c4f'), hex('10')]) {
      const bytes = Buffer.concat([element('00080050', 'SH', 'A1'), cut]);
      expect(decode(bytes, explicit, { mayBeCut: true })).toEqual({ AccessionNumber: 'A1' });
    }
    expect(decode(PATIENT_ID, explicit, { mayBeCut: true })).toEqual({ PatientID: 'P7' });
  });

  it('ends before a given tag, but not before the same tag in an item', () => {
    const items = Buffer.concat([ITEM_OPEN, PATIENT_ID, ITEM_CLOSE, SEQUENCE_CLOSE]);
    const bytes = Buffer.concat([element('00081110', 'SQ', items, 0xffffffff), PATIENT_ID]);
    expect(decode(bytes, explicit, { untilTag: 0x00100020 })).toEqual({
      ReferencedStudySequence: [{ PatientID: 'P7' }],
    });
    expect(decode(bytes, explicit, { untilTag: 0x00100021 })).toHaveProperty('PatientID');
  });

  it('of a match is an error for its reader, unless the reader accepts a part of it', async () => {
    const bytes = Buffer.concat([element('00080050', 'SH', 'A1'), long]);
    await expect(decodeDataSet({ transferSyntaxUid: explicit, bytes })).rejects.toMatchObject({
      code: 'dataset-invalid',
    });
    expect(await decodeDataSet({ transferSyntaxUid: explicit, bytes }, { isLenient: true })).toEqual({
      AccessionNumber: 'A1',
    });
  });
});

describe('a Part 10 file', () => {
  const pixels = element('7fe00010', 'OW', Buffer.alloc(10));
  const meta = (transferSyntaxUid: string): Buffer =>
    encodeFileMeta({ sopClassUid: '1.2', sopInstanceUid: '2.25.4', transferSyntaxUid });

  it('is read without its pixel data, also if only its beginning is there', () => {
    const file = Buffer.concat([meta(explicit), PATIENT_ID, pixels]);
    expect(decodePart10(file)).toEqual({ PatientID: 'P7' });
    expect(decodePart10(file.subarray(0, file.length - 15))).toEqual({ PatientID: 'P7' });
    expect(decodePart10(new Uint8Array(file))).toEqual({ PatientID: 'P7' });
  });

  it('is read if it is deflated', () => {
    const whole = deflateRawSync(Buffer.concat([PATIENT_ID, element('00104000', 'LT', 'x'.repeat(900)), pixels]));
    expect(decodePart10(Buffer.concat([meta(deflated), whole]))).toMatchObject({ PatientID: 'P7' });
    expect(decodePart10(Buffer.concat([meta(deflated), whole.subarray(0, 30)]))).toMatchObject({ PatientID: 'P7' });
  });

  it('is read without file meta information in either of two transfer syntaxes', () => {
    expect(decodePart10(Buffer.concat([element('00080050', 'SH', 'A1'), PATIENT_ID]))).toEqual({
      AccessionNumber: 'A1',
      PatientID: 'P7',
    });
    expect(decodePart10(hex('0800 5000 02000000 4131'))).toEqual({ AccessionNumber: 'A1' });
  });

  it('that is none is an error that names no content', () => {
    for (const bytes of [Buffer.alloc(0), Buffer.from('John Doe, no DICOM file'), Buffer.alloc(500)])
      expect(() => decodePart10(bytes)).toThrow(
        expect.objectContaining({ code: 'source-not-dicom', message: 'the file is not a readable DICOM file' }),
      );
  });
});

describe('an encoded data set', () => {
  const decoded = async (values: object, transferSyntaxUid: string = explicit): Promise<object> =>
    decodeDataSet({ transferSyntaxUid, bytes: Buffer.from(encodeDataSet({ ...values }, transferSyntaxUid)) });

  it('names its character set only if it needs one, or was given one', async () => {
    expect(await decoded({ PatientID: 'P7' })).toEqual({ PatientID: 'P7' });
    expect(await decoded({ PatientID: 'Jé' })).toEqual({ SpecificCharacterSet: 'ISO_IR 192', PatientID: 'Jé' });
    expect(await decoded({ SpecificCharacterSet: 'ISO_IR 100', PatientID: 'P7' })).toEqual({
      SpecificCharacterSet: 'ISO_IR 192',
      PatientID: 'P7',
    });
  });

  it('has an even length, also if it is deflated', () => {
    for (let length = 1; length < 12; length += 1)
      expect(encodeDataSet({ PatientID: 'abcdefghijkl'.slice(0, length) }, deflated).length % 2).toBe(0);
  });

  it('of values that have no encoding is an error', () => {
    expect(() => encodeDataSet({ ReferencedStudySequence: [{ Rows: Symbol('x') }] }, explicit)).toThrow(
      expect.objectContaining({ code: 'dataset-invalid' }),
    );
  });
});

describe('the dictionary', () => {
  it('has tag and VR of a keyword, also of a retired one', () => {
    expect(findElement('PatientID')).toEqual({ tag: '00100020', vr: 'LO' });
    expect(findElement('PixelData')).toMatchObject({ tag: '7fe00010' });
    expect(findElement('StudyStatusID')).toEqual({ tag: '0032000a', vr: 'CS' });
    expect(findElement('Nonsense')).toBeUndefined();
    expect(findElement('constructor')).toBeUndefined();
  });

  it('has the VR only where PS3.6 allows one', () => {
    expect(findElement('SmallestImagePixelValue')).toEqual({ tag: '00280106', vr: undefined });
    expect(describeTag(0x00280106)).toEqual({ keyword: 'SmallestImagePixelValue', vr: undefined });
    expect(describeTag(0x00100020)).toEqual({ keyword: 'PatientID', vr: 'LO' });
    expect(describeTag(0x00091001)).toBeUndefined();
  });

  it('has the keyword of a tag, without the mark of retired ones', () => {
    expect(findKeyword('00100020')).toBe('PatientID');
    expect(findKeyword('7fe00010')).toBe('PixelData');
    expect(findKeyword('0032000a')).toBe('StudyStatusID');
    expect(findKeyword('00091001')).toBeUndefined();
  });

  it.each(['00100020', '0040a730', '7fe00010', '60003000', '50100010', '00203100', '10000010'])('has %s', (tag) => {
    expect(isStandardTag(tag)).toBe(true);
  });

  it.each(['00091001', '00100021x', '61', '00111111'])('does not have %s', (tag) => {
    expect(isStandardTag(tag)).toBe(false);
  });
});
