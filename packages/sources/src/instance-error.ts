import { DispatchError, type ManifestInstance } from '@dicom-dispatch/core';
import { OrthancError, type OrthancClient, type OrthancErrorCode } from '@dicom-dispatch/orthanc';
import type { Deviation } from './guard/guard-options.ts';
import { sourceError } from './source-error.ts';

/** Orthanc's own statuses. */
const notImplemented = 2;

/**
 * Errors that no instance can cause: the source as a whole is unavailable, overloaded, or denies access; or this process has
 * reached its limits.
 */
const ofTheSource: ReadonlySet<OrthancErrorCode> = new Set([
  'unreachable',
  'tls',
  'unauthorized',
  'busy',
  'local-resources',
  'cancelled',
]);

/** How long the source may take to respond to a health check. */
const probeMs = 5_000;

/** Required work of the source for an instance. */
export type Change = 'none' | 'transcode' | 'transform';

/** The request for an instance: it determines the text of an error. */
export interface InstanceRequest {
  readonly orthanc: OrthancClient;
  readonly source: string;
  readonly instance: ManifestInstance;
  /** Whether the source must change or transcode it. */
  readonly change: Change;
  /** The requested transfer syntax, if it is not the stored one. */
  readonly transferSyntaxUid?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Meaning of an error response of the source for one instance. Another request to the source shows whether the source as a
 * whole or only this instance is affected: only in the second case the others of the study continue.
 */
export async function instanceError(thrown: unknown, request: InstanceRequest): Promise<unknown> {
  if (!(thrown instanceof OrthancError)) return thrown;
  const { source, change, instance, signal } = request;
  if (signal?.aborted === true || ofTheSource.has(thrown.code)) return sourceError(thrown, source, 'transfer');
  if (change !== 'none' && cannotChange(thrown, change) && !(await isUnreadable(request)))
    return unsupported(request, thrown);
  if (thrown.code === 'not-found' && thrown.isOrthancAnswer) {
    const isKnown = await isThere(request);
    if (isKnown === false) {
      return new DispatchError(
        'source-instance-gone',
        `source ${source}: instance ${instance.sopInstanceUid} no longer exists`,
        { cause: thrown, stage: 'transfer' },
      );
    }
    // Newer versions report "unknown resource" for an instance that they cannot transcode.
    if (isKnown === true && change !== 'none') return unsupported(request, thrown);
  }
  if (!(await isWell(request))) return notAboutInstance(thrown, source);
  if (thrown.status === 200)
    return wrongBytes(request, { kind: 'head', expected: 'a DICOM file', came: 'none' }, thrown);
  return new DispatchError(
    'source-instance-failed',
    `source ${source} cannot provide instance ${instance.sopInstanceUid}: ${thrown.message}`,
    { cause: thrown, stage: 'transfer' },
  );
}

/** The error for bytes that are not those of the instance. */
export function wrongBytes(request: InstanceRequest, deviation: Deviation, cause?: OrthancError): DispatchError {
  const { source, instance, change, transferSyntaxUid } = request;
  const { expected, came } = deviation;
  const what = { none: 'file', transcode: 'transcoded file', transform: 'transformed file' }[change];
  return new DispatchError(
    'source-bytes-wrong',
    `source ${source} sent another ${what} for instance ${instance.sopInstanceUid}: expected ${expected}, received ${came}`,
    {
      stage: 'transfer',
      ...(cause && { cause }),
      ...(change !== 'none' && {
        remedy: `The source responded, but did not do what was requested${transferSyntaxUid === undefined ? '' : ` (transcode to ${transferSyntaxUid})`}. Check its log.`,
      }),
    },
  );
}

/**
 * The error after repeated failures while the source otherwise responds: the instance is the cause then,
 * and if a change was requested, it is one that the source cannot make.
 */
export function asRepeated(error: DispatchError, times: number, change: Change): DispatchError {
  const code = change !== 'none' && error.code === 'source-bytes-wrong' ? 'instance-unsupported' : error.code;
  return new DispatchError(code, `${error.message} (${times} times, while the source answers other requests)`, {
    cause: error,
    stage: 'transfer',
    disposition: 'permanent',
    remedy: error.remedy,
  });
}

/** Whether the source responds as an Orthanc does. */
export async function isWell({ orthanc, signal }: Pick<InstanceRequest, 'orthanc' | 'signal'>): Promise<boolean> {
  try {
    await orthanc.system({ timeoutMs: probeMs, ...(signal && { signal }) });
    return true;
  } catch {
    return false;
  }
}

/** Whether a failure to read one file of the source affects only this file: the source otherwise responds. */
export async function isOfOneFile(
  thrown: unknown,
  source: Pick<InstanceRequest, 'orthanc' | 'signal'>,
): Promise<boolean> {
  if (!(thrown instanceof OrthancError) || source.signal?.aborted === true || ofTheSource.has(thrown.code))
    return false;
  return isWell(source);
}

/** Whether the source has the instance; undefined if Orthanc itself does not respond. */
async function isThere({ orthanc, instance, signal }: InstanceRequest): Promise<boolean | undefined> {
  try {
    return await orthanc.instances.exists(instance.sourceId, { timeoutMs: probeMs, ...(signal && { signal }) });
  } catch {
    return undefined;
  }
}

/** Whether the source cannot read the stored file itself: then no change is at fault. */
async function isUnreadable({ orthanc, instance, signal }: InstanceRequest): Promise<boolean> {
  try {
    await orthanc.instances.tags(instance.sourceId, { timeoutMs: probeMs, ...(signal && { signal }) });
    return false;
  } catch (error) {
    if (!(error instanceof OrthancError) || !error.isOrthancAnswer) return false;
    return error.code === 'bad-request' || error.code === 'server-error';
  }
}

/** A 404 of another server, or for a listed instance, does not mean that a study was deleted. */
function notAboutInstance(error: OrthancError, source: string): unknown {
  if (error.code !== 'not-found') return sourceError(error, source, 'transfer');
  return new DispatchError('source-error', `source ${source}: ${error.message}; this is not an answer of Orthanc`, {
    cause: error,
    stage: 'transfer',
    remedy: 'Check what is between the dispatcher and the source Orthanc, for example a reverse proxy.',
  });
}

/** Orthanc's responses for a missing codec (a 500), and for an unsupported transfer syntax or change (a 400). */
function cannotChange(error: OrthancError, change: Change): boolean {
  // The client knows in advance what this version does not support.
  if (error.code === 'unsupported' && error.status === undefined) return true;
  // An empty file with status 200 may come from another server: it must be repeated.
  if (!error.isOrthancAnswer) return false;
  if (error.code === 'bad-request') return true;
  if (error.code !== 'server-error') return false;
  return (change === 'transcode' && error.orthancStatus === notImplemented) || /transcod/i.test(error.details ?? '');
}

function unsupported({ source, instance, change, transferSyntaxUid }: InstanceRequest, cause: OrthancError) {
  if (change === 'transform') {
    return new DispatchError(
      'instance-unsupported',
      `source ${source} cannot change or transcode instance ${instance.sopInstanceUid} as the transform requires`,
      {
        cause,
        stage: 'transfer',
        remedy: 'Check the log of the source. Exclude such instances, or change the transform.',
      },
    );
  }
  return new DispatchError(
    'instance-unsupported',
    `source ${source} cannot transcode from ${instance.transferSyntaxUid ?? 'an unknown transfer syntax'} to ${transferSyntaxUid}`,
    {
      cause,
      stage: 'transfer',
      remedy:
        'Allow the stored transfer syntax at the target, choose others in its transferSyntaxes, or install the GDCM plugin in the source Orthanc.',
    },
  );
}
