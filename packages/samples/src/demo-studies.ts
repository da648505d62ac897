import { buildStudy, instanceUid, seriesUid, studyUid } from './build-study.ts';
import type { SampleStudy } from './build-study.ts';
import type { CharacterSet } from './character-set.ts';
import { element } from './element.ts';
import type { Attributes, Element } from './element.ts';
import { inventExamination } from './patient.ts';
import type { Modality } from './patient.ts';
import type { SeriesPlan, SeriesShape } from './plan.ts';
import { ctSeries } from './series/ct.ts';
import { mrSeries } from './series/mr.ts';
import { radiographSeries } from './series/radiograph.ts';
import { reportSeries } from './series/report.ts';
import { ultrasoundSeries } from './series/ultrasound.ts';

export interface DemoOptions {
  /** Another seed gives other patients and UIDs. Default `demo`. */
  readonly seed?: number | string;
  /** Slices of the longest series, and frames of the echocardiogram; other series have at most as many. Default 28. */
  readonly slices?: number;
  /** Rows and columns of a CT slice; the sizes of other images are derived from it. Default 256. */
  readonly size?: number;
  /** Date of the examinations, YYYYMMDD. Default: one in 2024 that depends on the seed. */
  readonly date?: string;
}

/** Everyday studies of several series that are useful in a viewer. About 25 MB. */
export function demoStudies(options: DemoOptions = {}): readonly SampleStudy[] {
  const seed = String(options.seed ?? 'demo');
  return [chestCt, headMr, chestRadiograph, echo].map((make, index) => make(`${seed} ${index + 1}`, options));
}

function chestCt(seed: string, options: DemoOptions): SampleStudy {
  const slices = options.slices ?? 28;
  const shape = shaper(seed, options.size ?? 256);
  const evidence = {
    studyInstanceUid: studyUid(seed),
    seriesInstanceUid: seriesUid(seed, 1),
    sopClassUid: '1.2.840.10008.5.1.4.1.1.2',
    sopInstanceUid: instanceUid(seed, 1, Math.ceil(slices * 0.75)),
  };
  const report = [
    ['121060', 'History', 'Cough for six weeks. Former smoker.'],
    [
      '121070',
      'Findings',
      'Round nodule of 15 mm in the right upper lobe. Simple cyst of the liver, 25 mm. No effusion.',
    ],
    ['121076', 'Conclusions', 'Nodule in the right upper lobe; further work-up. All of this is invented.'],
  ] as const;
  return assemble(seed, 'CT', 'ISO_IR 100', options, {
    attributes: {
      PatientName: 'Müller-Beispiel^Jörg',
      PatientSex: 'M',
      StudyDescription: 'CT thorax with contrast',
      RequestedProcedureDescription: 'CT thorax',
    },
    series: [
      ctSeries(shape(1, slices), { reading: 'axial', kernel: 'soft' }),
      ctSeries(shape(2, Math.ceil(slices * 0.7)), { reading: 'coronal', kernel: 'soft' }),
      ctSeries(shape(3, slices), { reading: 'axial', kernel: 'lung' }),
      reportSeries(shape(4, 1), report, [evidence]),
    ],
  });
}

function headMr(seed: string, options: DemoOptions): SampleStudy {
  const slices = Math.ceil((options.slices ?? 28) * 0.75);
  const shape = shaper(seed, options.size ?? 256);
  return assemble(seed, 'MR', 'ISO_IR 192', options, {
    attributes: {
      PatientName: 'Sato^Hanako=佐藤^花子=さとう^はなこ',
      PatientSex: 'F',
      StudyDescription: 'MR head – T1, T2, FLAIR',
      InstitutionName: 'Example Hospital Zürich',
    },
    series: [
      mrSeries(shape(1, slices), { reading: 'axial', contrast: 'T1' }),
      mrSeries(shape(2, slices), { reading: 'axial', contrast: 'T2' }),
      mrSeries(shape(3, Math.ceil(slices * 0.8)), { reading: 'coronal', contrast: 'FLAIR' }),
      mrSeries(shape(4, Math.ceil(slices * 0.6)), { reading: 'sagittal', contrast: 'T1' }),
    ],
    further: [
      element(0x00290010, 'LO', 'EXAMPLE IMAGING 1'),
      element(0x00291001, 'LO', 'coil HEAD_20'),
      element(0x00291002, 'DS', [0.71, 1.29]),
      element(0x00291003, 'OB', Buffer.from('opaque vendor bytes \u0000\u0001\u0002')),
    ],
  });
}

function chestRadiograph(seed: string, options: DemoOptions): SampleStudy {
  const shape = shaper(seed, (options.size ?? 256) * 4);
  return assemble(seed, 'DX', 'ISO_IR 100', options, {
    attributes: { StudyDescription: 'Chest PA and lateral' },
    series: [radiographSeries('DX', shape(1, 1)), radiographSeries('DX', shape(2, 1))],
  });
}

function echo(seed: string, options: DemoOptions): SampleStudy {
  const size = options.size ?? 256;
  const shape = shaper(seed, size);
  return assemble(seed, 'US', 'ISO_IR 100', options, {
    attributes: { StudyDescription: 'Echocardiography', InstitutionalDepartmentName: 'Cardiology' },
    series: [
      ultrasoundSeries({ ...shape(1, 1), columns: Math.ceil(size * 1.25), frames: options.slices ?? 28 }),
      ultrasoundSeries({ ...shape(2, 2), columns: Math.ceil(size * 1.25) }),
    ],
  });
}

function shaper(seed: string, size: number): (seriesNumber: number, instances: number) => SeriesShape {
  return (seriesNumber, instances) => ({
    seed,
    seriesNumber,
    instances: Math.max(1, instances),
    rows: size,
    columns: size,
    frames: 1,
    isQuick: false,
    studyInstanceUid: studyUid(seed),
  });
}

function assemble(
  seed: string,
  modality: Modality,
  characterSet: CharacterSet,
  { date }: DemoOptions,
  study: { attributes: Attributes; series: readonly SeriesPlan[]; further?: readonly Element[] },
): SampleStudy {
  const dates = date
    ? {
        InstanceCreationDate: date,
        StudyDate: date,
        SeriesDate: date,
        AcquisitionDate: date,
        ContentDate: date,
      }
    : {};
  const attributes = { ...inventExamination(seed, modality), ...dates, ...study.attributes };
  return buildStudy({ ...study, seed, attributes }, { transferSyntax: 'explicit-le', characterSet });
}
