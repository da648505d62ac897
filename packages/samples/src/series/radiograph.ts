import type { Attributes } from '../element.ts';
import { pixelAttributes, toWords } from '../pixels.ts';
import type { SeriesPlan, SeriesShape } from '../plan.ts';
import { quickPixels } from '../quick-pixels.ts';
import { createNoise, createRandom } from '../random.ts';
import { chord, ribs, slantedRibs } from './shadow.ts';

type View = 'PA' | 'LATERAL';

const classes = {
  CR: '1.2.840.10008.5.1.4.1.1.1',
  DX: '1.2.840.10008.5.1.4.1.1.1.1',
} as const;

/** A chest radiograph, alternating frontal and lateral: the absorption along each ray, as brightness. */
export function radiographSeries(modality: 'CR' | 'DX', shape: SeriesShape): SeriesPlan {
  const view: View = shape.seriesNumber % 2 === 1 ? 'PA' : 'LATERAL';
  return {
    instanceCount: shape.instances,
    attributes: {
      Modality: modality,
      SeriesDescription: view === 'PA' ? 'Chest PA' : 'Chest lateral',
      BodyPartExamined: 'CHEST',
      ProtocolName: 'Chest two views',
      Laterality: modality === 'CR' ? '' : undefined,
    },
    makeInstance: (index) => {
      const data = shape.isQuick ? quickPixels(shape, 14, index) : toWords(expose(shape, view, index), 14);
      const pixels = { ...shape, frames: 1, bitsAllocated: 16, bitsStored: 14, data } as const;
      const spacingMm = 400 / Math.max(shape.rows, shape.columns);
      return {
        sopClassUid: classes[modality],
        pixels,
        attributes: {
          ...pixelAttributes(pixels),
          ...(modality === 'DX' ? digitalAttributes() : {}),
          ImageType: ['ORIGINAL', 'PRIMARY'],
          ViewPosition: view === 'PA' ? 'PA' : 'LL',
          PatientOrientation: view === 'PA' ? ['L', 'F'] : ['A', 'F'],
          ImagerPixelSpacing: [spacingMm, spacingMm],
          KVP: 125,
          ExposureTime: view === 'PA' ? 8 : 21,
          XRayTubeCurrent: 320,
          RescaleIntercept: 0,
          RescaleSlope: 1,
          RescaleType: 'US',
          WindowCenter: 8000,
          WindowWidth: 13_000,
        },
      };
    },
  };
}

function digitalAttributes(): Attributes {
  return {
    PresentationIntentType: 'FOR PRESENTATION',
    PixelIntensityRelationship: 'LOG',
    PixelIntensityRelationshipSign: -1,
    DetectorType: 'DIRECT',
    ImageLaterality: 'U',
    BurnedInAnnotation: 'NO',
    LossyImageCompression: '00',
    AnatomicRegionSequence: [],
    AcquisitionContextSequence: [],
  };
}

function expose(shape: SeriesShape, view: View, index: number): Float32Array {
  const noise = createNoise(createRandom(shape.seed, 'radiograph', shape.seriesNumber, index));
  const values = new Float32Array(shape.rows * shape.columns);
  const spacingMm = 400 / Math.max(shape.rows, shape.columns);
  for (let row = 0; row < shape.rows; row += 1) {
    const z = ((shape.rows - 1) / 2 - row) * spacingMm;
    for (let column = 0; column < shape.columns; column += 1) {
      const across = (column - (shape.columns - 1) / 2) * spacingMm;
      const bright = view === 'PA' ? frontal(across, z) : lateral(across, z);
      values[row * shape.columns + column] = 600 + bright * 46 + noise() * 70;
    }
  }
  return values;
}

/** Rays from back to front; the patient's left is on the right of the image. */
function frontal(x: number, z: number): number {
  const shoulders = 165 + Math.max(0, z - 90) * 0.9;
  const body = 150 * Math.sqrt(Math.max(0, 1 - (x / shoulders) ** 2)) * (z > 175 ? 0.55 : 1);
  if (body === 0 || (z > 150 && Math.abs(x) > 60 && z > 215 - Math.abs(x) * 0.35)) return 0;
  const lungs = chord(x, z, -78, 5, 66, 150, 150) + chord(x, z, 82, 5, 62, 148, 150);
  const rightDome = z < -68 - ((x + 75) / 10) ** 2 / 2.4 && x < 5;
  const leftDome = z < -88 - ((x - 85) / 10) ** 2 / 2.4 && x >= 5;
  const air = rightDome || leftDome ? 0 : lungs * 0.86;
  const heart = chord(x, z, 30, -48, 68, 62, 95) * 0.75 + chord(x, z, 32, 62, 20, 22, 50) * 0.7;
  const spine = Math.abs(x) < 18 ? 40 + 12 * Number(((z % 27) + 27) % 27 > 5) : 0;
  const nodule = chord(x, z, -92, 58, 9, 9, 60);
  const clavicle =
    Math.abs(z - 128 + Math.abs(Math.abs(x) - 75) * 0.25) < 6 && Math.abs(x) > 14 && Math.abs(x) < 135 ? 34 : 0;
  const marker = letter(x - 148, z - 172) ? 180 : 0;
  return body - air + heart + spine + nodule + clavicle + ribs(x, z) + marker;
}

/** Rays from right to left; the front of the patient is on the left of the image. */
function lateral(y: number, z: number): number {
  const body = 210 * Math.sqrt(Math.max(0, 1 - (y / 118) ** 2));
  if (body === 0) return 0;
  const air = z < -80 - ((y + 10) / 10) ** 2 / 2.6 ? 0 : chord(y, z, 0, 5, 96, 152, 240) * 0.8;
  const heart = chord(y, z, -30, -50, 52, 60, 120) * 0.7;
  const spine = Math.abs(y - 72 + (z / 60) ** 2) < 17 ? 62 + 26 * Number(((z % 27) + 27) % 27 > 5) : 0;
  const sternum = Math.abs(y + 100 - Math.abs(z) * 0.06) < 4 && z > -70 && z < 110 ? 55 : 0;
  return body - air + heart + spine + sternum + slantedRibs(y, z);
}

/** The lead side marker: an L of 14 by 20 millimetres. */
function letter(x: number, z: number): boolean {
  const upright = x > 0 && x < 4 && z > 0 && z < 20;
  return upright || (x > 0 && x < 14 && z > 0 && z < 4);
}
