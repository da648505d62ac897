import { describeTag } from 'dicom-dimse/dataset';

/** An element of the stream. */
export interface WalkedElement {
  /** As Orthanc writes it: `0040,a370[0].0010,0020`. */
  readonly path: string;
  /** `ggggeeee`. */
  readonly tag: string;
  /** Undefined in Implicit VR. */
  readonly vr: string | undefined;
  /** Whether it has items or fragments; then `value` is undefined. */
  readonly isSequence: boolean;
  /** Undefined for values above the size limit. */
  readonly value: Buffer | undefined;
  /** Number of bytes of the value or the sequence; FFFFFFFFH for a sequence of undefined length. */
  readonly length: number;
  /** Set for a value that begins like a sequence, but cannot be parsed as one: its content is unknown. */
  readonly isOpaque?: true;
}

/** Not a data set: it is truncated, or an element is invalid. */
export class NoDataSet extends Error {
  override readonly name = 'NoDataSet';
  /** Whether it ends within an element or a sequence. False for bytes behind the last element that cannot be an element. */
  readonly isCut: boolean;

  constructor(message: string, isCut = false) {
    super(message);
    this.isCut = isCut;
  }
}

interface Level {
  readonly kind: 'sequence' | 'item' | 'fragments';
  /** Position of its end; infinite if it ends with a delimiter. */
  readonly end: number;
  /** Latest position of its end, according to its parents. */
  readonly bound: number;
  readonly isExplicit: boolean;
  /** The element that was treated as a sequence because of its first bytes. */
  readonly guess: WalkedElement | undefined;
  readonly prefix: string;
  items: number;
}

interface Opened {
  readonly path: string;
  readonly tag: string;
  readonly vr: string | undefined;
}

const undefinedLength = 0xffffffff;
const itemTag = 0xfffee000;
const itemEnd = 0xfffee00d;
const sequenceEnd = 0xfffee0dd;
const pixelTag = 0x7fe00010;
const maxDepth = 64;
const shortVrs = 'AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US';
const longVrs = new Set(['OB', 'OD', 'OF', 'OL', 'OV', 'OW', 'SQ', 'SV', 'UC', 'UN', 'UR', 'UT', 'UV']);
const vrs = new Set([...shortVrs.split(' '), ...longVrs]);
/** Groups that no element has (PS3.5 section 7.1). */
const impossibleGroups = new Set([0x0001, 0x0003, 0x0005, 0x0007, 0xffff]);

/**
 * Parses a data set while its bytes pass, at every level (PS3.5 section 7), and reports each element. It holds one value of
 * at most `maxValueBytes`; longer ones are skipped. Sequences are also detected in Implicit VR and in UN, by their first
 * item. Those that cannot be parsed as a sequence of either VR are skipped and reported as opaque: private values may begin
 * with any bytes.
 */
export class DataSetWalker {
  readonly #onElement: (element: WalkedElement) => void;
  readonly #maxValueBytes: number;
  #isBig = false;
  #isExplicit = true;
  #hasBegun = false;
  readonly #levels: Level[] = [];
  #held: Buffer = Buffer.alloc(0);
  /** Position in the data set of the first byte of `#held`. */
  #position = 0;
  #skip = 0;
  /** Whether the top level has Pixel Data. */
  #hasPixels = false;
  /** Whether the last element of the top level cannot be one: other bytes follow the data set. */
  #isBehind = false;
  /** Of the top level. */
  #lastTag = 0;

  constructor(onElement: (element: WalkedElement) => void, maxValueBytes = 16 * 1024) {
    this.#onElement = onElement;
    this.#maxValueBytes = maxValueBytes;
  }

