import { createHash, hash, type Hash } from 'node:crypto';
import { DimseError, isDimseError } from '../errors/dimse-error.ts';
import { TRANSFER_SYNTAX } from '../uids.ts';
import type { ByteSource } from './byte-source.ts';
import { ByteStream, type ElementStream } from './byte-stream.ts';
import type { FileMeta } from './file-meta.ts';
import { inflated } from './inflated.ts';
import type { OpenPart10Options } from './open-part10.ts';
import { peekPart10 } from './peek-part10.ts';
import { openPart10 } from './open-part10.ts';
import {
  IMPLICIT,
  ITEM,
  ITEM_END,
  MAX_DEPTH,
  readHead,
  SEQUENCE_END,
  skipValue,
  UNDEFINED_LENGTH,
  type ElementHead,
  type ElementSyntax,
} from './read-elements.ts';
import { toImplicitVr } from './to-implicit-vr.ts';
import { ValueStream } from './value-stream.ts';

export interface DigestElementsOptions extends OpenPart10Options {
  /** VR of a tag (0xGGGGEEEE) by PS3.6; undefined for a private or unknown one. Padding of texts is not compared (PS3.5 section 6.2). */
  readonly vrOf: (tag: number) => string | undefined;
}

/** What a data set contains, without its values. */
export interface ElementDigests {
  readonly meta: FileMeta;
  /**
   * SHA-256 (base64) of each top-level element by its tag (0xGGGGEEEE). Two are equal when their values are, regardless of the
   * transfer syntax, the VRs, the way in which lengths of sequences and items are encoded, and the division of encapsulated pixel
   * data into fragments; the pixels of two compressed syntaxes are compared as they are encoded.
   */
  readonly elements: ReadonlyMap<number, string>;
  /** Why it could not be read to its end, with the tag of the last element that was begun; `elements` are the complete ones. */
  readonly broken: { readonly tag: number; readonly reason: string } | undefined;
}

const meaningless: ReadonlySet<number> = new Set([0x00080001, 0x7fe00001, 0x7fe00002, 0xfffcfffc]);

/** PS3.5 section 7.2: group lengths are retired; (FFFC,FFFC) is padding; (0008,0001) is a length. (7FE0,0001) and (7FE0,0002) are
 * positions and lengths of encapsulated frames (PS3.3 section C.7.6.3.1.8). */
function hasNoMeaning(tag: number): boolean {
  return tag % 0x10000 === 0 || meaningless.has(tag);
}

const maxElements = 20_000;
/** Values up to this length are read at once. */
const maxWholeBytes = 64 * 1024;
/** Group of pixel data, whose first bytes may look like an item. */
const pixelGroup = 0x7fe0;
const itemTag = Buffer.from([0xfe, 0xff, 0x00, 0xe0]);
/** VRs whose values are padded to an even length (PS3.5 section 6.2). */
const texts: ReadonlySet<string> = new Set('AE AS CS DA DS DT IS LO LT PN SH ST TM UC UI UR UT'.split(' '));

/**
 * Makes a digest of each element of an instance while reading it: memory does not grow with its size.
 *
 * @throws DimseError `source-not-dicom` when it is not a Part 10 file, `source-failed` when the source throws
 */
export async function digestElements(source: ByteSource, options: DigestElementsOptions): Promise<ElementDigests> {
  const peeked = await peekPart10(source, options);
  const syntax = peeked.meta.transferSyntaxUid;
  const isBigEndian = syntax === TRANSFER_SYNTAX.explicitVrBigEndian;
  const { head, rest } = await openPart10(isBigEndian ? toImplicitVr(peeked.source, options) : peeked.source, options);
  const isDeflated = syntax === TRANSFER_SYNTAX.deflatedExplicitVrLittleEndian;
  const stream = isDeflated ? inflated(head, rest) : new ByteStream(head, rest);
  const isExplicit = !isBigEndian && syntax !== TRANSFER_SYNTAX.implicitVrLittleEndian;
  const walk = new Walk(stream, options.vrOf);
  const elements = new Map<number, string>();
  let tag = 0;
  try {
    while (!(await stream.isAtEnd())) {
      const element = await readHead(stream, { isExplicit, isBigEndian: false });
      tag = element.tag;
      if (hasNoMeaning(tag)) {
        await skipValue(stream, element, { isExplicit, isBigEndian: false }, 0);
        continue;
      }
      elements.set(tag, (await walk.value(element, { isExplicit, isBigEndian: false }, 0)).toString('base64'));
      if (elements.size > maxElements) throw notDicom(`more than ${maxElements} elements`);
    }
    return { meta: peeked.meta, elements, broken: undefined };
  } catch (error) {
    if (!isDimseError(error, 'source-not-dicom')) throw error;
    return { meta: peeked.meta, elements, broken: { tag, reason: error.message } };
  } finally {
    await stream.close();
  }
}

class Walk {
  readonly #stream: ElementStream;
  readonly #vrOf: DigestElementsOptions['vrOf'];

  constructor(stream: ElementStream, vrOf: DigestElementsOptions['vrOf']) {
    this.#stream = stream;
    this.#vrOf = vrOf;
  }

