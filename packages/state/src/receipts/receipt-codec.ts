import { brotliCompress, brotliDecompress, constants } from 'node:zlib';
import { promisify } from 'node:util';
import type { ReceiptEntry } from './receipt-types.ts';

const compress = promisify(brotliCompress);
const decompress = promisify(brotliDecompress);

const version = 1;
const digestBytes = 32;
/** A receipt of a million instances is smaller than this when it is unpacked. */
const maxUnpackedBytes = 256 * 1024 * 1024;

/**
 * Columns, which compress far better than rows: each UID without the prefix shared with the previous one, sizes and times as
 * differences, series, responses and addresses as numbers.
 */
interface Columns {
  readonly series: readonly string[];
  readonly answers: readonly string[];
  readonly places: readonly string[];
  readonly common: readonly number[];
  readonly rest: readonly string[];
  readonly ofSeries: readonly number[];
  readonly size: readonly (number | null)[];
  readonly at: readonly number[];
  readonly attempt: readonly number[];
  readonly answer: readonly number[];
  readonly place: readonly number[];
  /** Whether each has a digest: the digests follow, in the same order. */
  readonly hasDigest: readonly (0 | 1)[];
}

/** `version (1 byte), length of the columns (4 bytes), columns in brotli, digests of 32 bytes`. */
export async function encodeReceipt(entries: readonly ReceiptEntry[]): Promise<Buffer> {
  const [series, answers, places] = [new Dictionary(), new Dictionary(), new Dictionary()];
  const digests = entries.flatMap(({ sha256 }) => (sha256 === undefined ? [] : [Buffer.from(sha256, 'hex')]));
  const common: number[] = [];
  const rest: string[] = [];
  let uidBefore = '';
  for (const { sopInstanceUid: uid } of entries) {
    let same = 0;
    while (same < uid.length && uid[same] === uidBefore[same]) same += 1;
    common.push(same);
    rest.push(uid.slice(same));
    uidBefore = uid;
  }
  const columns: Columns = {
    common,
    rest,
    ofSeries: entries.map(({ seriesInstanceUid }) => series.number(seriesInstanceUid)),
    size: entries.map(({ sizeBytes }) => sizeBytes ?? null),
    at: differences(entries.map(({ at }) => at)),
    attempt: entries.map(({ attempt }) => attempt),
    answer: entries.map(({ answer }) => answers.number(answer)),
    place: entries.map(({ place }) => places.number(place)),
    hasDigest: entries.map(({ sha256 }) => (sha256 === undefined ? 0 : 1)),
    series: series.texts,
    answers: answers.texts,
    places: places.texts,
  };
  const text = Buffer.from(JSON.stringify(columns));
  const packed = await compress(text, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 7, [constants.BROTLI_PARAM_SIZE_HINT]: text.length },
  });
  const head = Buffer.alloc(5);
  head.writeUInt8(version, 0);
  head.writeUInt32BE(packed.length, 1);
  return Buffer.concat([head, packed, ...digests]);
}

/** @returns an empty list for an unknown format */
export async function decodeReceipt(bytes: Buffer): Promise<ReceiptEntry[]> {
  if (bytes.length < 5 || bytes.readUInt8(0) !== version) return [];
  const length = bytes.readUInt32BE(1);
  const text = await decompress(bytes.subarray(5, 5 + length), { maxOutputLength: maxUnpackedBytes });
  const columns = JSON.parse(text.toString()) as Columns;
  let digestAt = 5 + length;
  let uidBefore = '';
  let at = 0;
  return columns.rest.map((rest, index): ReceiptEntry => {
    uidBefore = uidBefore.slice(0, columns.common[index]) + rest;
    at += columns.at[index] ?? 0;
    let sha256: string | undefined;
    if (columns.hasDigest[index] === 1) {
      sha256 = bytes.toString('hex', digestAt, digestAt + digestBytes);
      digestAt += digestBytes;
    }
    return {
      sopInstanceUid: uidBefore,
      seriesInstanceUid: columns.series[columns.ofSeries[index] ?? 0] ?? '',
      sizeBytes: columns.size[index] ?? undefined,
      sha256,
      at,
      attempt: columns.attempt[index] ?? 0,
      answer: columns.answers[columns.answer[index] ?? 0] ?? '',
      place: columns.places[columns.place[index] ?? 0] ?? '',
    };
  });
}

class Dictionary {
  readonly texts: string[] = [];
  readonly #numbers = new Map<string, number>();

  number(text: string): number {
    const known = this.#numbers.get(text);
    if (known !== undefined) return known;
    this.#numbers.set(text, this.texts.length);
    return this.texts.push(text) - 1;
  }
}

function differences(numbers: readonly number[]): number[] {
  return numbers.map((each, index) => each - (numbers[index - 1] ?? 0));
}
