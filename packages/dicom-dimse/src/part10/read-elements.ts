import { DimseError } from '../errors/dimse-error.ts';
import type { ByteStream, ElementStream } from './byte-stream.ts';
import { isLongVr } from './file-meta.ts';

export interface Part10Element {
  /** 0xGGGGEEEE. */
  readonly tag: number;
  /** Undefined in Implicit VR. */
  readonly vr: string | undefined;
  /** As received, including padding and byte order. */
  readonly value: Buffer;
}

export interface ElementSyntax {
  readonly isExplicit: boolean;
  readonly isBigEndian: boolean;
}

export interface ReadElementsOptions extends ElementSyntax {
  readonly tags: ReadonlySet<number>;
  readonly maxValueBytes: number;
  readonly signal?: AbortSignal | undefined;
}

export interface ElementHead {
  readonly tag: number;
  readonly vr: string | undefined;
  readonly length: number;
}

export const UNDEFINED_LENGTH = 0xffffffff;
export const ITEM = 0xfffee000;
export const ITEM_END = 0xfffee00d;
export const SEQUENCE_END = 0xfffee0dd;
export const IMPLICIT: ElementSyntax = { isExplicit: false, isBigEndian: false };
/** Deeper nesting is rejected; real data sets stay below 10. */
export const MAX_DEPTH = 64;

/**
 * Reads the wanted top-level elements of a data set and stops after the highest: elements are in ascending order
 * (PS3.5 section 7.1).
 */
export async function readElements(
  stream: ByteStream,
  options: ReadElementsOptions,
): Promise<Map<number, Part10Element>> {
  const found = new Map<number, Part10Element>();
  const last = Math.max(...options.tags);
  while (found.size < options.tags.size && !(await stream.isAtEnd())) {
    if (options.signal?.aborted === true) break;
    const head = await readHead(stream, options);
    if (head.tag > last) break;
    if (!options.tags.has(head.tag) || head.length === UNDEFINED_LENGTH || head.vr === 'SQ') {
      await skipValue(stream, head, options, 0);
      continue;
    }
    if (head.length > options.maxValueBytes) {
      throw new DimseError(
        'limit-exceeded',
        `element ${hex(head.tag)} has ${head.length} bytes; at most ${options.maxValueBytes} are read (maxValueBytes)`,
      );
    }
    // A copy, so that a small value does not keep a large chunk alive.
    found.set(head.tag, { tag: head.tag, vr: head.vr, value: Buffer.from(await stream.take(head.length)) });
  }
  return found;
}

/** PS3.5 section 7.1.2 and 7.1.3; items and delimiters have no VR in any syntax (section 7.5). */
export async function readHead(
  stream: ElementStream,
  { isExplicit, isBigEndian }: ElementSyntax,
): Promise<ElementHead> {
  const first = await stream.take(8);
  const u16 = (at: number): number => (isBigEndian ? first.readUInt16BE(at) : first.readUInt16LE(at));
  const tag = u16(0) * 0x10000 + u16(2);
  if (!isExplicit || tag >= 0xfffe0000) {
    return { tag, vr: undefined, length: isBigEndian ? first.readUInt32BE(4) : first.readUInt32LE(4) };
  }
  const vr = first.toString('latin1', 4, 6);
  if (!/^[A-Z]{2}$/.test(vr)) throw notDicom(`element ${hex(tag)} has no VR: check the transfer syntax`);
  if (!isLongVr(vr)) return { tag, vr, length: u16(6) };
  const length = await stream.take(4);
  return { tag, vr, length: isBigEndian ? length.readUInt32BE(0) : length.readUInt32LE(0) };
}

export async function skipValue(
  stream: ElementStream,
  head: ElementHead,
  syntax: ElementSyntax,
  depth: number,
): Promise<void> {
  if (head.length !== UNDEFINED_LENGTH) return stream.skip(head.length);
  if (depth > MAX_DEPTH) throw notDicom(`sequences are nested deeper than ${MAX_DEPTH}`);
  // UN of undefined length is Implicit VR Little Endian inside (PS3.5 section 6.2.2).
  const inner = head.vr === 'UN' ? IMPLICIT : syntax;
  for (;;) {
    const item = await readHead(stream, inner);
    if (item.tag === SEQUENCE_END) return;
    if (item.tag !== ITEM) throw notDicom(`${hex(item.tag)} instead of an item of ${hex(head.tag)}`);
    if (item.length !== UNDEFINED_LENGTH) await stream.skip(item.length);
    else await skipItem(stream, inner, depth + 1);
  }
}

async function skipItem(stream: ElementStream, syntax: ElementSyntax, depth: number): Promise<void> {
  for (;;) {
    const head = await readHead(stream, syntax);
    if (head.tag === ITEM_END) return;
    await skipValue(stream, head, syntax, depth);
  }
}

function hex(tag: number): string {
  const text = tag.toString(16).toUpperCase().padStart(8, '0');
  return `(${text.slice(0, 4)},${text.slice(4)})`;
}

function notDicom(what: string): DimseError {
  return new DimseError('source-not-dicom', `not a DICOM file: ${what}`);
}
