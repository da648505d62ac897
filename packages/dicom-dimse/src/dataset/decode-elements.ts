import { TRANSFER_SYNTAX } from '../uids.ts';
import { isLongVr } from '../part10/file-meta.ts';
import { DEFAULT_CHARACTER_SET, characterSetOf, decodeText } from './character-set.ts';
import type { CharacterSet } from './character-set.ts';
import { dcmjsData } from './dcmjs.ts';

export interface DecodeOptions {
  readonly transferSyntaxUid: string;
  /** Decoding ends before this element of the data set, as 0xGGGGEEEE. */
  readonly untilTag?: number | undefined;
  /** Whether a truncated element ends the data set without an error. */
  readonly mayBeCut?: boolean | undefined;
  /** Whether a broken element ends the data set, with the preceding elements, without an error. */
  readonly isLenient?: boolean | undefined;
}

const UNDEFINED_LENGTH = 0xffffffff;
const ITEM = 0xfffee000;
const ITEM_END = 0xfffee00d;
const SEQUENCE_END = 0xfffee0dd;
const SPECIFIC_CHARACTER_SET = 0x00080005;
/** Deeper nesting is rejected; real data sets stay below 10. */
const MAX_DEPTH = 64;

/** Texts in the Specific Character Set: PS3.5 section 6.1.2.3. */
const IN_CHARACTER_SET: ReadonlySet<string> = new Set('LO LT PN SH ST UC UT'.split(' '));
/** VRs with a single text, including backslashes. */
const ONE_TEXT: ReadonlySet<string> = new Set('LT ST UR UT'.split(' '));
const NUMBERS: Readonly<Record<string, readonly [bytes: number, read: (bytes: Buffer, isBig: boolean) => number]>> = {
  US: [2, (bytes, isBig) => (isBig ? bytes.readUInt16BE() : bytes.readUInt16LE())],
  SS: [2, (bytes, isBig) => (isBig ? bytes.readInt16BE() : bytes.readInt16LE())],
  UL: [4, (bytes, isBig) => (isBig ? bytes.readUInt32BE() : bytes.readUInt32LE())],
  SL: [4, (bytes, isBig) => (isBig ? bytes.readInt32BE() : bytes.readInt32LE())],
  FL: [4, (bytes, isBig) => (isBig ? bytes.readFloatBE() : bytes.readFloatLE())],
  FD: [8, (bytes, isBig) => (isBig ? bytes.readDoubleBE() : bytes.readDoubleLE())],
};
const BYTES: ReadonlySet<string> = new Set('OB OD OF OL OV OW SV UN UV'.split(' '));

interface Syntax {
  readonly isExplicit: boolean;
  readonly isBigEndian: boolean;
}
const IMPLICIT: Syntax = { isExplicit: false, isBigEndian: false };

interface Element {
  readonly tag: number;
  readonly vr: string;
  readonly length: number;
}

/** A data set that is held in memory, by keyword. @throws Error where its structure is broken */
export function decodeElements(bytes: Buffer, options: DecodeOptions): Record<string, unknown> {
  const { transferSyntaxUid } = options;
  const syntax: Syntax = {
    isExplicit: transferSyntaxUid !== TRANSFER_SYNTAX.implicitVrLittleEndian,
    isBigEndian: transferSyntaxUid === TRANSFER_SYNTAX.explicitVrBigEndian,
  };
  const values: Record<string, unknown> = {};
  try {
    new Decoder(bytes, options).dataSet(values, bytes.length, syntax, DEFAULT_CHARACTER_SET, 0);
  } catch (error) {
    if (options.isLenient !== true) throw error;
  }
  return values;
}

class Decoder {
  readonly #bytes: Buffer;
  readonly #options: DecodeOptions;
  #at = 0;

  constructor(bytes: Buffer, options: DecodeOptions) {
    this.#bytes = bytes;
    this.#options = options;
  }

