import { createHash } from 'node:crypto';
import { isDimseError, openPart10, type ByteSource } from 'dicom-dimse';
import type { InstanceBytes } from '@dicom-dispatch/target-kit';
import type { HttpConnection } from '../http/index.ts';
import { notStored } from './errors.ts';
import { readStored, type StoredInstance } from './stored-instance.ts';
import type { Uploaded } from './upload.ts';

interface Sent {
  readonly uploaded: Pick<Uploaded, 'id' | 'sentBytes' | 'md5'>;
  /** Opens the sent data again. */
  open(): Promise<InstanceBytes>;
}

/**
 * Whether the target has the sent content under the id: the same bytes, or the same data set in the same transfer syntax with
 * other file meta information, e.g. of an instance that it has received by DICOM (PS3.10 section 7.1).
 *
 * @throws {DispatchError} `verify-missing` if the target does not have the instance
 */
export async function isSameContent(http: HttpConnection, { uploaded, open }: Sent, signal: AbortSignal) {
  const stored = await readStored(http, uploaded.id, signal);
  if (!stored) throw notStored();
  if (await hasSameBytes(stored, uploaded, open)) return true;
  const [there, here] = await Promise.all([contentOf(await stored.file()), read(open, contentOf)]);
  return there !== undefined && there === here;
}

async function hasSameBytes(stored: StoredInstance, uploaded: Sent['uploaded'], open: Sent['open']): Promise<boolean> {
  if (stored.sizeBytes !== undefined && stored.sizeBytes !== uploaded.sentBytes) return false;
  const sent = uploaded.md5 ?? (await read(open, md5Of));
  return (await stored.md5()) === sent;
}

async function read<T>(open: Sent['open'], use: (body: AsyncIterable<Uint8Array>) => Promise<T>): Promise<T> {
  return use((await open()).body);
}

async function md5Of(body: AsyncIterable<Uint8Array>): Promise<string> {
  const md5 = createHash('md5');
  for await (const chunk of body) md5.update(chunk);
  return md5.digest('hex');
}

/** Transfer syntax and digest of the data set; undefined when it is no Part 10 file. */
export async function contentOf(body: ByteSource): Promise<string | undefined> {
  try {
    const { meta, head, rest } = await openPart10(body);
    const digest = createHash('sha256').update(head);
    for (let chunk = await rest.next(); chunk !== undefined; chunk = await rest.next()) digest.update(chunk);
    return `${meta.transferSyntaxUid} ${digest.digest('hex')}`;
  } catch (thrown) {
    if (isDimseError(thrown) && thrown.code === 'source-not-dicom') return undefined;
    throw thrown;
  }
}