  /** Digest of a value. A sequence without items has that of an empty value. */
  async value({ tag, vr, length }: ElementHead, syntax: ElementSyntax, depth: number): Promise<Buffer> {
    if (depth > MAX_DEPTH) throw notDicom(`sequences are nested deeper than ${MAX_DEPTH}`);
    if (length === UNDEFINED_LENGTH) {
      if (vr === 'OB' || vr === 'OW') return this.#fragments();
      // UN of undefined length is Implicit VR Little Endian inside (PS3.5 section 6.2.2).
      return this.#items(undefined, vr === 'UN' ? IMPLICIT : syntax, depth);
    }
    if (vr === 'SQ') return this.#items(this.#stream.position + length, syntax, depth);
    if (length < 8 || tag >>> 16 === pixelGroup) return this.#leaf(tag, length);
    // Implicit VR and UN do not show whether a value is a sequence: a sequence begins with an item. Other VRs are read likewise,
    // because the same value may be in Implicit VR elsewhere.
    const first = await this.#stream.take(4);
    return first.equals(itemTag)
      ? this.#itemsOrBytes(length, first, depth)
      : this.#leaf(tag, length - 4, Buffer.from(first));
  }

  /** Digest of items in Implicit VR Little Endian; that of the bytes if the value only begins like an item. */
  async #itemsOrBytes(length: number, first: Buffer, depth: number): Promise<Buffer> {
    const value = new ValueStream(this.#stream, length, first);
    try {
      const firstLength = (await value.take(4)).readUInt32LE(0);
      const end = value.position + value.left;
      const digest = await new Walk(value, this.#vrOf).#items(end, IMPLICIT, depth, firstLength);
      if (value.left > 0) throw notDicom('a sequence ends before its length');
      return digest;
    } catch (error) {
      if (!isDimseError(error, 'source-not-dicom')) throw error;
      return value.digest();
    }
  }

  async #items(end: number | undefined, syntax: ElementSyntax, depth: number, firstLength?: number): Promise<Buffer> {
    const sum = createHash('sha256').update('sequence');
    let count = 0;
    for (let length = firstLength; ; length = undefined) {
      if (length === undefined) {
        if (end !== undefined && this.#stream.position >= end) break;
        const item = await readHead(this.#stream, syntax);
        if (item.tag === SEQUENCE_END) break;
        if (item.tag !== ITEM) throw notDicom('something else where an item of a sequence should be');
        length = item.length;
      }
      sum.update(await this.#item(length, syntax, depth + 1));
      count += 1;
    }
    if (end !== undefined && this.#stream.position > end) throw notDicom('an item exceeds its sequence');
    return count === 0 ? emptyValue : sum.digest();
  }

  async #item(length: number, syntax: ElementSyntax, depth: number): Promise<Buffer> {
    const end = length === UNDEFINED_LENGTH ? undefined : this.#stream.position + length;
    const sum = createHash('sha256').update('item');
    for (;;) {
      if (end !== undefined && this.#stream.position >= end) break;
      const element = await readHead(this.#stream, syntax);
      if (element.tag === ITEM_END) break;
      if (hasNoMeaning(element.tag)) {
        await skipValue(this.#stream, element, syntax, depth);
        continue;
      }
      const tag = Buffer.alloc(4);
      tag.writeUInt32BE(element.tag);
      sum.update(tag).update(await this.value(element, syntax, depth));
    }
    if (end !== undefined && this.#stream.position > end) throw notDicom('an element exceeds its item');
    return sum.digest();
  }

  /** Encapsulated pixel data (PS3.5 section A.4): the bytes of all fragments, without the offset table in the first item. */
  async #fragments(): Promise<Buffer> {
    const sum = createHash('sha256').update('fragments');
    for (let isOffsetTable = true; ; isOffsetTable = false) {
      const item = await readHead(this.#stream, IMPLICIT);
      if (item.tag === SEQUENCE_END) return sum.digest();
      if (item.tag !== ITEM || item.length === UNDEFINED_LENGTH)
        throw notDicom('something else where a fragment should be');
      if (isOffsetTable) await this.#stream.skip(item.length);
      else await this.#add(sum, item.length);
    }
  }

  async #leaf(tag: number, length: number, before?: Buffer): Promise<Buffer> {
    if (length <= maxWholeBytes) {
      const rest = await this.#stream.take(length);
      const value = before === undefined ? rest : Buffer.concat([before, rest]);
      return digestOf(texts.has(this.#vrOf(tag) ?? '') ? withoutPadding(value) : value);
    }
    const sum = createHash('sha256');
    if (before !== undefined) sum.update(before);
    await this.#add(sum, length);
    return sum.digest();
  }

  async #add(sum: Hash, length: number): Promise<void> {
    for (let left = length; left > 0;) {
      const some = await this.#stream.takeSome(left);
      sum.update(some);
      left -= some.length;
    }
  }
}

function withoutPadding(value: Buffer): Buffer {
  let end = value.length;
  while (end > 0 && (value[end - 1] === 0x20 || value[end - 1] === 0)) end -= 1;
  return value.subarray(0, end);
}

function digestOf(value: Buffer): Buffer {
  return hash('sha256', value, 'buffer');
}

const emptyValue = digestOf(Buffer.alloc(0));

function notDicom(what: string): DimseError {
  return new DimseError('source-not-dicom', `not a DICOM file: ${what}`);
}
