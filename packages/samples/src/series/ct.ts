import { makePlane, pixelAttributes, samplePlane, toWords } from '../pixels.ts';
import type { Plane } from '../pixels.ts';
import type { SeriesPlan, SeriesShape } from '../plan.ts';
import { quickPixels } from '../quick-pixels.ts';
import { createNoise, createRandom } from '../random.ts';
import { makeUid } from '../uid.ts';
import { chest } from './chest.ts';

export interface CtLook {
  readonly reading: 'axial' | 'coronal';
  readonly kernel: 'soft' | 'lung';
}

const kernels = {
  soft: { name: 'B30f', deviation: 11, window: [[40, 400], ['MEDIASTINUM']] },
  lung: { name: 'B60f', deviation: 34, window: [[-550, 1600], ['LUNG']] },
} as const;

const looks: readonly CtLook[] = [
  { reading: 'axial', kernel: 'soft' },
  { reading: 'coronal', kernel: 'soft' },
  { reading: 'axial', kernel: 'lung' },
  { reading: 'coronal', kernel: 'lung' },
];

/** Distance between first and last slice, in millimetres. */
const extentMm: Readonly<Record<CtLook['reading'], number>> = { axial: 250, coronal: 180 };

/** CT Image Storage of a chest: stored values are Hounsfield units plus 1024 in 12 bits. */
export function ctSeries(shape: SeriesShape, look = looks[(shape.seriesNumber - 1) % looks.length]!): SeriesPlan {
  const { reading } = look;
  const kernel = kernels[look.kernel];
  const stepMm = extentMm[reading] / Math.max(1, shape.instances - 1);
  function paint(plane: Plane, index: number): Buffer {
    const noise = createNoise(createRandom(shape.seed, 'ct', shape.seriesNumber, index));
    const values = samplePlane(plane, chest).map((value) => value + 1024 + noise() * kernel.deviation);
    return toWords(values, 12);
  }

  return {
    instanceCount: shape.instances,
    attributes: {
      Modality: 'CT',
      SeriesDescription: `Thorax ${reading} ${look.kernel} ${Math.max(1, Math.round(stepMm))} mm`,
      BodyPartExamined: 'CHEST',
      ProtocolName: 'Thorax routine',
      FrameOfReferenceUID: makeUid(shape.studyInstanceUid, 'frame of reference'),
      PositionReferenceIndicator: '',
      PatientPosition: 'HFS',
    },
    makeInstance: (index) => {
      const along = (shape.instances === 1 ? 0 : index / (shape.instances - 1) - 0.5) * extentMm[reading];
      // Axial slices run from the lungs' bases to their tops, coronal ones from front to back.
      const position = reading === 'axial' ? along - 5 : along * 0.9;
      const plane = makePlane(reading, position, shape.rows, shape.columns, 380);
      const pixels = {
        ...shape,
        frames: 1,
        bitsAllocated: 16,
        bitsStored: 12,
        data: shape.isQuick ? quickPixels(shape, 12, index) : paint(plane, index),
      } as const;
      return {
        sopClassUid: '1.2.840.10008.5.1.4.1.1.2',
        pixels,
        attributes: {
          ...pixelAttributes(pixels),
          ...planeAttributes(plane, stepMm),
          ImageType:
            reading === 'axial' ? ['ORIGINAL', 'PRIMARY', 'AXIAL'] : ['DERIVED', 'SECONDARY', 'REFORMATTED', 'AVERAGE'],
          SliceLocation: position,
          ScanOptions: 'HELIX',
          ContrastBolusAgent: 'Iodine 350',
          KVP: 120,
          XRayTubeCurrent: 180 + (index % 7) * 9,
          ExposureTime: 500,
          ConvolutionKernel: kernel.name,
          AcquisitionNumber: 1,
          RescaleIntercept: -1024,
          RescaleSlope: 1,
          RescaleType: 'HU',
          WindowCenter: kernel.window[0][0],
          WindowWidth: kernel.window[0][1],
          WindowCenterWidthExplanation: kernel.window[1][0],
        },
      };
    },
  };
}

/** The Image Plane Module (PS3.3 section C.7.6.2). */
export function planeAttributes(
  plane: ReturnType<typeof makePlane>,
  stepMm: number,
): {
  readonly PixelSpacing: readonly number[];
  readonly ImagePositionPatient: readonly number[];
  readonly ImageOrientationPatient: readonly number[];
  readonly SliceThickness: number;
} {
  return {
    PixelSpacing: [plane.spacingMm, plane.spacingMm],
    ImagePositionPatient: [...plane.origin],
    ImageOrientationPatient: [...plane.rowDirection, ...plane.columnDirection],
    SliceThickness: stepMm,
  };
}
