import { randomUUID } from 'node:crypto';
import type { ManifestInstance, StudyTags } from '../contract/index.ts';

/** An instance at the source of a test. */
export interface TestInstance {
  readonly manifest: ManifestInstance;
  /** The bytes, from the beginning at each call. */
  read(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  /** Receives a chunk that may be filled again, like a source that reads into its own memory. */
  readonly releaseChunk?: (chunk: Uint8Array) => void;
}

export interface TestStudy {
  readonly tags: StudyTags;
  readonly instances: readonly TestInstance[];
}

/** CT Image Storage and Explicit VR Little Endian (PS3.6 table A-1): declared values of generated instances. */
const ctImage = '1.2.840.10008.5.1.4.1.1.2';
const explicitVr = '1.2.840.10008.1.2.1';
const chunkBytes = 16_384;

/**
 * A study of one series with these files as its instances. The files are not read: UIDs are generated unless `manifest` has
 * others, which a handler that parses the bytes needs.
 *
 * @param files - contents of Part 10 files; arbitrary bytes are sufficient for a handler that only passes them on
 * @param manifest - overrides for the instance of this index
 */
export function testStudy(
  files: readonly Uint8Array[],
  manifest: (index: number) => Partial<ManifestInstance> = () => ({}),
): TestStudy {
  const studyInstanceUid = uid();
  const seriesInstanceUid = uid();
  const instances = files.map((bytes, index): TestInstance => {
    const sopInstanceUid = uid();
    const made = { sopInstanceUid, seriesInstanceUid, studyInstanceUid, sopClassUid: ctImage };
    const stored = { transferSyntaxUid: explicitVr, instanceNumber: index + 1, sizeBytes: bytes.byteLength };
    return {
      manifest: { ...made, ...stored, sourceId: sopInstanceUid, version: '1', ...manifest(index) },
      read: () => chunksOf(bytes),
    };
  });
  const series = new Map(
    instances.map(({ manifest: one }) => [
      one.seriesInstanceUid,
      { SeriesInstanceUID: one.seriesInstanceUid, SeriesNumber: '1', Modality: 'CT' },
    ]),
  );
  const first = instances[0]?.manifest.studyInstanceUid ?? studyInstanceUid;
  const study = { StudyInstanceUID: first, PatientID: 'TEST-1', PatientName: 'Test^Tina', StudyDate: '20240615' };
  return { tags: { studyInstanceUid: first, study, series }, instances };
}

/** A UID derived from a UUID: PS3.5 section B.2. */
function uid(): string {
  return `2.25.${BigInt(`0x${randomUUID().replaceAll('-', '')}`)}`;
}

function* chunksOf(bytes: Uint8Array): Iterable<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
}
