import type { ManifestInstance } from '@dicom-dispatch/core';

/** Required properties of the bytes of an instance. */
export interface ExpectedBytes {
  readonly sopInstanceUid: string;
  readonly studyInstanceUid: string;
  readonly seriesInstanceUid: string;
  /** Undefined if the source does not know it. */
  readonly sopClassUid: string | undefined;
  readonly transferSyntaxUid: string | undefined;
  /** Undefined for generated files: their size is known when they exist. */
  readonly sizeBytes: number | undefined;
  /** More than this is never read. */
  readonly maxBytes: number;
  /** Orthanc's id, for a file as it is stored. */
  readonly orthancId: string | undefined;
}

/** An instance as it is stored. */
export function storedBytes(instance: ManifestInstance): ExpectedBytes {
  const { sopInstanceUid, studyInstanceUid, seriesInstanceUid, sopClassUid, transferSyntaxUid, sizeBytes } = instance;
  return {
    sopInstanceUid,
    studyInstanceUid,
    seriesInstanceUid,
    sopClassUid,
    transferSyntaxUid,
    sizeBytes,
    maxBytes: sizeBytes,
    orthancId: instance.sourceId,
  };
}

/**
 * An instance that the source transforms.
 *
 * @param shown - the instance as sent to the target
 * @param keepsIdentity - whether patient ID and UIDs are unchanged, so that it would have the same id in Orthanc
 */
export function madeBytes(
  shown: ManifestInstance,
  transferSyntaxUid: string | undefined,
  keepsIdentity: boolean,
): ExpectedBytes {
  return {
    ...storedBytes(shown),
    transferSyntaxUid,
    sizeBytes: undefined,
    // Nothing becomes larger than this by being decompressed.
    maxBytes: Math.max(64e6, shown.sizeBytes * 200),
    orthancId: keepsIdentity ? shown.sourceId : undefined,
  };
}
