/** Defined terms of Specific Character Set (0008,0005) that the samples can write (PS3.3 section C.12.1.1.2). */
export const characterSets = ['ISO_IR 6', 'ISO_IR 100', 'ISO_IR 126', 'ISO_IR 144', 'ISO_IR 192'] as const;
export type CharacterSet = (typeof characterSets)[number];

/** VRs whose text follows Specific Character Set (PS3.5 section 6.1.2.2). */
const extended = new Set(['LO', 'LT', 'PN', 'SH', 'ST', 'UC', 'UT']);

/** Text as bytes; characters missing in the character set become a question mark. */
export function encodeText(text: string, vr: string, characterSet: CharacterSet): Buffer {
  if (!extended.has(vr)) return singleByte(text, ascii);
  switch (characterSet) {
    case 'ISO_IR 192':
      return Buffer.from(text, 'utf8');
    case 'ISO_IR 100':
      return singleByte(text, (code) => (code < 0x100 ? code : undefined));
    case 'ISO_IR 126':
      return singleByte(text, greek);
    case 'ISO_IR 144':
      return singleByte(text, cyrillic);
    case 'ISO_IR 6':
      return singleByte(text, ascii);
  }
}

function singleByte(text: string, map: (code: number) => number | undefined): Buffer {
  return Buffer.from(Array.from(text, (letter) => map(letter.codePointAt(0)!) ?? 0x3f));
}

function ascii(code: number): number | undefined {
  return code < 0x80 ? code : undefined;
}

/** ISO 8859-7: the Greek block begins at 0xB4, in order. */
function greek(code: number): number | undefined {
  if (code >= 0x384 && code <= 0x3ce) return code - 0x2d0;
  return ascii(code);
}

/** ISO 8859-5: the Cyrillic block begins at 0xA1, in order. */
function cyrillic(code: number): number | undefined {
  if (code >= 0x401 && code <= 0x45f && code !== 0x40d && code !== 0x450 && code !== 0x45d) return code - 0x360;
  return ascii(code);
}
