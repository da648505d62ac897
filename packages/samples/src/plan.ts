import type { Attributes, Element } from './element.ts';
import type { Pixels } from './pixels.ts';

/** What stands in one instance beside what its series, study and patient say. */
export interface InstancePlan {
  readonly sopClassUid: string;
  readonly attributes: Attributes;
  readonly pixels?: Pixels;
}

/** A series whose instances are made one at a time, when they are asked for. */
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

/** What the makers of series need to know of the series that is asked for. */
export interface SeriesShape {
  readonly seed: string;
  /** From 1. */
  readonly seriesNumber: number;
  readonly instances: number;
  readonly rows: number;
  readonly columns: number;
  readonly frames: number;
  /** Noise instead of a picture. */
  readonly isQuick: boolean;
  /** UIDs of the study, for what must be the same in all its series. */
  readonly studyInstanceUid: string;
}
