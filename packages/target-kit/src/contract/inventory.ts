import type { InstanceBytes, ManifestInstance, StudyTags } from '@dicom-dispatch/core';
import type { RunLog, TargetMemory } from './delivery-run.ts';

/** An instance of a study, and what is known of the file that the target has confirmed. */
export interface ListedInstance {
  /** As the target knows it. */
  readonly instance: ManifestInstance;
  /** Bytes of the file that was sent; undefined when that is not known. */
  readonly sizeBytes: number | undefined;
  /** What the target answered when it confirmed it, e.g. an ETag; undefined when that is not known. */
  readonly answer: string | undefined;
  /** SHA-256 (hexadecimal) of the file that was sent, from its receipt or else from the source; undefined when neither has it. */
  sha256(): Promise<string | undefined>;
  /** Opens it at the source, as it would be sent now. */
  open(): Promise<InstanceBytes>;
}

/** A study that the target is asked for. */
export interface StudyToList {
  readonly study: StudyTags;
  readonly instances: readonly ListedInstance[];
  /** Whether contents are read and compared, not only names and sizes. */
  readonly content: boolean;
}

/**
 * What a target says of a study.
 *
 * - `held`: it has this instance; `sizeBytes` as the target says, `content` when it was compared with what was sent
 * - `unread`: it does not say whether it has this instance; `reason` has no patient data
 * - `extra`: it has something else in the study; `name` is a SOP Instance UID, or a name without patient data
 *
 * An instance of which nothing is said is missing.
 */
export type Holding =
  | {
      readonly kind: 'held';
      readonly instance: ListedInstance;
      readonly sizeBytes?: number | undefined;
      readonly content?: 'same' | 'different' | undefined;
    }
  | { readonly kind: 'unread'; readonly instance: ListedInstance; readonly reason: string }
  | { readonly kind: 'extra'; readonly name: string };

export interface InventoryContext<Config> {
  readonly config: Config;
  readonly targetName: string;
  readonly memory: TargetMemory;
  readonly log: RunLog;
  /** To be awaited before each request to the target, so that an audit does not load it. */
  pace(): Promise<void>;
  readonly signal: AbortSignal;
}

/** A connection to a target that is asked what it has, study after study. Nothing is changed at the target. */
export interface Inventory {
  /** @throws {DispatchError} when the target cannot be asked */
  list(study: StudyToList): AsyncIterable<Holding>;
  close(): Promise<void>;
}
