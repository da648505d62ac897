import type { InstanceBytes, ManifestInstance, StudyTags } from '@dicom-dispatch/core';
import type { RunLog, TargetMemory } from './delivery-run.ts';

/** An instance of a study, and data of the file that the target has confirmed. */
export interface ListedInstance {
  /** As at the target. */
  readonly instance: ManifestInstance;
  /** Size of the sent file; undefined if unknown. */
  readonly sizeBytes: number | undefined;
  /** Response of the target to the confirmation, e.g. an ETag; undefined if unknown. */
  readonly answer: string | undefined;
  /** SHA-256 (hexadecimal) of the sent file, from its receipt; undefined if it has none. */
  readonly sentSha256?: string | undefined;
  /** SHA-256 (hexadecimal) of the sent file, from its receipt or otherwise from the source; undefined if neither has it. */
  sha256(): Promise<string | undefined>;
  /** Opens it at the source, as it would be sent now. */
  open(): Promise<InstanceBytes>;
}

/** A study for which the target is queried. */
export interface StudyToList {
  readonly study: StudyTags;
  readonly instances: readonly ListedInstance[];
  /** Whether contents are read and compared, not only names and sizes. */
  readonly content: boolean;
}

/**
 * Result of a target for a study.
 *
 * - `held`: it has this instance; `sizeBytes` as reported by the target, `content` if it was compared with the sent data
 * - `unread`: it does not report whether it has this instance; `reason` has no patient data
 * - `extra`: it has other content in the study; `name` is a SOP Instance UID, or a name without patient data
 *
 * An instance without a result is missing.
 */
export type Holding =
  | {
      readonly kind: 'held';
      readonly instance: ListedInstance;
      readonly sizeBytes?: number | undefined;
      readonly content?: 'same' | 'different' | undefined;
      /** What is different, or why the content was not compared; without values of the data set. */
      readonly detail?: string | undefined;
    }
  | { readonly kind: 'unread'; readonly instance: ListedInstance; readonly reason: string }
  | { readonly kind: 'extra'; readonly name: string };

export interface InventoryContext<Config> {
  readonly config: Config;
  readonly targetName: string;
  readonly memory: TargetMemory;
  readonly log: RunLog;
  /** Instances of other studies that the target has confirmed, the latest first: they show whether it responds. */
  others?(): AsyncIterable<ListedInstance>;
  /** To be awaited before each request to the target, so that an audit does not load it. */
  pace(): Promise<void>;
  readonly signal: AbortSignal;
}

/** A connection to list the content of a target, study by study. Changes nothing at the target. */
export interface Inventory {
  /** @throws {DispatchError} if the target cannot be queried */
  list(study: StudyToList): AsyncIterable<Holding>;
  close(): Promise<void>;
}
