import type { HeadObjectCommandOutput } from '@aws-sdk/client-s3';
import { isOlderVersion, maxIdentityBytes, readIdentity, type PlaceClaim } from '../conflict/index.ts';
import type { Bucket } from './bucket.ts';
import { readBeginning } from './look-at-object.ts';

/** The claim of an object on its key. */
export interface Claim extends PlaceClaim {
  readonly key: string;
  /** Whether an object with other content may be replaced; default: if it is an older version of the same instance. */
  mayReplace?(there: Buffer): Promise<boolean>;
  /** Called with the ETag in the response to the upload, for the receipt. */
  readonly answered?: (etag: string) => void;
}

/** Nearly every instance has its Series Instance UID within its first bytes up to this number. */
const usualBytes = 64 * 1024;

/**
 * Decides about an object with other content that has the key.
 *
 * @param ours - the beginning of the data to be stored
 * @throws {DispatchError} `target-conflict` if it must not be replaced
 */
export async function judgeObject(
  bucket: Bucket,
  found: HeadObjectCommandOutput,
  claim: Claim,
  ours: Buffer,
  signal: AbortSignal,
): Promise<void> {
  if (bucket.config.onConflict === 'overwrite' || found.ContentLength === 0) return;
  const size = found.ContentLength ?? 0;
  const read = (bytes: number): Promise<Buffer> => readBeginning(bucket, claim.key, found.ETag, bytes, signal);
  if (claim.mayReplace) {
    if (await claim.mayReplace(await read(maxMarkerBytes))) return;
    throw claim.conflict('file');
  }
  let there = await read(usualBytes);
  let theirs = await readIdentity([there]);
  if (!theirs && size > there.length) {
    there = await read(maxIdentityBytes);
    theirs = await readIdentity([there]);
  }
  if (await isOlderVersion(claim, theirs, await readIdentity([ours]))) return;
  // The object is the beginning of ours: another client's incomplete upload.
  if (size <= there.length && there.equals(ours.subarray(0, there.length))) return;
  throw claim.conflict(theirs ? 'instance' : 'file');
}

const maxMarkerBytes = 64 * 1024 * 1024;
