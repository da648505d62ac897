import { TextDecoder } from 'node:util';

/** The label of a decoder of node, by the number of an ISO registration: PS3.3 tables C.12-2 to C.12-4. */
const SINGLE_BYTE: Readonly<Record<number, string>> = {
  100: 'iso-8859-1',
  101: 'iso-8859-2',
  109: 'iso-8859-3',
  110: 'iso-8859-4',
  126: 'iso-8859-7',
  127: 'iso-8859-6',
  138: 'iso-8859-8',
  144: 'iso-8859-5',
  148: 'iso-8859-9',
  166: 'windows-874',
  203: 'iso-8859-15',
};
/** Number of the ISO registration, by part of ISO 8859. */
const REGISTRATIONS: ReadonlyMap<number, number> = new Map([
  [1, 100],
  [2, 101],
  [3, 109],
  [4, 110],
  [5, 144],
  [6, 127],
  [7, 126],
  [8, 138],
  [9, 148],
  [11, 166],
  [15, 203],
]);

/** Characters of a byte without the high bit (G0), and with it (G1); each escape sequence sets one of them. */
interface Registers {
  readonly g0: 'ascii' | 'jis-x-0208' | 'jis-x-0212';
  readonly g1: G1 | undefined;
}
type G1 = { readonly decoder: string; readonly bytes: 1 | 2 };

const ASCII: Registers = { g0: 'ascii', g1: undefined };
const KATAKANA: G1 = { decoder: 'shift_jis', bytes: 1 };
const KOREAN: G1 = { decoder: 'euc-kr', bytes: 2 };
const CHINESE: G1 = { decoder: 'gbk', bytes: 2 };

function single(registration: number): G1 {
  return { decoder: SINGLE_BYTE[registration] ?? 'iso-8859-1', bytes: 1 };
}

const ESCAPE = 0x1b;

/** Escape sequences without their first byte, in hexadecimal: PS3.3 tables C.12-3 and C.12-4. */
const ESCAPES: ReadonlyMap<string, Partial<Registers>> = new Map<string, Partial<Registers>>([
  ['2842', { g0: 'ascii' }],
  ['284a', { g0: 'ascii' }],
  ['2949', { g1: KATAKANA }],
  ['2d41', { g1: single(100) }],
  ['2d42', { g1: single(101) }],
  ['2d43', { g1: single(109) }],
  ['2d44', { g1: single(110) }],
  ['2d46', { g1: single(126) }],
  ['2d47', { g1: single(127) }],
  ['2d48', { g1: single(138) }],
  ['2d4c', { g1: single(144) }],
  ['2d4d', { g1: single(148) }],
  ['2d54', { g1: single(166) }],
  ['2d62', { g1: single(203) }],
  ['2440', { g0: 'jis-x-0208' }],
  ['2442', { g0: 'jis-x-0208' }],
  ['242842', { g0: 'jis-x-0208' }],
  ['242844', { g0: 'jis-x-0212' }],
  ['242943', { g1: KOREAN }],
  ['242941', { g1: CHINESE }],
]);

/**
 * How the texts of a data set are decoded.
 *
 * - `whole`: one decoder for all bytes, no escape sequences
 * - `registers`: ISO 2022, starting with these registers
 * - `unknown`: only ASCII is known
 */
export type CharacterSet =
  | { readonly kind: 'whole'; readonly decoder: string }
  | { readonly kind: 'registers'; readonly initial: Registers }
  | { readonly kind: 'unknown' };

/** Without Specific Character Set: ASCII (PS3.5 section 6.1.2.1). */
export const DEFAULT_CHARACTER_SET: CharacterSet = { kind: 'registers', initial: ASCII };

const WHOLE: Readonly<Record<string, string>> = {
  'ISO IR 192': 'utf-8',
  UTF8: 'utf-8',
  'UTF 8': 'utf-8',
  GB18030: 'gb18030',
  GBK: 'gbk',
  'WINDOWS 1252': 'windows-1252',
  'SHIFT JIS': 'shift_jis',
};

/**
 * Reads the values of Specific Character Set (0008,0005), PS3.3 section C.12.1.1.2, and spellings of them that devices use
 * against the Standard (`ISO-8859-1`, `UTF8`, `ISO-IR 100`).
 */
export function characterSetOf(terms: readonly string[]): CharacterSet {
  const [first = '', ...more] = terms.map((term) =>
    term
      .trim()
      .toUpperCase()
      .replace(/[\s_-]+/g, ' '),
  );
  const whole = WHOLE[first];
  if (whole !== undefined) return { kind: 'whole', decoder: whole };
  const initial = registersOf(first);
  if (initial !== undefined) return { kind: 'registers', initial };
  // An unknown first term with code extensions: ASCII, until an escape sequence.
  return more.length > 0 ? DEFAULT_CHARACTER_SET : { kind: 'unknown' };
}

