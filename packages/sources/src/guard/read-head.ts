import { constants, inflateRawSync } from 'node:zlib';

/** The header of a DICOM file: Part 10 (PS3.10 section 7.1), or the non-conforming forms that Orthanc stores. */
export interface FileHead {
  /** `part10`: preamble and file meta; `no-preamble`: file meta alone; `no-meta`: the data set alone. */
  readonly form: 'part10' | 'no-preamble' | 'no-meta';
  /** Whether (0002,0000) counts the bytes of the file meta rightly. */
  readonly hasRightLength: boolean;
  /** Start of the data set. */
  readonly dataSetAt: number;
  readonly meta: HeadMeta;
  readonly dataSet: HeadDataSet;
}

/** File meta information, PS3.10 table 7.1-1. */
export interface HeadMeta {
  sopClassUid?: string;
  sopInstanceUid?: string;
  transferSyntaxUid?: string;
}

/** Identifying values of an instance; absent if they are not in the data set, or not in the available bytes. */
export interface HeadDataSet {
  sopClassUid?: string;
  sopInstanceUid?: string;
  studyInstanceUid?: string;
  seriesInstanceUid?: string;
  /** Patient ID as it is stored. Patient data: never in a log or an error. */
  patientId?: Buffer;
  /** Whether everything up to (0020,000E) was seen. */
  isWhole: boolean;
}

export type ReadHead =
  | { readonly kind: 'read'; readonly head: FileHead }
  /** The bytes end before the SOP Instance UID. */
  | { readonly kind: 'more' }
  /** Not DICOM, or not readable here. */
  | { readonly kind: 'unreadable' };

const more: ReadHead = { kind: 'more' };
const unreadable: ReadHead = { kind: 'unreadable' };

const prefix = 0x4d434944;
const deflated = '1.2.840.10008.1.2.1.99';
const undefinedLength = 0xffffffff;
/** Inflated bytes of a deflated data set; its beginning compresses a thousandfold at most. */
const inflatedBytes = 8 * 1024;
const maxValueBytes = 1024;
const maxDepth = 32;

/**
 * Reads the header of a file without a promise or a copy: this is done for every sent instance.
 *
 * @param isComplete - whether nothing will follow `bytes`
 * @param storedSyntax - the transfer syntax according to the source, for a file without this information
 */
export function readHead(bytes: Buffer, isComplete: boolean, storedSyntax: string | undefined): ReadHead {
  if (bytes.length < 132 && !isComplete) return more;
  const metaAt = findMeta(bytes);
  const meta: HeadMeta = {};
  let at = metaAt;
  let announcedEnd: number | undefined;
  // Bytes of group 0002, regardless of its length: the group ends where the next begins.
  while (at + 8 <= bytes.length && bytes[at] === 2 && bytes[at + 1] === 0) {
    const element = bytes[at + 2]! | (bytes[at + 3]! << 8);
    const isExplicit = isVr(bytes, at + 4);
    const isLong = isExplicit && isLongVr(bytes, at + 4);
    const valueAt = at + (isLong ? 12 : 8);
    if (valueAt > bytes.length) return isComplete ? unreadable : more;
    const length = isExplicit && !isLong ? bytes.readUInt16LE(at + 6) : bytes.readUInt32LE(valueAt - 4);
    if (valueAt + length > bytes.length) return isComplete || length > 1_000_000 ? unreadable : more;
    if (element === 0x0000 && length === 4) announcedEnd = valueAt + 4 + bytes.readUInt32LE(valueAt);
    else if (element === 0x0002) meta.sopClassUid = uidAt(bytes, valueAt, length);
    else if (element === 0x0003) meta.sopInstanceUid = uidAt(bytes, valueAt, length);
    else if (element === 0x0010) meta.transferSyntaxUid = uidAt(bytes, valueAt, length);
    at = valueAt + length;
  }
  if (at + 8 > bytes.length) return isComplete ? unreadable : more;
  const form = metaAt === 132 ? 'part10' : at > metaAt ? 'no-preamble' : 'no-meta';
  const dataSet: HeadDataSet = { isWhole: false };
  const walked =
    (meta.transferSyntaxUid ?? storedSyntax) === deflated
      ? walkDeflated(bytes.subarray(at), dataSet)
      : walk(bytes, at, dataSet);
  if (dataSet.sopInstanceUid === undefined) {
    return walked === 'more' && !isComplete ? more : unreadable;
  }
  return { kind: 'read', head: { form, hasRightLength: announcedEnd === at, dataSetAt: at, meta, dataSet } };
}

/** Where group 0002 would begin. */
function findMeta(bytes: Buffer): number {
  if (bytes.length >= 132 && bytes.readUInt32LE(128) === prefix) return 132;
  return bytes.length >= 4 && bytes.readUInt32LE(0) === prefix ? 4 : 0;
}

function walkDeflated(bytes: Buffer, found: HeadDataSet): 'end' | 'more' | 'odd' {
  try {
    const options = { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: 1032 * inflatedBytes };
    return walk(inflateRawSync(bytes.subarray(0, inflatedBytes), options), 0, found);
  } catch {
    return 'odd';
  }
}

