import { DispatchError, type InstanceBytes, type ManifestInstance } from '@dicom-dispatch/core';
import { OrthancError, type OrthancClient } from '@dicom-dispatch/orthanc';
import { sourceError } from './source-error.ts';

/** Orthanc's own status: not implemented. */
const notImplemented = 2;

/**
 * Opens an instance's file at the source, as stored or transcoded.
 *
 * @throws DispatchError `source-instance-gone` when it was deleted since the manifest was read, `instance-unsupported`
 * when the source cannot transcode it
 */
export async function openInstance(
  orthanc: OrthancClient,
  source: string,
  instance: ManifestInstance,
  options: { readonly transferSyntaxUid?: string; readonly signal?: AbortSignal } = {},
): Promise<InstanceBytes> {
  const { transferSyntaxUid, signal } = options;
  const call = signal && { signal };
  try {
    if (transferSyntaxUid !== undefined) {
      const { sizeBytes, body } = await orthanc.instances.transcode(instance.sourceId, transferSyntaxUid, call);
      return { sizeBytes, body: translated(body, source) };
    }
    const file = await orthanc.instanceFile(instance.sourceId, call);
    // `translated` keeps nothing of what it passes on.
    const giveBack = (chunk: Uint8Array): void => file.release(chunk);
    return { sizeBytes: file.sizeBytes, body: translated(file.body, source), giveBack };
  } catch (error) {
    if (!(error instanceof OrthancError)) throw error;
    if (error.code === 'not-found') {
      throw new DispatchError(
        'source-instance-gone',
        `source ${source}: instance ${instance.sopInstanceUid} is not there any more`,
        { cause: error, stage: 'transfer' },
      );
    }
    if (transferSyntaxUid !== undefined && cannotTranscode(error)) {
      throw new DispatchError(
        'instance-unsupported',
        `source ${source} cannot transcode from ${instance.transferSyntaxUid ?? 'an unknown transfer syntax'} to ${transferSyntaxUid}`,
        {
          cause: error,
          stage: 'transfer',
          remedy:
            'Allow the stored transfer syntax at the target, choose others in its transferSyntaxes, or give the source Orthanc its GDCM plugin.',
        },
      );
    }
    throw sourceError(error, source, 'transfer');
  }
}

/** What Orthanc says when it lacks a codec (a 500), and to what is no transfer syntax (a 400). */
function cannotTranscode(error: OrthancError): boolean {
  if (error.code === 'bad-request') return true;
  if (error.code !== 'server-error') return false;
  return error.orthancStatus === notImplemented || /transcod/i.test(error.details ?? '');
}

async function* translated(body: AsyncIterable<Uint8Array>, source: string): AsyncIterable<Uint8Array> {
  try {
    yield* body;
  } catch (error) {
    throw sourceError(error, source, 'transfer');
  }
}
