import { makePlane, pixelAttributes, samplePlane, toWords } from '../pixels.ts';
import type { Plane, Reading } from '../pixels.ts';
import type { SeriesPlan, SeriesShape } from '../plan.ts';
import { quickPixels } from '../quick-pixels.ts';
import { createNoise, createRandom } from '../random.ts';
import { makeUid } from '../uid.ts';
import { head, signals } from './brain.ts';
import type { Contrast } from './brain.ts';
import { planeAttributes } from './ct.ts';

export interface MrLook {
  readonly reading: Reading;
  readonly contrast: Contrast;
}

const looks: readonly MrLook[] = [
  { reading: 'axial', contrast: 'T1' },
  { reading: 'axial', contrast: 'T2' },
  { reading: 'sagittal', contrast: 'T1' },
  { reading: 'coronal', contrast: 'FLAIR' },
];

const timings = {
  T1: { sequence: 't1_se', ScanningSequence: 'SE', RepetitionTime: 520, EchoTime: 9.4, EchoTrainLength: 1 },
  T2: { sequence: 't2_tse', ScanningSequence: 'SE', RepetitionTime: 4100, EchoTime: 98, EchoTrainLength: 15 },
  FLAIR: {
    sequence: 't2_flair',
    ScanningSequence: ['SE', 'IR'],
    RepetitionTime: 9000,
    EchoTime: 112,
    InversionTime: 2500,
    EchoTrainLength: 17,
  },
} as const;

const extentMm: Readonly<Record<Reading, number>> = { axial: 140, coronal: 160, sagittal: 130 };
const letters: Readonly<Record<Reading, string>> = { axial: 'tra', coronal: 'cor', sagittal: 'sag' };

/** MR Image Storage of a head. Noise is Rician, as in a magnitude image. */
export function mrSeries(shape: SeriesShape, look = looks[(shape.seriesNumber - 1) % looks.length]!): SeriesPlan {
  const { reading, contrast } = look;
  const { sequence, ...timing } = timings[contrast];
  const stepMm = extentMm[reading] / Math.max(1, shape.instances - 1);
  const signal = signals[contrast];
  function paint(plane: Plane, index: number): Buffer {
    const noise = createNoise(createRandom(shape.seed, 'mr', shape.seriesNumber, index));
    const values = samplePlane(plane, (x, y, z) => signal[head(x, y, z)]).map((value) =>
      Math.hypot(value + noise() * 16, noise() * 16),
    );
    return toWords(values, 12);
  }

  return {
    instanceCount: shape.instances,
    attributes: {
      Modality: 'MR',
      SeriesDescription: `${sequence}_${letters[reading]}_${Math.max(1, Math.round(stepMm))}mm`,
      BodyPartExamined: 'HEAD',
      ProtocolName: `${sequence}_${letters[reading]}`,
      FrameOfReferenceUID: makeUid(shape.studyInstanceUid, 'frame of reference'),
      PositionReferenceIndicator: '',
      PatientPosition: 'HFS',
    },
    makeInstance: (index) => {
      const position = (shape.instances === 1 ? 0.05 : index / (shape.instances - 1) - 0.5) * extentMm[reading];
      const plane = makePlane(reading, position, shape.rows, shape.columns, 230);
      const pixels = {
        ...shape,
        frames: 1,
        bitsAllocated: 16,
        bitsStored: 12,
        data: shape.isQuick ? quickPixels(shape, 12, index) : paint(plane, index),
      } as const;
      return {
        sopClassUid: '1.2.840.10008.5.1.4.1.1.4',
        pixels,
        attributes: {
          ...pixelAttributes(pixels),
          ...planeAttributes(plane, stepMm),
          ...timing,
          ImageType: ['ORIGINAL', 'PRIMARY', 'M', 'ND'],
          SliceLocation: position,
          SpacingBetweenSlices: stepMm,
          SequenceVariant: 'SK',
          ScanOptions: '',
          MRAcquisitionType: '2D',
          MagneticFieldStrength: 1.5,
          AcquisitionNumber: 1,
          WindowCenter: contrast === 'T2' ? 560 : 420,
          WindowWidth: contrast === 'T2' ? 1150 : 860,
        },
      };
    },
  };
}
