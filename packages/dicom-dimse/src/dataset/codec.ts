import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { dcmjsData } from './dcmjs.ts';
import { DimseError } from '../errors/dimse-error.ts';
import type { DataSetInput, EncodedDataSet } from '../operations/data-set-input.ts';
import { encodeFileMeta } from '../part10/encode-file-meta.ts';
import { parseFileMeta } from '../part10/file-meta.ts';
import { readElements } from '../part10/read-elements.ts';
import { ByteStream } from '../part10/byte-stream.ts';
import { TRANSFER_SYNTAX } from '../uids.ts';

/**
 * A small data set by keyword (PS3.6), as dcmjs has it: numbers and texts, lists where there are several values, lists of
 * data sets for sequences, person names as `[{ Alphabetic: 'Doe^Jane' }]` or as a text.
 */
export type DataSet = Readonly<Record<string, unknown>>;

/** An inflated data set longer than this is refused. */
const MAX_INFLATED_BYTES = 64 * 1024 * 1024;
const SPECIFIC_CHARACTER_SET = 0x00080005;

/**
 * Makes an identifier for `find`, `get`, `move` and the like: encoded once the transfer syntax of its context is known.
 * Text is written in UTF-8; Specific Character Set is set accordingly if the data set holds other than ASCII.
 */
export function dataSet(values: DataSet): DataSetInput {
  return (transferSyntaxUid) => encodeDataSet(values, transferSyntaxUid);
}

/** @throws DimseError `dataset-invalid`. */
export function encodeDataSet(values: DataSet, transferSyntaxUid: string): Uint8Array {
  const isDeflated = transferSyntaxUid === TRANSFER_SYNTAX.deflatedExplicitVrLittleEndian;
  const written = isDeflated ? TRANSFER_SYNTAX.explicitVrLittleEndian : transferSyntaxUid;
  try {
    const data = dcmjsData();
    const file = new data.DicomDict({ '00020010': { vr: 'UI', Value: [written] } });
    file.dict = data.DicomMetaDictionary.denaturalizeDataset({ ...withCharacterSet(values) });
    const bytes = Buffer.from(file.write());
    const step = parseFileMeta(bytes, true);
    if (step.meta === undefined) throw new Error('no file meta was written');
    const encoded = bytes.subarray(step.dataSetOffset);
    return isDeflated ? evenLength(deflateRawSync(encoded)) : encoded;
  } catch (cause) {
    throw new DimseError('dataset-invalid', 'the data set cannot be encoded', { cause });
  }
}

/** @throws DimseError `dataset-invalid`. */
export async function decodeDataSet(encoded: EncodedDataSet): Promise<DataSet> {
  try {
    const isDeflated = encoded.transferSyntaxUid === TRANSFER_SYNTAX.deflatedExplicitVrLittleEndian;
    const transferSyntaxUid = isDeflated ? TRANSFER_SYNTAX.explicitVrLittleEndian : encoded.transferSyntaxUid;
    const bytes = isDeflated ? inflateRawSync(encoded.bytes, { maxOutputLength: MAX_INFLATED_BYTES }) : encoded.bytes;
    const file = Buffer.concat([encodeFileMeta({ sopClassUid: '', sopInstanceUid: '', transferSyntaxUid }), bytes]);
    const copy = new Uint8Array(file).buffer;
    // dcmjs knows one character set at a time: with several, it is told to make do with the first.
    const ignoreErrors = await hasSeveralCharacterSets(bytes, transferSyntaxUid);
    const data = dcmjsData();
    const { dict } = data.DicomMessage.readFile(copy, { ignoreErrors });
    return withoutVrMaps(data.DicomMetaDictionary.naturalizeDataset(dict));
  } catch (cause) {
    throw new DimseError('dataset-invalid', 'the data set of the peer cannot be decoded', { cause });
  }
}

/**
 * The data set of a whole Part 10 file (PS3.10), without its pixel data.
 *
 * @throws DimseError `source-not-dicom`.
 */
export function decodePart10(bytes: Uint8Array): DataSet {
  try {
    const data = dcmjsData();
    const { dict } = data.DicomMessage.readFile(new Uint8Array(bytes).buffer, {
      // Several character sets, or a value that breaks a rule, are no reason to know nothing of the file.
      ignoreErrors: true,
      untilTag: '7FE00010',
      includeUntilTagValue: false,
    });
    return withoutVrMaps(data.DicomMetaDictionary.naturalizeDataset(dict));
  } catch (cause) {
    throw new DimseError('source-not-dicom', 'the file is no DICOM file that can be read', { cause });
  }
}

/** dcmjs writes UTF-8 whatever the data set says. */
function withCharacterSet(values: DataSet): DataSet {
  const isAscii = /^[\0-\x7f]*$/.test(JSON.stringify(values));
  return isAscii && values['SpecificCharacterSet'] === undefined
    ? values
    : { ...values, SpecificCharacterSet: 'ISO_IR 192' };
}

function evenLength(bytes: Buffer): Buffer {
  return bytes.length % 2 === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(1)]);
}

async function hasSeveralCharacterSets(bytes: Buffer, transferSyntaxUid: string): Promise<boolean> {
  const stream = new ByteStream(bytes, { isSync: true, next: () => undefined, close: async () => {} });
  const found = await readElements(stream, {
    isExplicit: transferSyntaxUid !== TRANSFER_SYNTAX.implicitVrLittleEndian,
    isBigEndian: transferSyntaxUid === TRANSFER_SYNTAX.explicitVrBigEndian,
    tags: new Set([SPECIFIC_CHARACTER_SET]),
    maxValueBytes: 1024,
  });
  return found.get(SPECIFIC_CHARACTER_SET)?.value.includes('\\') ?? false;
}

/** dcmjs keeps notes for writing a data set back; callers have no use for them. */
function withoutVrMaps(values: Record<string, unknown>): DataSet {
  return Object.fromEntries(
    Object.entries(values)
      .filter(([keyword]) => keyword !== '_vrMap')
      .map(([keyword, value]) => [
        keyword,
        Array.isArray(value) ? value.map((item) => (isDataSet(item) ? withoutVrMaps(item) : item)) : value,
      ]),
  );
}

function isDataSet(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && '_vrMap' in value;
}
