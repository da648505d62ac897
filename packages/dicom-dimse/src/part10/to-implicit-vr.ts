import { DimseError } from '../errors/dimse-error.ts';
import { TRANSFER_SYNTAX } from '../uids.ts';
import type { ByteSource } from './byte-source.ts';
import { ByteStream } from './byte-stream.ts';
import { encodeFileMeta } from './encode-file-meta.ts';
import { isLongVr } from './file-meta.ts';
import { inflated } from './inflated.ts';
import { openPart10 } from './open-part10.ts';
import type { OpenPart10Options } from './open-part10.ts';

/** Transfer syntaxes that {@link toImplicitVr} reads: uncompressed, with a VR in each element. */
const READABLE: ReadonlySet<string> = new Set([
  TRANSFER_SYNTAX.explicitVrLittleEndian,
  TRANSFER_SYNTAX.deflatedExplicitVrLittleEndian,
  TRANSFER_SYNTAX.explicitVrBigEndian,
]);

/** Whether {@link toImplicitVr} can re-encode a data set in this transfer syntax. */
export function canBecomeImplicitVr(transferSyntaxUid: string): boolean {
  return READABLE.has(transferSyntaxUid);
}

const UNDEFINED_LENGTH = 0xffffffff;
const ITEM = 0xfffee000;
const ITEM_END = 0xfffee00d;
const SEQUENCE_END = 0xfffee0dd;
const PIXEL_DATA = 0x7fe00010;
/** Deeper nesting is rejected; real data sets stay below 10. */
const MAX_DEPTH = 64;
/** Small pieces are gathered up to this. */
const BLOCK_BYTES = 64 * 1024;
/** Longer values are passed on separately. */
const LARGE_VALUE_BYTES = 4 * 1024;

/** VRs whose length field has 16 bits: PS3.5 table 7.1-2. All others, including future ones, have 32. */
const SHORT_VRS: ReadonlySet<string> = new Set(
  'AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US'.split(' '),
);

/** Bytes per number, to convert Big Endian: PS3.5 section 7.3. */
const UNIT_BYTES: ReadonlyMap<string, number> = new Map([
  ...['AT', 'OW', 'SS', 'US'].map((vr) => [vr, 2] as const),
  ...['FL', 'OF', 'OL', 'SL', 'UL'].map((vr) => [vr, 4] as const),
  ...['FD', 'OD', 'OV', 'SV', 'UV'].map((vr) => [vr, 8] as const),
]);

/** Position of the reader: in a data set, in one of its sequences, or in an item of one. */
interface Frame {
  readonly kind: 'data-set' | 'sequence' | 'item';
  /** Position of its end; undefined if it ends with a delimiter, or with the source. */
  readonly end: number | undefined;
  /** PS3.5 section 6.2.2: the content of a UN of undefined length is Implicit VR Little Endian. */
  readonly isExplicit: boolean;
  readonly isBigEndian: boolean;
}

/**
 * Re-encodes an uncompressed instance in Implicit VR Little Endian (PS3.5 section A.1), the transfer syntax that every
 * receiver accepts (section 10.1), while streaming: pixels and all other values are unchanged. Sequences and items get
 * undefined lengths, since their lengths would change with their content; group lengths (gggg,0000) are omitted (section
 * 7.2).
 *
 * @returns a Part 10 file; `transferSyntaxUid` of its file meta information is Implicit VR Little Endian
 * @throws DimseError `source-not-dicom` from the iteration, and if the transfer syntax is not among those that
 * {@link canBecomeImplicitVr} accepts
 */
export async function* toImplicitVr(source: ByteSource, options: OpenPart10Options = {}): AsyncGenerator<Buffer> {
  const { meta, head, rest } = await openPart10(source, options);
  const syntax = meta.transferSyntaxUid;
  const isDeflated = syntax === TRANSFER_SYNTAX.deflatedExplicitVrLittleEndian;
  const stream = isDeflated ? inflated(head, rest) : new ByteStream(head, rest);
  try {
    if (!canBecomeImplicitVr(syntax)) throw notDicom(`transfer syntax ${syntax} cannot be re-encoded`);
    yield encodeFileMeta({
      sopClassUid: meta.sopClassUid,
      sopInstanceUid: meta.sopInstanceUid,
      transferSyntaxUid: TRANSFER_SYNTAX.implicitVrLittleEndian,
    });
    yield* reencode(stream, syntax === TRANSFER_SYNTAX.explicitVrBigEndian);
  } finally {
    await stream.close();
  }
}

