import { longestAnswer, type ReceiptEntry } from './receipt-types.ts';

/** An entry as stored while its delivery is running: JSON, without field names. */
export function encodeEntry(entry: ReceiptEntry): string {
  const { sopInstanceUid, seriesInstanceUid, sizeBytes, sha256, at, attempt, answer, place } = entry;
  const digest = sha256 === undefined ? null : Buffer.from(sha256, 'hex').toString('base64url');
  return JSON.stringify([
    sopInstanceUid,
    seriesInstanceUid,
    sizeBytes ?? null,
    digest,
    at,
    attempt,
    answer.slice(0, longestAnswer),
    place.slice(0, longestAnswer),
  ]);
}

/** @returns undefined for an unknown format */
export function decodeEntry(text: string): ReceiptEntry | undefined {
  try {
    const [sop, series, size, digest, at, attempt, answer, place] = JSON.parse(text) as [
      string,
      string,
      number | null,
      string | null,
      number,
      number,
      string,
      string,
    ];
    return {
      sopInstanceUid: sop,
      seriesInstanceUid: series,
      sizeBytes: size ?? undefined,
      sha256: digest === null ? undefined : Buffer.from(digest, 'base64url').toString('hex'),
      at,
      attempt,
      answer,
      place,
    };
  } catch {
    return undefined;
  }
}
