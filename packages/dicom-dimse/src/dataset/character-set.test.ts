import { caseFile } from '@dicom-dispatch/harness';
import { makeStudy, transferSyntaxes, type TransferSyntax } from '@dicom-dispatch/samples';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TRANSFER_SYNTAX } from '../uids.ts';
import { characterSetOf, decodeText } from './character-set.ts';
import { decodeDataSet, decodePart10 } from './codec.ts';

const text = (bytes: string): Buffer => Buffer.from(bytes, 'latin1');
const name = (terms: string, bytes: string): string => decodeText(text(bytes), characterSetOf(terms.split('\\')), true);

describe('texts of a data set', () => {
  it.each([
    // PS3.5 annexes H to K, and what devices write.
    ['', 'Yamada^Tarou', 'Yamada^Tarou'],
    [
      '\\ISO 2022 IR 87',
      'Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B',
      'Yamada^Tarou=山田^太郎=やまだ^たろう',
    ],
    [
      'ISO 2022 IR 13\\ISO 2022 IR 87',
      '\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J',
      'ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう',
    ],
    ['ISO_IR 100', 'Buc^J\xe9r\xf4me', 'Buc^Jérôme'],
    ['ISO_IR 101', 'Wa\xb3\xeasa', 'Wałęsa'],
    ['ISO_IR 144', '\xbb\xee\xda', 'Люк'],
    ['ISO_IR 126', '\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2', 'Διονυσιος'],
    ['ISO_IR 127', '\xe2\xc8\xc7\xe6\xea^\xe4\xe6\xd2\xc7\xd1', 'قباني^لنزار'],
    ['ISO_IR 138', '\xf9\xf8\xe5\xef^\xe3\xe1\xe5\xf8\xe4', 'שרון^דבורה'],
    ['ISO_IR 166', '\xca\xc1', 'สม'],
    [
      '\\ISO 2022 IR 149',
      'Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf',
      'Hong^Gildong=洪^吉洞=홍^길동',
    ],
    ['\\ISO 2022 IR 58', 'Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=', 'Zhang^XiaoDong=张^小东='],
    ['GB18030', 'Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab=', 'Wang^XiaoDong=王^小东='],
    ['GBK', 'Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab=', 'Wang^XiaoDong=王^小东='],
    ['ISO_IR 192', 'Wang=\xe7\x8e\x8b', 'Wang=王'],
    ['ISO 2022 IR 100\\ISO 2022 IR 144', 'J\xe9\x1b-L\xbb\xee^\xe9', 'JéЛю^é'],
    // Not allowed by the Standard, but used by devices.
    ['ISO-8859-1', 'J\xe9', 'Jé'],
    ['ISO 8859-2', '\xb3', 'ł'],
    ['ISO-IR 100', 'J\xe9', 'Jé'],
    ['ISO_IR_100', 'J\xe9', 'Jé'],
    ['UTF8', '\xe7\x8e\x8b', '王'],
    ['utf-8', '\xe7\x8e\x8b', '王'],
    ['ISO 2022 IR 149', '\xc8\xab', '홍'],
    ['', '\x1b$B;3ED\x1b(B', '山田'],
    // Unknown: ASCII is kept, the rest is shown as unreadable; UTF-8 is detected.
    ['ISO_IR 999', 'Smith^\xe9', 'Smith^\ufffd'],
    ['ISO_IR 999', 'Smith^\xc3\xa9', 'Smith^é'],
    ['KLINGON', 'Smith', 'Smith'],
    ['', 'J\xe9', 'J\ufffd'],
    ['\\ISO 2022 IR 87', 'a\x1b%Gb', 'a\ufffd%Gb'],
    ['\\ISO 2022 IR 149', '\x1b$)C\xfb', '\ufffd'],
  ])('in %j', (terms, bytes, expected) => {
    expect(name(terms, bytes)).toBe(expected);
  });

  it('start again with the first set after each line end and delimiter, the delimiters of a name only in names', () => {
    const set = characterSetOf(['', 'ISO 2022 IR 149']);
    const bytes = text('\x1b$)C\xb1\xe6^\xb1\xe6\\\xb1\xe6');
    expect(decodeText(bytes, set, true)).toBe('길^\ufffd\ufffd\\\ufffd\ufffd');
    expect(decodeText(bytes, set, false)).toBe('길^길\\\ufffd\ufffd');
  });

  it('may hold the byte of a backslash within a character', async () => {
    // Trail byte 5CH: of GB18030, and of JIS X 0208.
    const gb = Buffer.concat([
      Buffer.from('080005004353080047423138303330200800301 04c4f'.replaceAll(' ', ''), 'hex'),
      Buffer.from([4, 0, 0x81, 0x5c, 0x41, 0x20]),
    ]);
    const decoded = await decodeDataSet({ transferSyntaxUid: TRANSFER_SYNTAX.explicitVrLittleEndian, bytes: gb });
    expect(decoded['StudyDescription']).toBe(`${new TextDecoder('gb18030').decode(Buffer.from([0x81, 0x5c]))}A`);
    expect(name('\\ISO 2022 IR 87', '\x1b$B%\\\x1b(B')).toBe('ボ');
  });
});

