import { createHmac, hkdfSync } from 'node:crypto';

/** A key of search hashes, derived from a secret of the configuration. */
export interface SearchKey {
  /** Shows whether a record was written with this key; reveals nothing about the key. */
  readonly id: string;
  readonly bytes: Buffer;
}

/** The values of a study that can be searched by hash: complete values only. */
export interface SearchValues {
  readonly accessionNumber?: string | undefined;
  readonly patientId?: string | undefined;
  readonly seriesInstanceUids?: readonly string[];
}

/** Hashes of a study with the id of their key, as stored in its record. */
export interface SearchHashes {
  readonly key: string;
  readonly hashes: readonly string[];
}

const kinds = ['accession', 'patient', 'series'] as const;
type Kind = (typeof kinds)[number];

/** Series of a study beyond these are not found by their UID. */
const maxSeries = 200;

/** @param secrets - those of `records.searchKey`, the newest first */
export function searchKeys(secrets: readonly string[]): SearchKey[] {
  return secrets.map((secret) => {
    const bytes = Buffer.from(hkdfSync('sha256', secret, '', 'dicom-dispatch study search', 32));
    return { bytes, id: createHmac('sha256', bytes).update('key').digest('base64url').slice(0, 8) };
  });
}

/** The stored form of the values: without the key they cannot be found out, not even by trying all numbers. */
export function searchHashes(key: SearchKey, values: SearchValues): SearchHashes {
  const { accessionNumber, patientId, seriesInstanceUids = [] } = values;
  const hashes = [
    hashOf(key, 'accession', accessionNumber),
    hashOf(key, 'patient', patientId),
    ...seriesInstanceUids.slice(0, maxSeries).map((uid) => hashOf(key, 'series', uid)),
  ];
  return { key: key.id, hashes: [...new Set(hashes.filter((hash) => hash !== undefined))] };
}

/** The hashes of a text for all kinds of values. */
export function hashesOfText(keys: readonly SearchKey[], text: string): string[] {
  return keys.flatMap((key) => kinds.map((kind) => hashOf(key, kind, text))).filter((hash) => hash !== undefined);
}

/** 128 bits of HMAC-SHA-256. Case and padding do not matter, as in a search (PS3.5, section 6.2; PS3.4, section C.2.2.2.1). */
function hashOf({ bytes }: SearchKey, kind: Kind, value: string | undefined): string | undefined {
  const text = value?.trim().normalize('NFC').toUpperCase() ?? '';
  if (text === '') return undefined;
  return createHmac('sha256', bytes).update(`${kind}\0${text}`).digest().subarray(0, 16).toString('base64url');
}
