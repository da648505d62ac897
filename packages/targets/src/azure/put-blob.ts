import { DispatchError } from '@dicom-dispatch/core';
import {
  conditionsOf,
  hexOf,
  judgeBlob,
  lookAtBlob,
  md5Of,
  maxRounds,
  takenAgain,
  type BlobToSend,
  type FoundBlob,
  type Stored,
} from './blob.ts';
import type { Container } from './container.ts';
import { isTaken, notAzure, translateAzureError } from './errors.ts';

/**
 * Creates a blob in one request (Put Blob). The response has the MD5 that the service has computed of the received data.
 *
 * @param isTakenAlready - the name was taken when the container was listed
 */
export async function putBlob(
  container: Container,
  blob: BlobToSend,
  bytes: Buffer,
  isTakenAlready: boolean,
  signal: AbortSignal,
): Promise<Stored> {
  const digest = md5Of(bytes);
  const md5 = digest.toString('hex');
  const looks = container.config.existing === 'compare';
  let found = looks && isTakenAlready ? await lookAtBlob(container, blob.name, signal) : undefined;
  for (let round = 0; round < maxRounds; round += 1) {
    if (found) {
      if (found.sizeBytes === bytes.length && found.md5 === md5) return 'same';
      await judgeBlob(container, found, blob, bytes, signal);
    }
    if (await store(container, blob, { bytes, digest, found }, signal)) {
      blob.answered?.(md5);
      return found ? 'replaced' : 'new';
    }
    found = await lookAtBlob(container, blob.name, signal);
  }
  throw takenAgain(container);
}

/** @returns false if the name was taken or freed in the meantime */
async function store(
  container: Container,
  { name, contentType }: BlobToSend,
  { bytes, digest, found }: { bytes: Buffer; digest: Buffer; found: FoundBlob | undefined },
  signal: AbortSignal,
): Promise<boolean> {
  const client = container.client.getBlockBlobClient(name);
  let answer;
  try {
    answer = await container.raw(
      signal,
      (sending) =>
        client.upload(bytes, bytes.length, {
          ...sending,
          conditions: conditionsOf(container, found),
          blobHTTPHeaders: { blobContentType: contentType, blobContentMD5: digest },
          ...(container.config.tier !== undefined && { tier: container.config.tier }),
        }),
      bytes.length,
    );
  } catch (thrown) {
    if (isTaken(thrown)) return false;
    throw translateAzureError(thrown, container.host, 'Storing a blob');
  }
  if (answer.etag === undefined) throw notAzure(container.host, 'Storing a blob');
  const answered = hexOf(answer.contentMD5);
  if (answered === digest.toString('hex')) return true;
  if (answered !== undefined) throw otherContent(container);
  await verifyBlob(container, name, { sizeBytes: bytes.length, md5: digest.toString('hex') }, signal);
  return true;
}

/** @throws {DispatchError} `verify-missing` if the blob does not exist, or differs from the sent data */
export async function verifyBlob(
  container: Container,
  name: string,
  sent: Pick<FoundBlob, 'sizeBytes' | 'md5'>,
  signal: AbortSignal,
): Promise<void> {
  const found = await lookAtBlob(container, name, signal);
  if (!found || found.sizeBytes !== sent.sizeBytes) throw otherContent(container);
  if (found.md5 !== undefined && found.md5 !== sent.md5) throw otherContent(container);
}

function otherContent({ host }: Container): DispatchError {
  return new DispatchError('verify-missing', `${host} has content that differs from what was sent, or has none`, {
    stage: 'transfer',
  });
}
