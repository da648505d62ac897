import { DispatchError, type InstanceBytes, type ManifestInstance } from '@dicom-dispatch/core';
import { OrthancError, type OrthancClient } from '@dicom-dispatch/orthanc';
import { sourceError } from './source-error.ts';

/**
 * Opens an instance's file at the source, as stored or transcoded.
 *
 * @throws DispatchError `source-instance-gone` when it was deleted since the manifest was read
 */
export async function openInstance(
  orthanc: OrthancClient,
  source: string,
  instance: ManifestInstance,
  options: { readonly transferSyntaxUid?: string; readonly signal?: AbortSignal } = {},
): Promise<InstanceBytes> {
  try {
    const { sizeBytes, body } = await orthanc.instanceFile(instance.sourceId, {
      ...(options.transferSyntaxUid !== undefined && { transcode: options.transferSyntaxUid }),
      ...(options.signal && { signal: options.signal }),
    });
    return { sizeBytes, body: translated(body, source) };
  } catch (error) {
    if (error instanceof OrthancError && error.code === 'not-found') {
      throw new DispatchError(
        'source-instance-gone',
        `source ${source}: instance ${instance.sopInstanceUid} is not there any more`,
        {
          cause: error,
          stage: 'transfer',
        },
      );
    }
    throw sourceError(error, source, 'transfer');
  }
}

async function* translated(body: AsyncIterable<Uint8Array>, source: string): AsyncIterable<Uint8Array> {
  try {
    yield* body;
  } catch (error) {
    throw sourceError(error, source, 'transfer');
  }
}
