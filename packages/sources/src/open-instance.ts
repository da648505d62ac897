import type { ManifestInstance } from '@dicom-dispatch/core';
import { OrthancError, type OrthancClient } from '@dicom-dispatch/orthanc';
import { madeBytes, storedBytes } from './guard/expected-bytes.ts';
import { guardBytes } from './guard/guard-bytes.ts';
import type { Inspector, Tally } from './guard/guard-options.ts';
import type { GuardedBytes } from './guard/guarded-bytes.ts';
import { inspectTransform, wholeDataSet } from './inspect/transform-inspector.ts';
import type { StorageLane } from './storage-lane.ts';
import { instanceError, wrongBytes, type Change, type InstanceRequest } from './instance-error.ts';

export type Judge = (error: unknown, change: Change) => Promise<unknown>;

/** How an instance is opened at its source. */
export interface OpenOptions {
  /** The requested transfer syntax; default the stored one. */
  readonly transferSyntaxUid?: string | undefined;
  /** Whether a file that is stored without preamble or file meta, or with a wrong one, gets a right one. */
  readonly asPart10?: boolean | undefined;
  /** Whether to compare its digest with the source's. */
  readonly digest?: boolean | undefined;
  /** Called with the duration of the source's digest response. */
  readonly digestAnswered?: ((tookMs: number) => void) | undefined;
  /** Final translation of an error of an instance: a repeated one is not postponed forever. */
  readonly judge?: Judge | undefined;
  /** Sees the returned bytes. */
  readonly tally?: Tally | undefined;
  /** Called when nothing more is read from the source; perhaps more than once. */
  readonly ended?: (() => void) | undefined;
  /** Inspects a stored file while it passes. */
  readonly inspector?: Inspector | undefined;
  /** Where to read the file before it is requested from the source. */
  readonly storage?: Pick<StorageLane, 'open'> | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Minimum rate at which a source is expected to read or to change a file before it sends the first byte. */
const preparedBytesPerSecond = 5_000_000;

/** How much longer than the timeout a source may take until the first byte of a file, or of what it makes of it. */
export function preparationMs({ sizeBytes }: ManifestInstance): number {
  return Math.floor(sizeBytes / preparedBytesPerSecond) * 1_000;
}

/**
 * Opens an instance's file at the source, as stored or transcoded. Its bytes have passed the guard.
 *
 * @throws DispatchError `source-instance-gone` if it was deleted since the manifest was read, `instance-unsupported`
 * if the source cannot transcode it, `source-bytes-wrong` if the source returns other content
 */
export async function openInstance(
  orthanc: OrthancClient,
  source: string,
  instance: ManifestInstance,
  options: OpenOptions = {},
): Promise<GuardedBytes> {
  const { transferSyntaxUid, signal } = options;
  const call = { preparationMs: preparationMs(instance), ...(signal && { signal }) };
  const isStored = transferSyntaxUid === undefined;
  const request: InstanceRequest = {
    orthanc,
    source,
    instance,
    change: isStored ? 'none' : 'transcode',
    transferSyntaxUid,
    signal,
  };
  const failed = failureOf(request, options);
  const wrong = (deviation: Parameters<typeof wrongBytes>[1]): Error => wrongBytes(request, deviation);
  try {
    if (!isStored) {
      const made = await orthanc.instances.transcode(instance.sourceId, transferSyntaxUid, call);
      const inspector = inspectTransform(wholeDataSet(instance), (what) =>
        wrong({ kind: 'head', expected: 'a whole data set', came: `another (${what})` }),
      );
      return await guardBytes(made, {
        expected: madeBytes(instance, transferSyntaxUid, true),
        wrong,
        failed,
        inspector,
        tally: options.tally,
        ended: options.ended,
      });
    }
    const file =
      (await options.storage?.open(instance, signal)) ?? (await orthanc.instanceFile(instance.sourceId, call));
    // The guard passes chunks on unchanged: their memory can be released.
    const releaseChunk = (chunk: Uint8Array): void => file.release(chunk);
    return await guardBytes(
      { sizeBytes: file.sizeBytes, body: file.body, releaseChunk },
      {
        expected: storedBytes(instance),
        readMd5: () => readMd5(request, options),
        digest: options.digest === true,
        asPart10: options.asPart10 === true,
        ...(options.inspector && { inspector: options.inspector }),
        tally: options.tally,
        ended: options.ended,
        wrong,
        failed,
      },
    );
  } catch (error) {
    throw await failed(error);
  }
}

/** Final error of an instance; reported once. */
export function failureOf(
  request: InstanceRequest,
  { judge }: Pick<OpenOptions, 'judge'>,
): (error: unknown) => Promise<unknown> {
  const reported = new Set<unknown>();
  return async (error) => {
    if (reported.has(error)) return error;
    const known = await instanceError(error, request);
    const last = judge ? await judge(known, request.change) : known;
    reported.add(last);
    return last;
  };
}

async function readMd5(
  { orthanc, instance, signal }: InstanceRequest,
  { digestAnswered }: Pick<OpenOptions, 'digestAnswered'>,
): Promise<string | undefined> {
  const askedAt = performance.now();
  const md5 = await orthanc.instances
    .attachmentMd5(instance.sourceId, 'dicom', signal && { signal })
    .finally(() => digestAnswered?.(performance.now() - askedAt));
  if (md5 === undefined || /^[0-9a-f]{32}$/i.test(md5)) return md5;
  throw new OrthancError('protocol', `the MD5 of instance ${instance.sourceId} is no MD5`);
}
