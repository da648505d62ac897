import { pixelAttributes } from '../pixels.ts';
import type { SeriesPlan, SeriesShape } from '../plan.ts';
import { quickPixels } from '../quick-pixels.ts';
import { createNoise, createRandom } from '../random.ts';
import { element } from '../element.ts';

/** An echo of a beating chamber in a fan of speckle: one multi-frame instance, or single frames where `frames` is 1. */
export function ultrasoundSeries(shape: SeriesShape): SeriesPlan {
  return {
    instanceCount: shape.instances,
    attributes: {
      Modality: 'US',
      SeriesDescription: shape.frames > 1 ? 'Apical four chamber loop' : 'Apical four chamber',
      BodyPartExamined: 'HEART',
      ProtocolName: 'Echo adult',
    },
    makeInstance: (index) => {
      const data = shape.isQuick ? quickPixels(shape, 8, index) : insonateAll(shape, index);
      const pixels = { ...shape, bitsAllocated: 8, bitsStored: 8, data } as const;
      const loop = shape.frames > 1;
      return {
        sopClassUid: loop ? '1.2.840.10008.5.1.4.1.1.3.1' : '1.2.840.10008.5.1.4.1.1.6.1',
        pixels,
        attributes: {
          ...pixelAttributes(pixels),
          ImageType: ['ORIGINAL', 'PRIMARY', '', '0001'],
          LossyImageCompression: '00',
          BurnedInAnnotation: 'NO',
          PatientOrientation: '',
          FrameTime: loop ? 33.33 : undefined,
          FrameIncrementPointer: loop ? element('FrameTime', 0).tag : undefined,
          WindowCenter: 128,
          WindowWidth: 256,
        },
      };
    },
  };
}

function insonateAll(shape: SeriesShape, index: number): Buffer {
  const frameBytes = shape.rows * shape.columns;
  const data = Buffer.alloc(frameBytes * shape.frames);
  for (let frame = 0; frame < shape.frames; frame += 1) {
    insonate(data.subarray(frame * frameBytes, (frame + 1) * frameBytes), shape, index, frame);
  }
  return data;
}

function insonate(target: Buffer, shape: SeriesShape, index: number, frame: number): void {
  // The same speckle in every frame, slightly shaken: tissue keeps its position while the chamber beats.
  const still = createNoise(createRandom(shape.seed, 'speckle', shape.seriesNumber, index));
  const lively = createNoise(createRandom(shape.seed, 'speckle', shape.seriesNumber, index, frame));
  const beat = 0.5 - 0.5 * Math.cos((2 * Math.PI * frame) / Math.max(1, shape.frames));
  const scale = Math.min(shape.rows, shape.columns * 0.8);
  for (let row = 0; row < shape.rows; row += 1) {
    const down = (row - shape.rows * 0.04) / scale;
    for (let column = 0; column < shape.columns; column += 1) {
      const grain = Math.hypot(still() + lively() * 0.25, still() + lively() * 0.25);
      const across = (column - shape.columns / 2) / scale;
      const range = Math.hypot(across, down);
      const inFan = range > 0.03 && range < 0.94 && Math.abs(across) < down * 0.84;
      target[row * shape.columns + column] = inFan ? compress(echo(across, down, beat) * grain) : 0;
    }
  }
}

/** How strongly a place of the heart reflects; the apex is at the top. */
function echo(across: number, down: number, beat: number): number {
  const squeeze = 1 - 0.28 * beat;
  const left = Math.hypot((across - 0.12) / (0.115 * squeeze), (down - 0.42) / (0.23 * (1 - 0.12 * beat)));
  const right = Math.hypot((across + 0.13) / (0.085 * squeeze), (down - 0.45) / 0.18);
  const atria = Math.min(
    Math.hypot((across - 0.13) / 0.11, (down - 0.76) / (0.08 + 0.03 * beat)),
    Math.hypot((across + 0.13) / 0.1, (down - 0.76) / (0.08 + 0.03 * beat)),
  );
  const inside = Math.min(left, right, atria);
  if (inside < 1) return 2.2;
  if (inside < 1.12) return 150;
  const valve = Math.abs(down - 0.665) < 0.012 && Math.abs(across) < 0.24;
  if (valve) return 170;
  return 46 * Math.exp(-down * 0.7) + (Math.abs(across) < 0.03 ? 40 : 0);
}

function compress(strength: number): number {
  return Math.min(255, Math.round(46 * Math.log1p(strength * 0.55)));
}
