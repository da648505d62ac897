import type { CheckContext } from './check.ts';
import type { InstanceBytes } from '@dicom-dispatch/core';

/** Search keys: every given key must match; `*` and `?` are wildcards as in PS3.4 section C.2.2.2.4. */
export interface FindQuery {
  readonly accessionNumber?: string;
  readonly patientId?: string;
  readonly studyInstanceUid?: string;
  /** A date YYYYMMDD or a range YYYYMMDD-YYYYMMDD. */
  readonly studyDate?: string;
  /** Only series that match; a study without any is not in the results. Keyword to value, e.g. Modality: CT. */
  readonly series?: Readonly<Record<string, string>>;
}

export interface FoundSeries {
  readonly seriesInstanceUid: string;
  readonly instanceCount: number | undefined;
  readonly tags: Readonly<Record<string, string>>;
}

export interface FoundStudy {
  readonly studyInstanceUid: string;
  readonly instanceCount: number | undefined;
  readonly tags: Readonly<Record<string, string>>;
  readonly series: readonly FoundSeries[];
}

export interface RetrieveProgress {
  readonly completed: number;
  readonly failed: number;
  /** Unknown until the target has reported the number. */
  readonly remaining: number | undefined;
  /** Only with the last progress: the first hundred failures. */
  readonly problems?: readonly RetrieveProblem[];
}

/** Instances that were not retrieved, for users. */
export interface RetrieveProblem {
  /** As at the target; undefined if unknown. */
  readonly sopInstanceUid?: string | undefined;
  readonly reason: string;
}

export interface RetrieveRequest {
  readonly studyInstanceUid: string;
  /** Only these series; default all. */
  readonly seriesInstanceUids?: readonly string[];
  /**
   * Instances that already exist and are not retrieved again (resume). The series is given if known: a study may have
   * one SOP Instance UID in several.
   */
  has(sopInstanceUid: string, seriesInstanceUid?: string): boolean | Promise<boolean>;
  /**
   * Whether an instance of this name can be stored; default all. Others are reported as problems, and the rest is retrieved.
   */
  canKeep?(sopInstanceUid: string): boolean;
  /** Stores one instance; resolves when it is stored. */
  store(sopInstanceUid: string, instance: InstanceBytes, seriesInstanceUid?: string): Promise<void>;
  progress(progress: RetrieveProgress): void;
}

export interface Puller<Config> {
  /** Studies that match. @throws {DispatchError} if the target cannot be queried */
  find(query: FindQuery, context: CheckContext<Config>): AsyncIterable<FoundStudy>;
  /** Resolves with the last progress; throws if the target cannot be queried at all. */
  retrieve(request: RetrieveRequest, context: CheckContext<Config>): Promise<RetrieveProgress>;
}
