import { makeStudy, type SampleInstance, type StudyOptions } from '@dicom-dispatch/samples';
import type { ManifestInstance } from '@dicom-dispatch/target-kit';
import type { TestInstance, TestStudy } from '@dicom-dispatch/target-kit/testing';
import { part10Facts, type Part10Facts } from './part10-facts.ts';

/** An instance at the source of a test. */
export interface FixtureInstance extends TestInstance {
  facts(): Promise<Part10Facts>;
}

export interface FixtureStudy extends TestStudy {
  readonly instances: readonly FixtureInstance[];
}

export interface FixtureOptions extends StudyOptions {
  /** Default 16 KiB. */
  readonly chunkBytes?: number;
  /** Override the values that templates use; the files are unchanged. */
  readonly studyTags?: Readonly<Record<string, string>>;
  readonly seriesTags?: Readonly<Record<string, string>>;
}

/** A small synthetic study. By default two series of three instances. */
export function fixtureStudy(options: FixtureOptions = {}): FixtureStudy {
  const { chunkBytes = 16_384, studyTags, seriesTags, ...study } = options;
  const sample = makeStudy({ series: 2, instancesPerSeries: 3, rows: 96, columns: 96, ...study });
  const instances = [...sample];
  const series = new Map<string, Readonly<Record<string, string>>>();
  for (const { seriesInstanceUid, seriesNumber, modality } of instances) {
    const tags = { SeriesInstanceUID: seriesInstanceUid, SeriesNumber: `${seriesNumber}`, Modality: modality };
    series.set(seriesInstanceUid, { ...tags, ...seriesTags });
  }
  return {
    tags: {
      studyInstanceUid: sample.studyInstanceUid,
      study: {
        StudyInstanceUID: sample.studyInstanceUid,
        PatientID: sample.patientId,
        PatientName: 'Probe^Paula',
        AccessionNumber: sample.accessionNumber,
        StudyDate: '20240615',
        StudyDescription: sample.description,
        ...studyTags,
      },
      series,
    },
    instances: instances.map((instance) => {
      let facts: Promise<Part10Facts> | undefined;
      return {
        manifest: manifestOf(instance, instance.bytes.length),
        read: () => chunksOf(instance.bytes, chunkBytes),
        facts: () => (facts ??= part10Facts([instance.bytes])),
      };
    }),
  };
}

function manifestOf(instance: SampleInstance, sizeBytes: number): ManifestInstance {
  return {
    sopInstanceUid: instance.sopInstanceUid,
    seriesInstanceUid: instance.seriesInstanceUid,
    studyInstanceUid: instance.studyInstanceUid,
    sopClassUid: instance.sopClassUid,
    transferSyntaxUid: instance.transferSyntaxUid,
    instanceNumber: instance.instanceNumber,
    sizeBytes,
    sourceId: instance.sopInstanceUid,
    version: '1',
  };
}

function* chunksOf(bytes: Buffer, chunkBytes: number): Iterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
}

/** A study of one instance of about this size, generated while it is read and never held completely. */
export function largeStudy(sizeBytes: number): FixtureStudy {
  const small = fixtureStudy({
    seed: 'large',
    modality: 'OT',
    series: 1,
    instancesPerSeries: 1,
    rows: 16,
    columns: 16,
  });
  const [instance] = [...makeStudy({ seed: 'large', modality: 'OT', instancesPerSeries: 1, rows: 16, columns: 16 })];
  const manifest = small.instances[0]?.manifest;
  if (!instance || !manifest) throw new Error('the sample study has no instance');
  // Pixel Data is the last element: (7FE0,0010) OW, two reserved bytes, then its length in four.
  const pixelData = instance.bytes.lastIndexOf(Buffer.from([0xe0, 0x7f, 0x10, 0x00]));
  const header = Buffer.from(instance.bytes.subarray(0, pixelData + 12));
  const pixelBytes = (sizeBytes - header.length) & ~1;
  header.writeUInt32LE(pixelBytes, pixelData + 8);
  const total = header.length + pixelBytes;
  let facts: Promise<Part10Facts> | undefined;
  const chunks = new LargeChunks();
  const read = (): Iterable<Uint8Array> => chunks.read(header, pixelBytes);
  const releaseChunk = (chunk: Uint8Array): void => chunks.releaseChunk(chunk);
  return {
    tags: small.tags,
    instances: [
      { manifest: { ...manifest, sizeBytes: total }, read, releaseChunk, facts: () => (facts ??= part10Facts(read())) },
    ],
  };
}

/** Chunks of a large instance, in memory that is reused after its release. */
class LargeChunks {
  static readonly size = 256 * 1024;
  readonly #free: Buffer[] = [];
  readonly #lent = new WeakSet<ArrayBufferLike>();

  *read(header: Buffer, pixelBytes: number): Generator<Uint8Array> {
    yield header;
    for (let at = 0; at < pixelBytes; at += LargeChunks.size) {
      const memory = this.#free.pop() ?? Buffer.alloc(LargeChunks.size, 0x5a);
      this.#lent.add(memory.buffer);
      const chunk = memory.subarray(0, Math.min(LargeChunks.size, pixelBytes - at));
      // Numbered, so that exchanged chunks are detected: a chunk that was released too early has another number.
      if (chunk.length >= 8) chunk.writeDoubleLE(at, 0);
      yield chunk;
    }
  }

  releaseChunk(chunk: Uint8Array): void {
    if (this.#lent.delete(chunk.buffer)) this.#free.push(Buffer.from(chunk.buffer));
  }
}
