import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import { dcmjsData } from './dcmjs.ts';
import { decodeElements } from './decode-elements.ts';
import { DimseError } from '../errors/dimse-error.ts';
import type { DataSetInput, EncodedDataSet } from '../operations/data-set-input.ts';
import { parseFileMeta } from '../part10/file-meta.ts';
import type { FileMetaStep } from '../part10/file-meta.ts';
import { parseTolerantly } from '../part10/tolerant-meta.ts';
import { TRANSFER_SYNTAX } from '../uids.ts';

/**
 * A small data set by keyword (PS3.6), in the form of dcmjs: numbers and texts, lists where there are several values, lists of
 * data sets for sequences, person names as `[{ Alphabetic: 'Doe^Jane' }]` or as a text.
 */
export type DataSet = Readonly<Record<string, unknown>>;

/** A decompressed data set longer than this is rejected. */
const MAX_INFLATED_BYTES = 64 * 1024 * 1024;
const PIXEL_DATA = 0x7fe00010;

/**
 * Creates an identifier for `find`, `get`, `move` and similar: encoded once the transfer syntax of its context is known.
 * Text is written in UTF-8; Specific Character Set is set if the data set contains non-ASCII characters, and a given one is
 * replaced.
 */
export function dataSet(values: DataSet): DataSetInput {
  return (transferSyntaxUid) => encodeDataSet(values, transferSyntaxUid);
}

/** @throws DimseError `dataset-invalid`; `invalid-argument` if dcmjs is not installed. */
export function encodeDataSet(values: DataSet, transferSyntaxUid: string): Uint8Array {
  const isDeflated = transferSyntaxUid === TRANSFER_SYNTAX.deflatedExplicitVrLittleEndian;
  const written = isDeflated ? TRANSFER_SYNTAX.explicitVrLittleEndian : transferSyntaxUid;
  const data = dcmjsData();
  try {
    const file = new data.DicomDict({ '00020010': { vr: 'UI', Value: [written] } });
    file.dict = data.DicomMetaDictionary.denaturalizeDataset({ ...withCharacterSet(values) });
    const bytes = Buffer.from(file.write());
    const step = parseFileMeta(bytes, true);
    if (step.meta === undefined) throw new Error('no file meta information was written');
    const encoded = bytes.subarray(step.dataSetOffset);
    return isDeflated ? evenLength(deflateRawSync(encoded)) : encoded;
  } catch (cause) {
    throw new DimseError('dataset-invalid', 'the data set cannot be encoded', { cause });
  }
}

/**
 * Texts are decoded by the Specific Character Set of the data set or item, including code extensions (ISO 2022). An unknown
 * character set only affects the texts in it.
 *
 * @param options - `isLenient`: for a broken data set, the part before the error
 * @throws DimseError `dataset-invalid`.
 */
export async function decodeDataSet(
  encoded: EncodedDataSet,
  options: { readonly isLenient?: boolean } = {},
): Promise<DataSet> {
  try {
    const isDeflated = encoded.transferSyntaxUid === TRANSFER_SYNTAX.deflatedExplicitVrLittleEndian;
    const transferSyntaxUid = isDeflated ? TRANSFER_SYNTAX.explicitVrLittleEndian : encoded.transferSyntaxUid;
    const bytes = isDeflated ? inflateRawSync(encoded.bytes, { maxOutputLength: MAX_INFLATED_BYTES }) : encoded.bytes;
    return decodeElements(bytes, { transferSyntaxUid, isLenient: options.isLenient });
  } catch (cause) {
    throw new DimseError('dataset-invalid', 'the data set received from the peer cannot be decoded', { cause });
  }
}

/**
 * The data set of a complete Part 10 file (PS3.10), or of its beginning, without its pixel data.
 *
 * @throws DimseError `source-not-dicom`.
 */
export function decodePart10(bytes: Uint8Array): DataSet {
  try {
    const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const step = parseAny(file);
    if (step.meta === undefined) throw new Error('no file meta information');
    const { transferSyntaxUid } = step.meta;
    const dataSet = file.subarray(step.dataSetOffset);
    const isDeflated = transferSyntaxUid === TRANSFER_SYNTAX.deflatedExplicitVrLittleEndian;
    return decodeElements(isDeflated ? inflateStart(dataSet) : dataSet, {
      transferSyntaxUid: isDeflated ? TRANSFER_SYNTAX.explicitVrLittleEndian : transferSyntaxUid,
      untilTag: PIXEL_DATA,
      mayBeCut: true,
    });
  } catch (cause) {
    throw new DimseError('source-not-dicom', 'the file is not a readable DICOM file', { cause });
  }
}

/** A file without file meta information has one of the two transfer syntaxes that can be detected. */
function parseAny(file: Buffer): FileMetaStep {
  try {
    return parseTolerantly(file, true, { transferSyntaxUid: TRANSFER_SYNTAX.explicitVrLittleEndian });
  } catch {
    return parseTolerantly(file, true, { transferSyntaxUid: TRANSFER_SYNTAX.implicitVrLittleEndian });
  }
}

function inflateStart(bytes: Buffer): Buffer {
  return inflateRawSync(bytes, { maxOutputLength: MAX_INFLATED_BYTES, finishFlush: constants.Z_SYNC_FLUSH });
}

/** dcmjs writes UTF-8 regardless of the data set. */
function withCharacterSet(values: DataSet): DataSet {
  const isAscii = /^[\0-\x7f]*$/.test(JSON.stringify(values));
  return isAscii && values['SpecificCharacterSet'] === undefined
    ? values
    : { ...values, SpecificCharacterSet: 'ISO_IR 192' };
}

function evenLength(bytes: Buffer): Buffer {
  return bytes.length % 2 === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(1)]);
}
