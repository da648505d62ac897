import type { CharacterSet } from './character-set.ts';
import { dataset } from './element.ts';
import { encodePart10 } from './encode-part10.ts';
import type { SeriesPlan, StudyPlan } from './plan.ts';
import { transferSyntaxes } from './transfer-syntax.ts';
import type { TransferSyntax } from './transfer-syntax.ts';
import { makeUid } from './uid.ts';

/** One DICOM file, ready to be sent or stored. */
export interface SampleInstance {
  readonly studyInstanceUid: string;
  readonly seriesInstanceUid: string;
  readonly sopInstanceUid: string;
  readonly sopClassUid: string;
  readonly transferSyntaxUid: string;
  readonly modality: string;
  /** From 1, in its study. */
  readonly seriesNumber: number;
  /** From 1, in its series. */
  readonly instanceNumber: number;
  readonly bytes: Buffer;
}

/** A study whose instances are generated when they are read; reading them again gives the same bytes. */
export interface SampleStudy extends Iterable<SampleInstance> {
  readonly studyInstanceUid: string;
  readonly seriesInstanceUids: readonly string[];
  readonly instanceCount: number;
  readonly patientId: string;
  readonly accessionNumber: string;
  readonly description: string;
}

export interface StudyEncoding {
  readonly transferSyntax: TransferSyntax;
  readonly characterSet: CharacterSet;
}

/** UIDs that are derived from the seed alone, so that two parts of a test can name the same study. */
export const studyUid = (seed: string): string => makeUid(seed, 'study');
export const seriesUid = (seed: string, seriesNumber: number): string => makeUid(seed, 'series', seriesNumber);
export const instanceUid = (seed: string, seriesNumber: number, instanceNumber: number): string =>
  makeUid(seed, 'instance', seriesNumber, instanceNumber);

/** A study from its plan. */
export function buildStudy(plan: StudyPlan, encoding: StudyEncoding): SampleStudy {
  const { attributes, series } = plan;
  return {
    studyInstanceUid: text(attributes.StudyInstanceUID) || studyUid(plan.seed),
    seriesInstanceUids: series.map((_, index) => text(attributes.SeriesInstanceUID) || seriesUid(plan.seed, index + 1)),
    instanceCount: series.reduce((sum, one) => sum + one.instanceCount, 0),
    patientId: text(attributes.PatientID),
    accessionNumber: text(attributes.AccessionNumber),
    description: text(attributes.StudyDescription),
    *[Symbol.iterator]() {
      for (const [seriesIndex, one] of series.entries()) {
        for (let index = 0; index < one.instanceCount; index += 1) {
          yield buildInstance(plan, one, seriesIndex + 1, index, encoding);
        }
      }
    },
  };
}

function buildInstance(
  plan: StudyPlan,
  series: SeriesPlan,
  seriesNumber: number,
  index: number,
  encoding: StudyEncoding,
): SampleInstance {
  const { sopClassUid, attributes, pixels } = series.makeInstance(index);
  // A document has no pixels to compress; it is written as explicit little endian instead.
  const transferSyntax = encoding.transferSyntax === 'rle' && !pixels ? 'explicit-le' : encoding.transferSyntax;
  const sopInstanceUid = instanceUid(plan.seed, seriesNumber, index + 1);
  const studyInstanceUid = text(plan.attributes.StudyInstanceUID) || studyUid(plan.seed);
  const seriesInstanceUid = text(plan.attributes.SeriesInstanceUID) || seriesUid(plan.seed, seriesNumber);
  const elements = dataset(
    {
      SpecificCharacterSet: encoding.characterSet === 'ISO_IR 6' ? undefined : encoding.characterSet,
      SOPClassUID: sopClassUid,
      SOPInstanceUID: sopInstanceUid,
      StudyInstanceUID: studyInstanceUid,
      SeriesInstanceUID: seriesInstanceUid,
      SeriesNumber: seriesNumber,
      InstanceNumber: index + 1,
      ...series.attributes,
      ...attributes,
      ...plan.attributes,
    },
    plan.further ?? [],
  );
  const bytes = encodePart10({ ...encoding, sopClassUid, sopInstanceUid, transferSyntax, dataset: elements, pixels });
  return {
    studyInstanceUid,
    seriesInstanceUid,
    sopInstanceUid,
    sopClassUid,
    transferSyntaxUid: transferSyntaxes[transferSyntax],
    modality: series.attributes.Modality,
    seriesNumber,
    instanceNumber: index + 1,
    bytes,
  };
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
