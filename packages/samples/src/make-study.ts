import { buildStudy, studyUid } from './build-study.ts';
import type { SampleStudy } from './build-study.ts';
import type { CharacterSet } from './character-set.ts';
import type { Attributes, Element } from './element.ts';
import { inventExamination } from './patient.ts';
import type { Modality } from './patient.ts';
import type { SeriesPlan, SeriesShape } from './plan.ts';
import { ctSeries } from './series/ct.ts';
import { mrSeries } from './series/mr.ts';
import { radiographSeries } from './series/radiograph.ts';
import { reportSeries } from './series/report.ts';
import { secondarySeries } from './series/secondary.ts';
import { ultrasoundSeries } from './series/ultrasound.ts';
import type { TransferSyntax } from './transfer-syntax.ts';

export interface StudyOptions {
  /** UIDs, names and noise are derived from it. Default 1. */
  readonly seed?: number | string;
  /** Default `CT`. */
  readonly modality?: Modality;
  /** How many series. Default 1. */
  readonly series?: number;
  /** Default 3. */
  readonly instancesPerSeries?: number;
  /** Default 64. */
  readonly rows?: number;
  /** Default 64. */
  readonly columns?: number;
  /** Frames an instance; more than 1 for US and OT only. Default 1. */
  readonly frames?: number;
  /** An image instead of noise, which takes hundreds of times longer. Default false. */
  readonly painted?: boolean;
  /** Default `explicit-le`. */
  readonly transferSyntax?: TransferSyntax;
  /** Default `ISO_IR 100`. */
  readonly characterSet?: CharacterSet;
  /** Patient and study attributes that replace the invented ones, in all instances: `{ PatientID: 'X' }`. */
  readonly attributes?: Attributes;
  /** Additional elements of all instances, private or unusual ones: `[element(0x00091010, 'LO', 'x')]`. */
  readonly extraTags?: readonly Element[];
}

/** A synthetic study. Different seeds give different studies; the same options always give the same bytes. */
export function makeStudy(options: StudyOptions = {}): SampleStudy {
  const modality = options.modality ?? 'CT';
  const seed = String(options.seed ?? 1);
  const frames = options.frames ?? 1;
  if (frames > 1 && modality !== 'US' && modality !== 'OT') {
    throw new RangeError(`frames is ${frames} for ${modality}; only US and OT samples have several`);
  }
  const shapes = Array.from({ length: options.series ?? 1 }, (_, index) => ({
    seed,
    seriesNumber: index + 1,
    instances: options.instancesPerSeries ?? 3,
    rows: options.rows ?? 64,
    columns: options.columns ?? 64,
    frames,
    isQuick: !options.painted,
    studyInstanceUid: studyUid(seed),
  }));
  return buildStudy(
    {
      seed,
      attributes: { ...inventExamination(seed, modality), ...options.attributes },
      series: shapes.map((shape) => planSeries(modality, shape)),
      further: options.extraTags ?? [],
    },
    {
      transferSyntax: options.transferSyntax ?? 'explicit-le',
      characterSet: options.characterSet ?? 'ISO_IR 100',
    },
  );
}

function planSeries(modality: Modality, shape: SeriesShape): SeriesPlan {
  switch (modality) {
    case 'CT':
      return ctSeries(shape);
    case 'MR':
      return mrSeries(shape);
    case 'CR':
    case 'DX':
      return radiographSeries(modality, shape);
    case 'US':
      return ultrasoundSeries(shape);
    case 'SR':
      return reportSeries(shape);
    case 'OT':
      return secondarySeries(shape);
  }
}