  /** The elements up to a position, or to the delimiter of their item. */
  dataSet(
    values: Record<string, unknown>,
    end: number,
    syntax: Syntax,
    inherited: CharacterSet,
    depth: number,
  ): Record<string, unknown> {
    const { untilTag, mayBeCut } = this.#options;
    if (depth > MAX_DEPTH) throw new Error(`sequences are nested deeper than ${MAX_DEPTH}`);
    let set = inherited;
    while (this.#at < end) {
      if (mayBeCut === true && end - this.#at < 8) break;
      const element = this.#head(syntax, end);
      if (element.tag === ITEM_END) break;
      if (depth === 0 && untilTag !== undefined && element.tag >= untilTag) break;
      const isNested = element.vr === 'SQ' || element.length === UNDEFINED_LENGTH;
      if (!isNested && element.length > end - this.#at) {
        if (mayBeCut === true) break;
        throw new Error(`element ${hex(element.tag)} has ${element.length} bytes; only ${end - this.#at} are left`);
      }
      const keyword = entryOf(element.tag)?.name ?? hex(element.tag);
      if (isNested) {
        values[keyword] = this.#sequence(element, end, syntax, set, depth);
        continue;
      }
      const value = this.#bytes.subarray(this.#at, this.#at + element.length);
      this.#at += element.length;
      if (element.tag === SPECIFIC_CHARACTER_SET) set = characterSetOf(value.toString('latin1').split('\\'));
      values[keyword] = valueOf(element.vr, value, set, syntax.isBigEndian);
    }
    return values;
  }

  #sequence(
    { vr, length }: Element,
    end: number,
    syntax: Syntax,
    set: CharacterSet,
    depth: number,
  ): Record<string, unknown>[] {
    // Inside of a UN all is Implicit VR Little Endian (PS3.5 section 6.2.2).
    const inner = vr === 'UN' ? IMPLICIT : syntax;
    const sequenceEnd = length === UNDEFINED_LENGTH ? end : Math.min(end, this.#at + length);
    const items: Record<string, unknown>[] = [];
    while (this.#at < sequenceEnd) {
      const item = this.#head(inner, sequenceEnd);
      if (item.tag === SEQUENCE_END) break;
      if (item.tag !== ITEM) throw new Error(`${hex(item.tag)} instead of an item`);
      const itemEnd = item.length === UNDEFINED_LENGTH ? sequenceEnd : Math.min(sequenceEnd, this.#at + item.length);
      items.push(this.dataSet({}, itemEnd, inner, set, depth + 1));
    }
    return items;
  }

  /** PS3.5 sections 7.1.2, 7.1.3 and 7.5. */
  #head({ isExplicit, isBigEndian }: Syntax, end: number): Element {
    const head = this.#take(8, end);
    const u16 = (at: number): number => (isBigEndian ? head.readUInt16BE(at) : head.readUInt16LE(at));
    const u32 = (from: Buffer, at: number): number => (isBigEndian ? from.readUInt32BE(at) : from.readUInt32LE(at));
    const tag = u16(0) * 0x10000 + u16(2);
    if (tag >= 0xfffe0000 && tag <= 0xfffeffff) return { tag, vr: '', length: u32(head, 4) };
    const known = entryOf(tag)?.vr ?? 'UN';
    if (!isExplicit) return { tag, vr: plainVr(known), length: u32(head, 4) };
    const vr = head.toString('latin1', 4, 6);
    if (!/^[A-Z]{2}$/.test(vr)) throw new Error(`element ${hex(tag)} has no VR`);
    const length = isLongVr(vr) ? u32(this.#take(4, end), 0) : u16(6);
    // A peer that does not know a VR writes UN; values of known tags are decoded nevertheless.
    return { tag, vr: vr === 'UN' && length !== UNDEFINED_LENGTH && known !== 'SQ' ? plainVr(known) : vr, length };
  }

  #take(length: number, end: number): Buffer {
    if (end - this.#at < length) throw new Error('the data set ends inside the header of an element');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}

/** One value, or a list of several; an empty text if there is none. */
function valueOf(vr: string, bytes: Buffer, set: CharacterSet, isBigEndian: boolean): unknown {
  const number = NUMBERS[vr];
  if (number !== undefined) return oneOrMore(numbersOf(bytes, number, isBigEndian));
  if (vr === 'AT') return oneOrMore(tagsOf(bytes, isBigEndian));
  if (BYTES.has(vr)) return bytes;
  const text = IN_CHARACTER_SET.has(vr) ? decodeText(bytes, set, vr === 'PN') : bytes.toString('latin1');
  if (ONE_TEXT.has(vr)) return text.replace(/[\0 ]+$/, '');
  const texts = text.split('\\').map((one) => one.replace(/^ +|[\0 ]+$/g, ''));
  if (vr === 'PN') return text === '' ? '' : texts.map(nameOf);
  if (vr === 'IS' || vr === 'DS') return oneOrMore(texts.map(numberOr));
  return oneOrMore(texts);
}

function oneOrMore<T>(values: readonly T[]): T | readonly T[] | '' {
  return values.length === 1 ? (values[0] as T) : values.length === 0 ? '' : values;
}

function numberOr(text: string): number | string {
  const number = Number(text);
  return text === '' || Number.isNaN(number) ? text : number;
}

function nameOf(text: string): Record<string, string> {
  const [alphabetic = '', ideographic = '', phonetic = ''] = text.split('=').map((group) => group.trimEnd());
  return {
    Alphabetic: alphabetic,
    ...(ideographic !== '' && { Ideographic: ideographic }),
    ...(phonetic !== '' && { Phonetic: phonetic }),
  };
}

function numbersOf(bytes: Buffer, [size, read]: (typeof NUMBERS)[string] & {}, isBigEndian: boolean): number[] {
  const numbers: number[] = [];
  for (let at = 0; at + size <= bytes.length; at += size)
    numbers.push(read(bytes.subarray(at, at + size), isBigEndian));
  return numbers;
}

function tagsOf(bytes: Buffer, isBigEndian: boolean): string[] {
  const tags: string[] = [];
  for (let at = 0; at + 4 <= bytes.length; at += 4) {
    const [group, element] = isBigEndian
      ? [bytes.readUInt16BE(at), bytes.readUInt16BE(at + 2)]
      : [bytes.readUInt16LE(at), bytes.readUInt16LE(at + 2)];
    tags.push(hex(group * 0x10000 + element));
  }
  return tags;
}

function entryOf(tag: number): { readonly name: string; readonly vr: string } | undefined {
  const name = hex(tag);
  return dcmjsData().DicomMetaDictionary.dictionary[`(${name.slice(0, 4)},${name.slice(4)})`];
}

/** The dictionary leaves some VRs open: US or SS, OB or OW. */
function plainVr(vr: string): string {
  if (/^[A-Z]{2}$/.test(vr)) return vr;
  return vr === 'xs' || vr.startsWith('US') ? 'US' : 'UN';
}

function hex(tag: number): string {
  return tag.toString(16).toUpperCase().padStart(8, '0');
}
