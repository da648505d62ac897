/** WHATWG labels for the single-byte character sets of PS3.3 table C.12-2 whose upper half has one script. */
const labels: Readonly<Record<string, string>> = {
  'ISO_IR 100': 'iso-8859-1',
  'ISO_IR 101': 'iso-8859-2',
  'ISO_IR 109': 'iso-8859-3',
  'ISO_IR 110': 'iso-8859-4',
  'ISO_IR 144': 'iso-8859-5',
  'ISO_IR 127': 'iso-8859-6',
  'ISO_IR 126': 'iso-8859-7',
  'ISO_IR 138': 'iso-8859-8',
  'ISO_IR 148': 'iso-8859-9',
  'ISO_IR 166': 'windows-874',
  'ISO_IR 203': 'iso-8859-15',
  GB18030: 'gb18030',
  GBK: 'gbk',
};

export const utf8 = 'ISO_IR 192';

/** VRs that Specific Character Set is about (PS3.5 section 6.1.2.3). */
const characterVrs = new Set(['LO', 'LT', 'PN', 'SH', 'ST', 'UC', 'UT']);

/** Whether values of a VR are written in the Specific Character Set; not if the VR is unknown. */
export function hasCharacterSet(vr: string | undefined): boolean {
  return vr !== undefined && characterVrs.has(vr);
}

export function isAscii(text: string): boolean {
  return /^[\0-\x7f]*$/.test(text);
}

/** Whether a text can be written in a data set's Specific Character Set (0008,0005); one with code extensions is not tried. */
export function canHold(characterSet: string, text: string): boolean {
  if (isAscii(text)) return true;
  if (characterSet === utf8 || characterSet === 'GB18030') return true;
  const label = labels[characterSet];
  if (label === undefined || label.startsWith('gb')) return false;
  const upper = upperHalf(label);
  return Array.from(text).every((character) => isAscii(character) || upper.has(character));
}

/** Whether `decodeText` can read a character set. */
export function isReadable(characterSet: string): boolean {
  return characterSet === utf8 || characterSet in labels;
}

/** The text of a value; undefined when its character set is not one that is read here. */
export function decodeText(characterSet: string, bytes: Buffer): string | undefined {
  if (bytes.every((byte) => byte < 0x80)) return bytes.includes(0x1b) ? undefined : bytes.toString('latin1');
  if (characterSet === 'ISO_IR 100') return bytes.toString('latin1');
  const label = characterSet === utf8 ? 'utf-8' : labels[characterSet];
  if (label === undefined) return undefined;
  try {
    return new TextDecoder(label, { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

const upperHalves = new Map<string, ReadonlySet<string>>();

function upperHalf(label: string): ReadonlySet<string> {
  let known = upperHalves.get(label);
  if (!known) {
    const bytes = Uint8Array.from({ length: 96 }, (_, index) => 0xa0 + index);
    // The label iso-8859-1 means windows-1252, which is the same from A0H on.
    known = new Set(Array.from(new TextDecoder(label).decode(bytes)).filter((character) => character !== '\ufffd'));
    upperHalves.set(label, known);
  }
  return known;
}