describe('a data set', () => {
  it('of which the character set is ISO 2022 is read as such, nested ones by their own', async () => {
    const tags = decodePart10(await caseFile('tiny-iso2022.dcm'));
    expect(tags['PatientName']).toEqual([
      { Alphabetic: 'Yamada^Tarou', Ideographic: '山田^太郎', Phonetic: 'やまだ^たろう' },
    ]);
    const nested = decodePart10(await caseFile('tiny-request-attributes.dcm'));
    expect(nested['RequestAttributesSequence']).toMatchObject([{}]);
  });

  it.each(Object.keys(transferSyntaxes) as TransferSyntax[])(
    'is read off a file in %s, or off its beginning',
    (syntax) => {
      const [sample] = [...makeStudy({ transferSyntax: syntax, instancesPerSeries: 1 })];
      const tags = decodePart10(sample!.bytes);
      expect(tags).toMatchObject({
        SOPInstanceUID: sample!.sopInstanceUid,
        StudyInstanceUID: sample!.studyInstanceUid,
        Modality: sample!.modality,
        Rows: 64,
        BitsAllocated: expect.any(Number),
      });
      expect(tags['PixelData']).toBeUndefined();
      if (syntax !== 'deflated') {
        expect(decodePart10(sample!.bytes.subarray(0, -10_0))).toEqual(tags);
        expect(Object.keys(decodePart10(sample!.bytes.subarray(0, 700))).length).toBeLessThan(Object.keys(tags).length);
      }
    },
  );

  it('without file meta is read, too', async () => {
    const tags = decodePart10(await caseFile('no-meta.dcm'));
    expect(tags['SOPInstanceUID']).toBe('1.2.826.0.1.3680043.10.99.3.1.1');
  });
});

describe('any bytes', () => {
  it('are text in any character set, and a broken data set gives the elements before the error', async () => {
    const terms = ['', 'ISO_IR 100', '\\ISO 2022 IR 87', '\\ISO 2022 IR 149', 'GB18030', 'ISO_IR 192', 'ISO_IR 999'];
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.constantFrom(...terms), fc.boolean(), (bytes, term, isName) => {
        expect(typeof decodeText(Buffer.from(bytes), characterSetOf(term.split('\\')), isName)).toBe('string');
      }),
    );
    const good = Buffer.from('0800180055490400312e3233', 'hex');
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 60 }), async (more) => {
        const bytes = Buffer.concat([good, more]);
        const transferSyntaxUid = TRANSFER_SYNTAX.explicitVrLittleEndian;
        const decoded = await decodeDataSet({ transferSyntaxUid, bytes }, { isLenient: true });
        expect(decoded['SOPInstanceUID']).toBeDefined();
      }),
    );
  });
});
