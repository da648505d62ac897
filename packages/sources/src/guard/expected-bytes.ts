import type { ManifestInstance } from '@dicom-dispatch/core';

/** What the bytes of an instance must be, before anybody may take them for it. */
export interface ExpectedBytes {
  readonly sopInstanceUid: string;
  readonly studyInstanceUid: string;
  readonly seriesInstanceUid: string;
  /** Undefined where the source does not know it. */
  readonly sopClassUid: string | undefined;
  readonly transferSyntaxUid: string | undefined;
  /** Undefined for what is made on the way: its size is known when it is there. */
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
 * An instance that the source changes on its way.
 *
 * @param shown - the instance as the target will see it
 * @param keepsIdentity - whether patient ID and UIDs stay, so that it would have the same id in Orthanc
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
