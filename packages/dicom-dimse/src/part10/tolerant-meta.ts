import { TRANSFER_SYNTAX } from '../uids.ts';
import { MAX_FILE_META_BYTES, PREAMBLE_BYTES, isLongVr, notDicom, toMeta, wait } from './file-meta.ts';
import type { FileMetaStep, KnownFile } from './file-meta.ts';

const META_GROUP = 0x0002;
/** The group with SOP Class UID and SOP Instance UID: every composite instance begins with it. */
const FIRST_GROUP = 0x0008;
const EMPTY: ReadonlyMap<number, Buffer> = new Map();

/**
 * Like `parseFileMeta`, for files that an archive stores and forwards although PS3.10 does not allow them: without preamble,
 * with a wrong group length, with file meta information in Implicit VR, and without file meta information.
 *
 * @param isComplete whether nothing will follow `bytes`.
 * @throws DimseError `source-not-dicom` if the bytes are neither file meta information nor the beginning of a data set.
 */
export function parseTolerantly(bytes: Buffer, isComplete: boolean, known: KnownFile): FileMetaStep {
  if (bytes.length < PREAMBLE_BYTES + 8 && !isComplete) return wait(PREAMBLE_BYTES + 8, isComplete);
  for (const at of [PREAMBLE_BYTES, 4]) {
    if (bytes.toString('latin1', at - 4, at) === 'DICM' && isMetaAt(bytes, at))
      return walk(bytes, at, isComplete, known);
  }
  if (isMetaAt(bytes, 0)) return walk(bytes, 0, isComplete, known);
  if (isDataSet(bytes, known.transferSyntaxUid)) return { meta: metaOf(EMPTY, known), dataSetOffset: 0 };
  // A preamble that is not followed by file meta information.
  if (bytes.toString('latin1', 128, PREAMBLE_BYTES) === 'DICM') {
    if (isDataSet(bytes.subarray(PREAMBLE_BYTES), known.transferSyntaxUid)) {
      return { meta: metaOf(EMPTY, known), dataSetOffset: PREAMBLE_BYTES };
    }
  }
  throw notDicom(
    `it begins neither with file meta information nor with a data set in transfer syntax ${known.transferSyntaxUid}`,
  );
}

function metaOf(elements: ReadonlyMap<number, Buffer>, known: KnownFile) {
  const read = toMeta(elements);
  return {
    ...read,
    sopClassUid: read.sopClassUid || (known.sopClassUid ?? ''),
    sopInstanceUid: read.sopInstanceUid || (known.sopInstanceUid ?? ''),
    transferSyntaxUid: read.transferSyntaxUid || known.transferSyntaxUid,
  };
}

/**
 * Iterates over the elements of group 0002, regardless of their group length: a data set never begins with this group. Only
 * the group length distinguishes the first bytes of a deflated data set from one more element, so it is used if it is
 * correct.
 */
function walk(bytes: Buffer, start: number, isComplete: boolean, known: KnownFile): FileMetaStep {
  const elements = new Map<number, Buffer>();
  let at = start;
  let end = -1;
  for (;;) {
    if (bytes.length < at + 8) {
      if (!isComplete) return wait(at + 8, isComplete);
      if (bytes.length < at + 2 || bytes.readUInt16LE(at) !== META_GROUP) break;
      throw notDicom('the source ends inside its file meta information');
    }
    if (at === end && known.transferSyntaxUid === TRANSFER_SYNTAX.deflatedExplicitVrLittleEndian) break;
    if (bytes.readUInt16LE(at) !== META_GROUP) break;
    const isExplicit = hasVr(bytes, at);
    const isLong = isExplicit && isLongVr(bytes.toString('latin1', at + 4, at + 6));
    if (isLong && bytes.length < at + 12) return wait(at + 12, isComplete);
    const length = isLong
      ? bytes.readUInt32LE(at + 8)
      : isExplicit
        ? bytes.readUInt16LE(at + 6)
        : bytes.readUInt32LE(at + 4);
    const valueAt = at + (isLong ? 12 : 8);
    if (valueAt + length > PREAMBLE_BYTES + MAX_FILE_META_BYTES) {
      throw notDicom(`the file meta information exceeds ${MAX_FILE_META_BYTES} bytes`);
    }
    if (bytes.length < valueAt + length) return wait(valueAt + length, isComplete);
    const element = bytes.readUInt16LE(at + 2);
    const value = bytes.subarray(valueAt, valueAt + length);
    at = valueAt + length;
    if (element === 0x0000 && length === 4) end = at + value.readUInt32LE(0);
    else elements.set(element, value);
  }
  return { meta: metaOf(elements, known), dataSetOffset: at };
}

function isMetaAt(bytes: Buffer, at: number): boolean {
  if (bytes.length < at + 8 || bytes.readUInt16LE(at) !== META_GROUP) return false;
  // (0002,0000) to (0002,0102), with a VR, or in Implicit VR with a length that a file meta may have.
  return (
    bytes.readUInt16LE(at + 2) <= 0x0102 && (hasVr(bytes, at) || bytes.readUInt32LE(at + 4) <= MAX_FILE_META_BYTES)
  );
}

/** Whether a data set begins here: there is no other indication, so its first element must look like one. */
function isDataSet(bytes: Buffer, transferSyntaxUid: string): boolean {
  if (bytes.length < 8 || transferSyntaxUid === TRANSFER_SYNTAX.deflatedExplicitVrLittleEndian) return false;
  const isBigEndian = transferSyntaxUid === TRANSFER_SYNTAX.explicitVrBigEndian;
  const group = isBigEndian ? bytes.readUInt16BE(0) : bytes.readUInt16LE(0);
  if (group !== FIRST_GROUP) return false;
  if (transferSyntaxUid !== TRANSFER_SYNTAX.implicitVrLittleEndian) return hasVr(bytes, 0);
  return bytes.readUInt32LE(4) <= MAX_FILE_META_BYTES;
}

function hasVr(bytes: Buffer, at: number): boolean {
  return /^[A-Z]{2}$/.test(bytes.toString('latin1', at + 4, at + 6));
}
