import { createHash } from 'node:crypto';
import { DispatchError } from '@dicom-dispatch/core';
import { isOlderVersion, maxIdentityBytes, readIdentity, type PlaceClaim } from '../conflict/index.ts';
import type { Container } from './container.ts';
import { isNotThere, notAzure, translateAzureError } from './errors.ts';

/** Metadata for the creation of a blob. */
export interface BlobToSend extends PlaceClaim {
  readonly name: string;
  readonly contentType: string;
  /** Whether a blob of another content may be replaced; default: when it is the same instance of the same patient. */
  mayReplace?(there: Buffer): Promise<boolean>;
  /** Called with the MD5 (hexadecimal) that the service has confirmed, for the receipt. */
  readonly answered?: (md5: string) => void;
}

/** A blob that is there. */
export interface FoundBlob {
  readonly etag: string;
  readonly sizeBytes: number;
  /** Content-MD5 of the blob, hexadecimal; undefined if the creator of the blob did not set it. */
  readonly md5: string | undefined;
}

export type Stored =
  | 'new'
  /** It was there with the same content. */
  | 'same'
  | 'replaced';

/** Maximum attempts to write a blob while other clients create and delete its name. */
export const maxRounds = 5;

export function takenAgain({ host }: Container): DispatchError {
  return new DispatchError('instance-failed', `${host}: a name is repeatedly created and removed by others`);
}

export function md5Of(bytes: Uint8Array): Buffer {
  return createHash('md5').update(bytes).digest();
}

/** @returns undefined when nothing has the name */
export async function lookAtBlob(
  container: Container,
  name: string,
  signal: AbortSignal,
): Promise<FoundBlob | undefined> {
  const blob = container.client.getBlobClient(name);
  try {
    const found = await container.raw(signal, (sending) => blob.getProperties(sending));
    const { etag, contentLength, contentMD5 } = found;
    if (etag === undefined || contentLength === undefined)
      throw notAzure(container.host, 'Reading the properties of a blob');
    return { etag, sizeBytes: contentLength, md5: hexOf(contentMD5) };
  } catch (thrown) {
    if (isNotThere(thrown)) return undefined;
    throw translateAzureError(thrown, container.host, 'Reading the properties of a blob');
  }
}

export function hexOf(bytes: Uint8Array | undefined): string | undefined {
  return bytes && bytes.length > 0 ? Buffer.from(bytes).toString('hex') : undefined;
}

/** The first bytes of a blob, or all of a shorter one; it must not have changed since it was checked. */
async function readBeginning(
  container: Container,
  name: string,
  { etag, sizeBytes }: FoundBlob,
  maxBytes: number,
  signal: AbortSignal,
): Promise<Buffer> {
  const count = Math.min(maxBytes, sizeBytes);
  const blob = container.client.getBlobClient(name);
  const read = (sending: { abortSignal: AbortSignal }): Promise<Buffer> =>
    blob.downloadToBuffer(0, count, { ...sending, conditions: { ifMatch: etag } });
  return container.act('Reading a blob', signal, read, count);
}

/** Nearly every instance has its Series Instance UID within this number of bytes. */
const usualBytes = 64 * 1024;
const maxMarkerBytes = 64 * 1024 * 1024;

/**
 * Decides about a blob with other content that has the name.
 *
 * @param ours - the beginning of the data to be stored
 * @throws {DispatchError} `target-conflict` if it must not be replaced
 */
export async function judgeBlob(
  container: Container,
  found: FoundBlob,
  blob: BlobToSend,
  ours: Buffer,
  signal: AbortSignal,
): Promise<void> {
  if (container.config.onConflict === 'overwrite' || found.sizeBytes === 0) return;
  const read = (bytes: number): Promise<Buffer> => readBeginning(container, blob.name, found, bytes, signal);
  if (blob.mayReplace) {
    if (await blob.mayReplace(await read(maxMarkerBytes))) return;
    throw blob.conflict('file');
  }
  let there = await read(usualBytes);
  let theirs = await readIdentity([there]);
  if (!theirs && found.sizeBytes > there.length) {
    there = await read(maxIdentityBytes);
    theirs = await readIdentity([there]);
  }
  if (await isOlderVersion(blob, theirs, await readIdentity([ours]))) return;
  // The same content, stored by another program without an MD5.
  if (found.sizeBytes <= there.length && there.equals(ours.subarray(0, there.length))) return;
  throw blob.conflict(theirs ? 'instance' : 'file');
}

/** Conditions of a write: the name is free, or the blob is the one that was checked; none with `existing: overwrite`. */
export function conditionsOf({ config }: Container, found: FoundBlob | undefined) {
  if (config.existing === 'overwrite') return {};
  return found ? { ifMatch: found.etag } : { ifNoneMatch: '*' };
}
