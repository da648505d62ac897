import { DimseError } from '../errors/dimse-error.ts';

/** File Meta Information, PS3.10 table 7.1-1: the values needed for sending, and all elements as received. */
export interface FileMeta {
  readonly sopClassUid: string;
  readonly sopInstanceUid: string;
  readonly transferSyntaxUid: string;
  /** Values by element number of group 0002, with padding; without the group length. */
  readonly elements: ReadonlyMap<number, Buffer>;
}

/**
 * Values of a file that are known from elsewhere, such as a manifest. With them, files are read that PS3.10 does not allow
 * but that archives store and forward: without preamble, with a wrong group length (0002,0000), without any file meta
 * information. The values of the file itself take precedence.
 */
export interface KnownFile {
  readonly sopClassUid?: string | undefined;
  readonly sopInstanceUid?: string | undefined;
  /** The transfer syntax of the data set of a file without meta. */
  readonly transferSyntaxUid: string;
}

/** Longer file meta information is rejected. Real ones have about 200 bytes, plus private information. */
export const MAX_FILE_META_BYTES = 1024 * 1024;

/** 128 bytes of preamble and the prefix DICM. */
export const PREAMBLE_BYTES = 132;

/** VRs whose length field has 32 bits after two reserved bytes: PS3.5 table 7.1-1. */
const LONG_VRS: ReadonlySet<string> = new Set([
  'OB',
  'OD',
  'OF',
  'OL',
  'OV',
  'OW',
  'SQ',
  'SV',
  'UC',
  'UN',
  'UR',
  'UT',
  'UV',
]);

export function isLongVr(vr: string): boolean {
  return LONG_VRS.has(vr);
}

/**
 * Either the file meta information and the start of the data set, or how many bytes from the start are needed to continue.
 */
export type FileMetaStep =
  | { readonly meta: FileMeta; readonly dataSetOffset: number }
  | { readonly meta: undefined; readonly neededBytes: number };

/**
 * Parses the beginning of a Part 10 file: preamble, prefix, file meta in Explicit VR Little Endian (PS3.10 section 7.1).
 *
 * @param isComplete whether nothing will follow `bytes`.
 * @throws DimseError `source-not-dicom`.
 */
export function parseFileMeta(bytes: Buffer, isComplete: boolean): FileMetaStep {
  if (bytes.length < PREAMBLE_BYTES + 8) return wait(PREAMBLE_BYTES + 8, isComplete);
  if (bytes.toString('latin1', 128, 132) !== 'DICM') {
    throw notDicom('bytes 129 to 132 are not DICM; only files with a Part 10 header can be sent');
  }
  const elements = new Map<number, Buffer>();
  let at = PREAMBLE_BYTES;
  let end = Number.POSITIVE_INFINITY;
  while (at < end) {
    if (bytes.length < at + 2) {
      // A file that contains only file meta information, without a group length.
      if (isComplete && bytes.length === at && at > PREAMBLE_BYTES) break;
      return wait(at + 2, isComplete);
    }
    if (bytes.readUInt16LE(at) !== 0x0002) {
      if (at === PREAMBLE_BYTES) throw notDicom('no element of group 0002 after the preamble');
      if (end !== Number.POSITIVE_INFINITY)
        throw notDicom('the file meta information is shorter than its length (0002,0000)');
      break;
    }
    if (bytes.length < at + 8) return wait(at + 8, isComplete);
    const element = bytes.readUInt16LE(at + 2);
    const isLong = isLongVr(bytes.toString('latin1', at + 4, at + 6));
    if (isLong && bytes.length < at + 12) return wait(at + 12, isComplete);
    const length = isLong ? bytes.readUInt32LE(at + 8) : bytes.readUInt16LE(at + 6);
    const valueAt = at + (isLong ? 12 : 8);
    if (valueAt + length > PREAMBLE_BYTES + MAX_FILE_META_BYTES) {
      throw notDicom(`the file meta information exceeds ${MAX_FILE_META_BYTES} bytes`);
    }
    if (bytes.length < valueAt + length) return wait(valueAt + length, isComplete);
    const value = bytes.subarray(valueAt, valueAt + length);
    at = valueAt + length;
    if (element === 0x0000 && length === 4) {
      end = at + value.readUInt32LE(0);
      if (end > PREAMBLE_BYTES + MAX_FILE_META_BYTES) {
        throw notDicom(
          `the file meta information length (0002,0000) is ${value.readUInt32LE(0)}; at most ${MAX_FILE_META_BYTES} bytes are read`,
        );
      }
      if (bytes.length < end) return wait(end, isComplete);
    } else {
      elements.set(element, value);
    }
  }
  if (at > end) throw notDicom('the file meta information is longer than its length (0002,0000)');
  return { meta: toMeta(elements), dataSetOffset: at };
}

export function toMeta(elements: ReadonlyMap<number, Buffer>): FileMeta {
  const uid = (element: number): string =>
    elements
      .get(element)
      ?.toString('latin1')
      .replace(/[\0 ]+$/, '') ?? '';
  return {
    sopClassUid: uid(0x0002),
    sopInstanceUid: uid(0x0003),
    transferSyntaxUid: uid(0x0010),
    elements,
  };
}

export function wait(neededBytes: number, isComplete: boolean): FileMetaStep {
  if (isComplete) throw notDicom('the source ends inside its file meta information');
  return { meta: undefined, neededBytes };
}

export function notDicom(what: string): DimseError {
  return new DimseError('source-not-dicom', `not a DICOM file: ${what}`);
}
