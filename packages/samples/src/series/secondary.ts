import { pixelAttributes, toWords } from '../pixels.ts';
import type { SeriesPlan, SeriesShape } from '../plan.ts';
import { quickPixels } from '../quick-pixels.ts';
import { createNoise, createRandom } from '../random.ts';

/** Secondary captures of a grey wedge with noise, multi-frame if `frames` is above 1. Fast to generate: no body. */
export function secondarySeries(shape: SeriesShape): SeriesPlan {
  return {
    instanceCount: shape.instances,
    attributes: { Modality: 'OT', SeriesDescription: 'Grey wedge', BodyPartExamined: '' },
    makeInstance: (index) => {
      const data = shape.isQuick ? quickPixels(shape, 12, index) : paintWedge(shape, index);
      const pixels = { ...shape, bitsAllocated: 16, bitsStored: 12, data } as const;
      const many = shape.frames > 1;
      return {
        // Multi-frame Grayscale Word, or plain, Secondary Capture Image Storage.
        sopClassUid: many ? '1.2.840.10008.5.1.4.1.1.7.3' : '1.2.840.10008.5.1.4.1.1.7',
        pixels,
        attributes: {
          ...pixelAttributes(pixels),
          ImageType: ['DERIVED', 'SECONDARY'],
          ConversionType: 'WSD',
          PatientOrientation: '',
          BurnedInAnnotation: 'NO',
          FrameTime: many ? 40 : undefined,
          FrameIncrementPointer: many ? 0x00181063 : undefined,
          RescaleIntercept: many ? 0 : undefined,
          RescaleSlope: many ? 1 : undefined,
          RescaleType: many ? 'US' : undefined,
          WindowCenter: 2048,
          WindowWidth: 4096,
        },
      };
    },
  };
}

function paintWedge(shape: SeriesShape, index: number): Buffer {
  const noise = createNoise(createRandom(shape.seed, 'wedge', shape.seriesNumber, index));
  const values = new Float32Array(shape.rows * shape.columns * shape.frames);
  const slope = 3500 / (shape.columns + shape.frames);
  for (let at = 0; at < values.length; at += 1) {
    const frame = Math.floor(at / (shape.rows * shape.columns));
    values[at] = 200 + ((at % shape.columns) + frame) * slope + noise() * 20;
  }
  return toWords(values, 12);
}