function registersOf(term: string): Registers | undefined {
  if (term === '' || term === 'ASCII' || term === 'US ASCII') return ASCII;
  const part = /^ISO ?8859 ?(\d+)$/.exec(term)?.[1] ?? (term === 'LATIN1' ? '1' : undefined);
  const number =
    part === undefined ? Number(/^ISO (?:2022 )?IR (\d+)$/.exec(term)?.[1]) : REGISTRATIONS.get(Number(part));
  if (number === 6 || number === 14 || number === 87 || number === 159) return ASCII;
  if (number === 13) return { g0: 'ascii', g1: KATAKANA };
  if (number === 149) return { g0: 'ascii', g1: KOREAN };
  if (number === 58) return { g0: 'ascii', g1: CHINESE };
  return number !== undefined && SINGLE_BYTE[number] !== undefined ? { g0: 'ascii', g1: single(number) } : undefined;
}

/**
 * Decodes a text. Bytes that no known character set defines become U+FFFD. If the character set is unknown, or ASCII without
 * escape sequences in the text, valid UTF-8 is decoded as UTF-8.
 *
 * @param isName whether `^` and `=`, the delimiters of a person name, end code extensions, too (PS3.5 section 6.1.2.5.3)
 */
export function decodeText(bytes: Buffer, set: CharacterSet, isName: boolean): string {
  if (set.kind === 'whole') return decoderFor(set.decoder).decode(bytes);
  if (isPlain(bytes)) return bytes.toString('latin1');
  const initial = set.kind === 'registers' ? set.initial : ASCII;
  if (initial === ASCII && !bytes.includes(ESCAPE)) return asUtf8(bytes) ?? new Iso2022(initial, isName).decode(bytes);
  return new Iso2022(initial, isName).decode(bytes);
}

function isPlain(bytes: Buffer): boolean {
  for (const byte of bytes) if (byte >= 0x80 || byte === ESCAPE) return false;
  return true;
}

function asUtf8(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

const decoders = new Map<string, TextDecoder>();

function decoderFor(label: string): TextDecoder {
  const known = decoders.get(label) ?? new TextDecoder(label);
  decoders.set(label, known);
  return known;
}

const REPLACEMENT = '\ufffd';

/** ISO 2022 as DICOM uses it: PS3.5 section 6.1.2.5. */
class Iso2022 {
  readonly #initial: Registers;
  readonly #resets: ReadonlySet<number>;
  #now: Registers;
  #text = '';
  /** Bytes gathered for `#runDecoder`. */
  #run: number[] = [];
  #runDecoder = '';

  constructor(initial: Registers, isName: boolean) {
    this.#initial = initial;
    this.#now = initial;
    // Line ends, the delimiter of values, those of a name: after them the first character set applies again.
    this.#resets = new Set([0x09, 0x0a, 0x0c, 0x0d, 0x5c, ...(isName ? [0x5e, 0x3d] : [])]);
  }

  decode(bytes: Buffer): string {
    for (let at = 0; at < bytes.length;) at += this.#step(bytes, at);
    this.#flush();
    return this.#text;
  }

  /** @returns the number of consumed bytes */
  #step(bytes: Buffer, at: number): number {
    const byte = bytes[at] as number;
    if (byte === ESCAPE) return this.#escape(bytes, at);
    const next = bytes[at + 1];
    if (byte >= 0x80) {
      const { g1 } = this.#now;
      if (g1 === undefined || (g1.bytes === 2 && (next === undefined || next < 0x80)))
        return this.#literal(REPLACEMENT);
      return this.#add(g1.decoder, g1.bytes === 1 ? [byte] : [byte, next as number]);
    }
    const isControl = byte < 0x20;
    if (this.#now.g0 !== 'ascii' && !isControl && next !== undefined) {
      // EUC-JP has both sets: JIS X 0208 with the high bit set, JIS X 0212 behind 8FH.
      const pair = [byte | 0x80, next | 0x80];
      this.#add('euc-jp', this.#now.g0 === 'jis-x-0208' ? pair : [0x8f, ...pair]);
      return 2;
    }
    if (this.#resets.has(byte)) this.#now = this.#initial;
    return this.#literal(String.fromCharCode(byte));
  }

  #escape(bytes: Buffer, at: number): number {
    for (const length of [2, 3]) {
      const registers = ESCAPES.get(bytes.toString('hex', at + 1, at + 1 + length));
      if (registers === undefined) continue;
      this.#now = { ...this.#now, ...registers };
      return 1 + length;
    }
    return this.#literal(REPLACEMENT);
  }

  #add(decoder: string, bytes: readonly number[]): number {
    if (decoder !== this.#runDecoder) this.#flush();
    this.#runDecoder = decoder;
    this.#run.push(...bytes);
    return bytes.length;
  }

  #literal(text: string): number {
    this.#flush();
    this.#text += text;
    return 1;
  }

  #flush(): void {
    if (this.#run.length > 0) this.#text += decoderFor(this.#runDecoder).decode(Buffer.from(this.#run));
    this.#run = [];
  }
}
