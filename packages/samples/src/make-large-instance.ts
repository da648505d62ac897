import { instanceUid, seriesUid, studyUid } from './build-study.ts';
import type { SampleInstance } from './build-study.ts';
import { dataset } from './element.ts';
import { encodeDataset, encodeHeader } from './encode-dataset.ts';
import { encodeFileMeta, encodingOf } from './encode-part10.ts';
import { inventExamination } from './patient.ts';
import { pixelAttributes } from './pixels.ts';
import { createRandom } from './random.ts';
import { transferSyntaxes } from './transfer-syntax.ts';

export interface LargeInstanceOptions {
  /** Approximate size of the file, up to 4 GiB; it consists of complete frames of 2 MiB (or less for small ones). */
  readonly sizeBytes: number;
  readonly seed?: number | string;
}

/** A file too large for memory, in chunks of up to 2 MiB. Can be read any number of times, always the same. */
export interface LargeInstance extends Omit<SampleInstance, 'bytes'>, AsyncIterable<Buffer> {
  /** The exact sum of the chunks. */
  readonly sizeBytes: number;
  readonly frames: number;
}

/**
 * Multi-frame Grayscale Word Secondary Capture of noise; each frame begins with its number, so that frames cannot be
 * confused.
 */
export function makeLargeInstance({ sizeBytes, seed: given = 1 }: LargeInstanceOptions): LargeInstance {
  const seed = `large ${given}`;
  const side = sizeBytes >= 8 * 1024 * 1024 ? 1024 : 128;
  const frameBytes = side * side * 2;
  const frames = Math.max(1, Math.round(sizeBytes / frameBytes));
  // The value length of Pixel Data is a 32-bit even number, and all ones means "undefined".
  if (frames * frameBytes > 0xfffffffe)
    throw new RangeError(`sizeBytes is ${sizeBytes}; at most 4 GiB fit in one instance`);
  const head = makeHead(seed, side, frames, frameBytes);
  return {
    studyInstanceUid: studyUid(seed),
    seriesInstanceUid: seriesUid(seed, 1),
    sopInstanceUid: instanceUid(seed, 1, 1),
    sopClassUid,
    transferSyntaxUid: transferSyntaxes['explicit-le'],
    modality: 'OT',
    seriesNumber: 1,
    instanceNumber: 1,
    sizeBytes: head.length + frames * frameBytes,
    frames,
    async *[Symbol.asyncIterator]() {
      yield head;
      const noise = makeNoise(seed, frameBytes);
      for (let frame = 0; frame < frames; frame += 1) {
        // A copy: the reader of the previous one may still use it.
        const chunk = Buffer.from(noise);
        chunk.writeUInt32LE(frame, 0);
        yield chunk;
      }
    },
  };
}

/** Multi-frame Grayscale Word Secondary Capture Image Storage. */
const sopClassUid = '1.2.840.10008.5.1.4.1.1.7.3';

function makeHead(seed: string, side: number, frames: number, frameBytes: number): Buffer {
  const encoding = encodingOf('explicit-le', 'ISO_IR 100');
  const elements = dataset({
    ...inventExamination(seed, 'OT'),
    ...pixelAttributes({ rows: side, columns: side, frames, bitsAllocated: 16, bitsStored: 16 }),
    SpecificCharacterSet: 'ISO_IR 100',
    SOPClassUID: sopClassUid,
    SOPInstanceUID: instanceUid(seed, 1, 1),
    StudyInstanceUID: studyUid(seed),
    SeriesInstanceUID: seriesUid(seed, 1),
    Modality: 'OT',
    SeriesNumber: 1,
    InstanceNumber: 1,
    ConversionType: 'WSD',
    ImageType: ['DERIVED', 'SECONDARY'],
    BurnedInAnnotation: 'NO',
    FrameTime: 40,
    FrameIncrementPointer: 0x00181063,
    RescaleIntercept: 0,
    RescaleSlope: 1,
    RescaleType: 'US',
  });
  return Buffer.concat([
    encodeFileMeta({ sopClassUid, sopInstanceUid: instanceUid(seed, 1, 1), transferSyntax: 'explicit-le' }),
    encodeDataset(elements, encoding),
    encodeHeader(0x7fe00010, 'OW', frames * frameBytes, encoding),
  ]);
}

function makeNoise(seed: string, length: number): Buffer {
  const random = createRandom(seed, 'large');
  const noise = Buffer.alloc(length);
  for (let at = 0; at < length; at += 4) noise.writeUInt32LE(Math.floor(random.next() * 4_294_967_296), at);
  return noise;
}