  /** @throws NoDataSet */
  add(chunk: Buffer): void {
    let rest = chunk;
    if (this.#skip > 0) {
      const skipped = Math.min(this.#skip, rest.length);
      this.#skip -= skipped;
      this.#position += skipped;
      rest = rest.subarray(skipped);
      if (rest.length === 0) return;
    }
    this.#held = this.#held.length === 0 ? rest : Buffer.concat([this.#held, rest]);
    while (this.#tryStep());
    // Stored data must not keep a large chunk alive.
    if (this.#held.length > 0) this.#held = Buffer.from(this.#held);
  }

  /** @throws NoDataSet when it breaks off */
  end(): void {
    while (this.#tryStep());
    if (this.#skip > 0 || this.#held.length > 0 || this.#levels.length > 0 || !this.#hasBegun) {
      const isBehind = this.#isBehind || (!this.#isExplicit && isUnknown(this.#lastTag));
      const isCut = !isBehind && (this.#skip > 0 || this.#levels.length > 0 || this.#held.length >= 8);
      throw new NoDataSet('the data set ends early', isCut);
    }
  }

  #tryStep(): boolean {
    try {
      return this.#step();
    } catch (error) {
      if (error instanceof NoDataSet && this.#passGuess()) return true;
      throw error;
    }
  }

  /** Skips the outermost element that was wrongly treated as a sequence. @returns whether there was one */
  #passGuess(): boolean {
    const at = this.#levels.findIndex(({ guess }) => guess !== undefined);
    const level = this.#levels[at];
    if (level?.guess === undefined) return false;
    this.#levels.length = at;
    this.#pass(level.end - this.#position);
    this.#onElement({ ...level.guess, isSequence: false, isOpaque: true });
    return true;
  }

  /** Reads the header of one element, and its value if required. @returns false if more bytes are needed */
  #step(): boolean {
    this.#closeLevels();
    const bytes = this.#held;
    if (bytes.length < 8) return false;
    if (!this.#hasBegun) this.#begin(bytes);
    const tag = this.#u16(0) * 0x10000 + this.#u16(2);
    const level = this.#levels.at(-1);
    if (tag >= 0xfffe0000 && tag <= 0xfffeffff) return this.#delimiter(tag, level);
    if (level !== undefined && level.kind !== 'item') throw new NoDataSet('an element is in the place of an item');
    const isExplicit = level?.isExplicit ?? this.#isExplicit;
    const vr = isExplicit ? bytes.toString('latin1', 4, 6) : undefined;
    if (level === undefined) {
      const isImpossible = impossibleGroups.has(tag >>> 16) || (vr !== undefined && !vrs.has(vr));
      // Tags ascend (PS3.5 section 7.1), but some writers do not sort them. Only Pixel Data is always near the end.
      this.#isBehind = isImpossible || (this.#hasPixels && tag < pixelTag);
      this.#hasPixels ||= tag === pixelTag;
      this.#lastTag = tag;
    }
    if (vr !== undefined && !/^[A-Z]{2}$/.test(vr)) throw new NoDataSet('an element has no VR');
    const isLong = vr !== undefined && longVrs.has(vr);
    const headBytes = isLong ? 12 : 8;
    if (bytes.length < headBytes) return false;
    const length = vr === undefined || isLong ? this.#u32(headBytes - 4) : this.#u16(6);
    const name = tag.toString(16).padStart(8, '0');
    const opened = { path: `${level?.prefix ?? ''}${name.slice(0, 4)},${name.slice(4)}`, tag: name, vr };
    const end = this.#position + headBytes + (length === undefinedLength ? 0 : length);
    if (level && end > level.bound) {
      throw new NoDataSet('an element is longer than its item');
    }
    return this.#value(opened, headBytes, length, isExplicit);
  }

  #value(opened: Opened, headBytes: number, length: number, isExplicit: boolean): boolean {
    const { vr } = opened;
    if (length === undefinedLength) {
      const isPixels = opened.tag === '7fe00010' && vr !== 'SQ';
      if (!isPixels && vr !== undefined && vr !== 'SQ' && vr !== 'UN') throw new NoDataSet('a value has no length');
      this.#open(isPixels ? 'fragments' : 'sequence', opened, headBytes, Infinity, isExplicit && vr !== 'UN');
      return true;
    }
    if (vr === 'SQ') {
      this.#open('sequence', opened, headBytes, this.#position + headBytes + length, isExplicit);
      return true;
    }
    // Pixels may begin with anything.
    if ((vr === undefined || vr === 'UN') && length >= 8 && !opened.tag.startsWith('7fe0')) {
      if (this.#held.length < headBytes + Math.min(length, 16)) return false;
      if (this.#beginsWithItem(headBytes, length)) {
        const guess = { ...opened, isSequence: true, value: undefined, length };
        const end = this.#position + headBytes + length;
        this.#open('sequence', opened, headBytes, end, this.#isExplicitInside(headBytes, length), guess);
        return true;
      }
    }
    if (length > this.#maxValueBytes) {
      this.#onElement({ ...opened, isSequence: false, value: undefined, length });
      this.#pass(headBytes + length);
      return true;
    }
    if (this.#held.length < headBytes + length) return false;
    const value = this.#held.subarray(headBytes, headBytes + length);
    this.#onElement({ ...opened, isSequence: false, value, length });
    this.#pass(headBytes + length);
    return true;
  }

  /** An item, or the end of one or of a sequence; they have no VR in any transfer syntax. */
  #delimiter(tag: number, level: Level | undefined): boolean {
    const length = this.#u32(4);
    if (level === undefined) throw new NoDataSet('an item is outside of a sequence');
    if (tag === itemTag && level.kind === 'sequence') {
      const end = length === undefinedLength ? Infinity : this.#position + 8 + length;
      if (end !== Infinity && end > level.bound) throw new NoDataSet('an item is longer than its sequence');
      const prefix = `${level.prefix}[${level.items}].`;
      level.items += 1;
      const { isExplicit } = level;
      const bound = Math.min(end, level.bound);
      this.#levels.push({ kind: 'item', end, bound, isExplicit, guess: undefined, prefix, items: 0 });
      this.#pass(8);
      return true;
    }
    if (tag === itemTag && level.kind === 'fragments') {
      if (length === undefinedLength) throw new NoDataSet('a fragment has no length');
      if (this.#position + 8 + length > level.bound) throw new NoDataSet('a fragment is longer than what it is in');
      this.#pass(8 + length);
      return true;
    }
    const isEnd = level.kind === 'item' ? tag === itemEnd : tag === sequenceEnd;
    const bytes = 8 + (length === undefinedLength ? 0 : length);
    if (!isEnd || level.end !== Infinity || this.#position + bytes > level.bound) {
      throw new NoDataSet('an unexpected delimiter');
    }
    this.#levels.pop();
    this.#pass(bytes);
    return true;
  }

  #open(
    kind: 'sequence' | 'fragments',
    opened: Opened,
    headBytes: number,
    end: number,
    isExplicit: boolean,
    guess?: WalkedElement,
  ): void {
    if (this.#levels.length >= 2 * maxDepth) throw new NoDataSet(`sequences are nested deeper than ${maxDepth}`);
    const length = end === Infinity ? undefinedLength : end - this.#position - headBytes;
    this.#onElement({ ...opened, isSequence: true, value: undefined, length });
    const bound = Math.min(end, this.#levels.at(-1)?.bound ?? Infinity);
    this.#levels.push({ kind, end, bound, isExplicit, guess, prefix: opened.path, items: 0 });
    this.#pass(headBytes);
  }

  #closeLevels(): void {
    for (let level = this.#levels.at(-1); level && this.#position >= level.end; level = this.#levels.at(-1)) {
      this.#levels.pop();
    }
    const level = this.#levels.at(-1);
    // Not even a delimiter fits.
    if (level && this.#position + 8 > level.bound) throw new NoDataSet('a sequence has no end');
  }

  #pass(count: number): void {
    if (count < 0) throw new NoDataSet('an element is longer than what it is in');
    const here = Math.min(count, this.#held.length);
    this.#held = this.#held.subarray(here);
    this.#position += here;
    this.#skip = count - here;
  }

  /** Byte order and VR as the first element shows them. */
  #begin(bytes: Buffer): void {
    this.#isBig = bytes[0] === 0 && bytes[1] !== 0;
    this.#isExplicit = /^[A-Z]{2}$/.test(bytes.toString('latin1', 4, 6));
    this.#hasBegun = true;
  }

  #beginsWithItem(at: number, length: number): boolean {
    if (this.#u16(at) !== 0xfffe || this.#u16(at + 2) !== 0xe000) return false;
    const itemLength = this.#u32(at + 4);
    return itemLength === undefinedLength || itemLength + 8 <= length;
  }

  /** Whether the first element of the first item has a VR, against PS3.5 section 6.2.2: read without, it would not fit. */
  #isExplicitInside(headBytes: number, length: number): boolean {
    if (length < 16) return false;
    const vr = this.#held.toString('latin1', headBytes + 12, headBytes + 14);
    return vrs.has(vr) && this.#u32(headBytes + 12) > length - 16;
  }

  #u16(at: number): number {
    return this.#isBig ? this.#held.readUInt16BE(at) : this.#held.readUInt16LE(at);
  }

  #u32(at: number): number {
    return this.#isBig ? this.#held.readUInt32BE(at) : this.#held.readUInt32LE(at);
  }
}

/** A tag with an even group that PS3.6 does not have: without a VR, other bytes are most likely read as one. */
function isUnknown(tag: number): boolean {
  return (tag >>> 16) % 2 === 0 && describeTag(tag) === undefined;
}