async function* reencode(stream: ByteStream, isBigEndian: boolean): AsyncGenerator<Buffer> {
  const out = new Block();
  const stack: Frame[] = [{ kind: 'data-set', end: undefined, isExplicit: true, isBigEndian }];
  for (;;) {
    const frame = stack.at(-1) as Frame;
    if (frame.end !== undefined && stream.position >= frame.end) {
      if (stream.position > frame.end) throw notDicom('an element exceeds its sequence or item');
      out.header(frame.kind === 'sequence' ? SEQUENCE_END : ITEM_END, 0);
      stack.pop();
      continue;
    }
    if (stack.length === 1 && (await stream.isAtEnd())) break;
    const { tag, vr, length } = await readHead(stream, frame);
    if (out.isFull) yield out.take();
    if (frame.kind === 'sequence') {
      if (tag === SEQUENCE_END && frame.end === undefined) {
        out.header(SEQUENCE_END, 0);
        stack.pop();
      } else if (tag === ITEM) {
        out.header(ITEM, UNDEFINED_LENGTH);
        stack.push(inner(stack, 'item', endOf(stream, length), frame));
      } else {
        throw notDicom(`${hex(tag)} instead of an item`);
      }
      continue;
    }
    if (tag === ITEM_END && frame.kind === 'item' && frame.end === undefined) {
      out.header(ITEM_END, 0);
      stack.pop();
      continue;
    }
    if (tag >= 0xfffe0000 && tag <= 0xfffeffff) throw notDicom(`${hex(tag)} instead of an element`);
    if (length === UNDEFINED_LENGTH || vr === 'SQ') {
      if (tag === PIXEL_DATA) throw notDicom('encapsulated pixel data in an uncompressed transfer syntax');
      out.header(tag, UNDEFINED_LENGTH);
      const isImplicit = vr === 'UN' || !frame.isExplicit;
      stack.push(
        inner(stack, 'sequence', endOf(stream, length), isImplicit ? { isExplicit: false, isBigEndian: false } : frame),
      );
      continue;
    }
    if (tag % 0x10000 === 0) {
      await stream.skip(length);
      continue;
    }
    out.header(tag, length);
    const unit = frame.isBigEndian ? (UNIT_BYTES.get(vr ?? '') ?? 1) : 1;
    for (let left = length; left > 0;) {
      const piece = await takeUnits(stream, left, unit);
      left -= piece.length;
      if (piece.length < LARGE_VALUE_BYTES) {
        out.push(piece);
        if (out.isFull) yield out.take();
        continue;
      }
      if (!out.isEmpty) yield out.take();
      yield piece;
    }
  }
  if (!out.isEmpty) yield out.take();
}

function inner(
  stack: readonly Frame[],
  kind: Frame['kind'],
  end: number | undefined,
  { isExplicit, isBigEndian }: Pick<Frame, 'isExplicit' | 'isBigEndian'>,
): Frame {
  if (stack.length > 2 * MAX_DEPTH) throw notDicom(`sequences are nested deeper than ${MAX_DEPTH}`);
  return { kind, end, isExplicit, isBigEndian };
}

function endOf(stream: ByteStream, length: number): number | undefined {
  return length === UNDEFINED_LENGTH ? undefined : stream.position + length;
}

/** PS3.5 section 7.1.2 and 7.1.3; items and delimiters have no VR in any syntax (section 7.5). */
async function readHead(
  stream: ByteStream,
  { isExplicit, isBigEndian }: Frame,
): Promise<{ tag: number; vr: string | undefined; length: number }> {
  const first = await stream.take(8);
  const u16 = (at: number): number => (isBigEndian ? first.readUInt16BE(at) : first.readUInt16LE(at));
  const tag = u16(0) * 0x10000 + u16(2);
  if (!isExplicit || (tag >= 0xfffe0000 && tag <= 0xfffeffff)) {
    return { tag, vr: undefined, length: isBigEndian ? first.readUInt32BE(4) : first.readUInt32LE(4) };
  }
  const vr = first.toString('latin1', 4, 6);
  if (SHORT_VRS.has(vr)) return { tag, vr, length: u16(6) };
  if (!isLongVr(vr) && !/^[A-Z]{2}$/.test(vr)) throw notDicom(`element ${hex(tag)} has no VR`);
  const length = await stream.take(4);
  return { tag, vr, length: isBigEndian ? length.readUInt32BE(0) : length.readUInt32LE(0) };
}

/** A part of a value, in complete numbers, converted if they are Big Endian. */
async function takeUnits(stream: ByteStream, length: number, unit: number): Promise<Buffer> {
  const some = await stream.takeSome(length);
  if (unit === 1) return some;
  const missing = Math.min((unit - (some.length % unit)) % unit, length - some.length);
  const whole = Buffer.concat(missing > 0 ? [some, await stream.take(missing)] : [some]);
  const even = whole.subarray(0, whole.length - (whole.length % unit));
  if (unit === 2) even.swap16();
  else if (unit === 4) even.swap32();
  else even.swap64();
  return whole;
}

/** Gathers headers and small values. */
class Block {
  #bytes = Buffer.allocUnsafe(BLOCK_BYTES + LARGE_VALUE_BYTES + 16);
  #fill = 0;

  get isEmpty(): boolean {
    return this.#fill === 0;
  }

  get isFull(): boolean {
    return this.#fill >= BLOCK_BYTES;
  }

  header(tag: number, length: number): void {
    this.#bytes.writeUInt16LE(Math.floor(tag / 0x10000), this.#fill);
    this.#bytes.writeUInt16LE(tag % 0x10000, this.#fill + 2);
    this.#bytes.writeUInt32LE(length, this.#fill + 4);
    this.#fill += 8;
  }

  push(piece: Buffer): void {
    piece.copy(this.#bytes, this.#fill);
    this.#fill += piece.length;
  }

  /** The collected bytes; the next ones use another buffer, since a chunk must not change after it was yielded. */
  take(): Buffer {
    const taken = this.#bytes.subarray(0, this.#fill);
    this.#bytes = Buffer.allocUnsafe(BLOCK_BYTES + LARGE_VALUE_BYTES + 16);
    this.#fill = 0;
    return taken;
  }
}

function hex(tag: number): string {
  const text = tag.toString(16).toUpperCase().padStart(8, '0');
  return `(${text.slice(0, 4)},${text.slice(4)})`;
}

function notDicom(what: string): DimseError {
  return new DimseError('source-not-dicom', `not a DICOM file that can be re-encoded: ${what}`);
}
