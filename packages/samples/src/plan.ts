import type { Attributes, Element } from './element.ts';
import type { Pixels } from './pixels.ts';

/** Attributes of one instance in addition to those of its series, study and patient. */
export interface InstancePlan {
  readonly sopClassUid: string;
  readonly attributes: Attributes;
  readonly pixels?: Pixels;
}

/** A series whose instances are generated one at a time, on request. */
export interface SeriesPlan {
  readonly attributes: Attributes & { readonly Modality: string };
  readonly instanceCount: number;
  makeInstance(index: number): InstancePlan;
}

export interface StudyPlan {
  readonly seed: string;
  readonly attributes: Attributes;
  readonly series: readonly SeriesPlan[];
  readonly further?: readonly Element[];
}

/** Properties of a requested series for its generator. */
export interface SeriesShape {
  readonly seed: string;
  /** From 1. */
  readonly seriesNumber: number;
  readonly instances: number;
  readonly rows: number;
  readonly columns: number;
  readonly frames: number;
  /** Noise instead of an image. */
  readonly isQuick: boolean;
  /** For values that must be the same in all series of the study. */
  readonly studyInstanceUid: string;
}