/**
 * Iterates over the top level of a data set up to (0020,000E). Byte order and VR are detected from the first element: the
 * declared ones may be wrong, and DCMTK does the same.
 *
 * @returns `more` if the bytes ended first, `odd` if this is not a data set
 */
function walk(bytes: Buffer, start: number, found: HeadDataSet): 'end' | 'more' | 'odd' {
  let at = start;
  if (at + 8 > bytes.length) return 'more';
  const isBig = bytes[at] === 0 && bytes[at + 1] !== 0;
  const isExplicit = isVr(bytes, at + 4);
  // Inside of sequences of undefined length: whether each level is in Explicit VR.
  const open: boolean[] = [];
  while (at + 8 <= bytes.length) {
    const group = isBig ? bytes.readUInt16BE(at) : bytes.readUInt16LE(at);
    const element = isBig ? bytes.readUInt16BE(at + 2) : bytes.readUInt16LE(at + 2);
    const isItem = group === 0xfffe;
    const hasVr = !isItem && (open.length === 0 ? isExplicit : open[open.length - 1]!);
    if (hasVr && !isVr(bytes, at + 4)) return 'odd';
    const isLong = hasVr && isLongVr(bytes, at + 4);
    const valueAt = at + (isLong ? 12 : 8);
    if (valueAt > bytes.length) return 'more';
    const length = lengthAt(bytes, valueAt, hasVr && !isLong, isBig);
    if (open.length > 0) {
      if (isItem && (element === 0xe00d || element === 0xe0dd)) {
        open.pop();
        at = valueAt;
        continue;
      }
    } else {
      if (isItem) return 'odd';
      if (group > 0x0020 || (group === 0x0020 && element > 0x000e)) {
        found.isWhole = true;
        return 'end';
      }
      if (length <= maxValueBytes && isWanted(group, element)) {
        if (valueAt + length > bytes.length) return 'more';
        take(bytes.subarray(valueAt, valueAt + length), group, element, found);
      }
    }
    if (length === undefinedLength) {
      if (open.length > maxDepth) return 'odd';
      // UN of undefined length is Implicit VR inside (PS3.5 section 6.2.2).
      const isUn = hasVr && bytes[at + 4] === 0x55 && bytes[at + 5] === 0x4e;
      open.push(isItem ? open[open.length - 1]! : (open[open.length - 1] ?? isExplicit) && !isUn);
      at = valueAt;
    } else at = valueAt + length;
  }
  return 'more';
}

function isWanted(group: number, element: number): boolean {
  if (group === 0x0008) return element === 0x0016 || element === 0x0018;
  if (group === 0x0010) return element === 0x0020;
  return group === 0x0020 && (element === 0x000d || element === 0x000e);
}

/** Of duplicate elements the first one counts, as with DCMTK. */
function take(value: Buffer, group: number, element: number, found: HeadDataSet): void {
  if (group === 0x0010) found.patientId ??= value;
  else if (element === 0x0016) found.sopClassUid ??= uidAt(value, 0, value.length);
  else if (element === 0x0018) found.sopInstanceUid ??= uidAt(value, 0, value.length);
  else if (element === 0x000d) found.studyInstanceUid ??= uidAt(value, 0, value.length);
  else found.seriesInstanceUid ??= uidAt(value, 0, value.length);
}

function lengthAt(bytes: Buffer, valueAt: number, isShort: boolean, isBig: boolean): number {
  if (isShort) return isBig ? bytes.readUInt16BE(valueAt - 2) : bytes.readUInt16LE(valueAt - 2);
  return isBig ? bytes.readUInt32BE(valueAt - 4) : bytes.readUInt32LE(valueAt - 4);
}

/** Without trailing padding (PS3.5 section 9.1), NUL or space. */
function uidAt(bytes: Buffer, at: number, length: number): string {
  let end = at + length;
  while (end > at && (bytes[end - 1] === 0 || bytes[end - 1] === 0x20)) end -= 1;
  let start = at;
  while (start < end && bytes[start] === 0x20) start += 1;
  return bytes.toString('latin1', start, end);
}

function isVr(bytes: Buffer, at: number): boolean {
  const first = bytes[at]!;
  const second = bytes[at + 1]!;
  return first >= 0x41 && first <= 0x5a && second >= 0x41 && second <= 0x5a;
}

/** VRs with two reserved bytes and a length of 32 bits (PS3.5 table 7.1-1): OB OD OF OL OV OW SQ SV UC UN UR UT UV. */
function isLongVr(bytes: Buffer, at: number): boolean {
  const second = bytes[at + 1]!;
  switch (bytes[at]) {
    case 0x4f: // O?
      return second !== 0x41 && second !== 0x53;
    case 0x53: // SQ, SV
      return second === 0x51 || second === 0x56;
    case 0x55: // UC, UN, UR, UT, UV
      return second === 0x43 || second === 0x4e || second === 0x52 || second === 0x54 || second === 0x56;
    default:
      return false;
  }
}
