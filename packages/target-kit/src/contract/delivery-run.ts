import type { DispatchError, InstanceBytes, ManifestInstance, Stage, StudyTags } from '@dicom-dispatch/core';
import type { Mailbox } from './mailbox.ts';

/**
 * Result of one instance at the target.
 *
 * - `delivered`: the target confirmed it. `warning`: a doubt that the target reported (e.g. status B000H). `answer`: its response,
 *   for the receipt: a status, an ETag, the path; no patient data. `isExisting`: the target reports that it already had the
 *   instance, and its content was not compared: if it has confirmed an older version, this does not confirm the current one
 * - `quarantined`: the target will never accept this instance; the study continues without it
 */
export type InstanceOutcome =
  | { readonly kind: 'delivered'; readonly warning?: string; readonly answer?: string; readonly isExisting?: true }
  | { readonly kind: 'quarantined'; readonly error: DispatchError };

/** Facts for the log of the delivery. Text is constant, facts are fields, without patient data. */
export interface RunLog {
  info(text: string, facts?: Record<string, unknown>): void;
  warn(text: string, facts?: Record<string, unknown>): void;
}

/** A few small values that a handler stores with the delivery across attempts and restarts: upload ids, transaction UIDs. */
export interface RunState {
  get<T>(key: string): Promise<T | undefined>;
  set(key: string, value: unknown): Promise<void>;
  delete(key: string): Promise<void>;
}

/**
 * A few small values that are stored with the target itself, for all its deliveries and dispatchers, e.g. the id of its folder.
 * Stored under the target's name until they are replaced.
 */
export type TargetMemory = RunState;

/** What to list: a study, or one of its series. UIDs as at the target. */
export interface ListedPart {
  readonly studyInstanceUid: string;
  readonly seriesInstanceUid?: string;
}

/** How an instance is opened. */
export interface OpenOptions {
  /** The transfer syntax to request from the source; default the stored one. */
  readonly transferSyntaxUid?: string | undefined;
  /**
   * Whether the target needs a Part 10 file: an instance that is stored with missing or wrong preamble or file meta information
   * gets a correct header before its data set. Otherwise it is returned as stored, byte for byte.
   */
  readonly asPart10?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** An object that stays open between the parts of an attempt. */
export interface Kept {
  close(): Promise<void>;
}

/** One attempt of one delivery, as a handler sees it. */
export interface DeliveryRun<Config> {
  readonly config: Config;
  readonly targetName: string;
  readonly deliveryId: string;
  /** 1 for the first attempt. */
  readonly attempt: number;
  readonly priority: 'stat' | 'urgent' | 'normal' | 'background';
  readonly study: StudyTags;
  /** The complete manifest: for markers, manifests and verification. For a part: the confirmed and the pending instances. */
  readonly manifest: readonly ManifestInstance[];
  /**
   * Instances that the target has not confirmed yet, according to the ledger, in series and instance order: send exactly these.
   */
  readonly pending: readonly ManifestInstance[];
  /** Instances that earlier attempts have quarantined: neither pending nor at the target. */
  readonly quarantined?: readonly ManifestInstance[];
  /**
   * The study is still being received, and this is a part of it: the run ends after the stage `transfer`, without verification
   * and without a marker for the complete study. The last run is not a part. Only for handlers with `sendsParts`.
   */
  readonly isPart?: boolean;
  /**
   * Objects that stay open from one part to the next, by a name that the handler chooses: associations, connections. Take an
   * object out while using it, and do not put it back if it fails. All are closed when the attempt ends, or after some time
   * without new instances.
   */
  readonly kept?: Map<string, Kept>;
  /**
   * Whether `sizeBytes` of the manifest is the size of the result of `open`: `estimated` if instances are transformed.
   * Default `exact`.
   */
  readonly sizes?: 'exact' | 'estimated';
  /**
   * Opens one instance at the source. Open at most a few at a time: each holds a connection. Size, identity and transfer syntax
   * are verified while reading, and the last bytes are held back until all is verified: a body that has ended is the correct
   * instance; one that throws is not, and must not be completed at the target. Throws a DispatchError with the fault `source`;
   * `verdictOf` returns which of them to `report` as quarantined.
   */
  open(instance: ManifestInstance, options?: OpenOptions): Promise<InstanceBytes>;
  /** Sets the stage of the run; stages only move forward. */
  stage(stage: Stage): void;
  /**
   * Records the result of an instance in the ledger, before it resolves. Call it as each confirmation arrives, not at
   * the end. Throws if the ledger cannot be written or this worker no longer owns the delivery: stop immediately then.
   */
  report(instance: ManifestInstance, outcome: InstanceOutcome): Promise<void>;
  /**
   * Whether a file of other content at the target, with the UIDs and patient of an instance, can be an older version of it:
   * not where this study has never sent the instance there and another study with its Study Instance UID has. Default: it can.
   */
  canBeOlder?(instance: ManifestInstance): Promise<boolean>;
  /** Removes a confirmation that verification has shown to be false; the instance is then missing again. */
  revoke(instance: ManifestInstance): Promise<void>;
  /**
   * The SOP Instance UIDs of the manifest that the target lists for a study or a series. `ask` queries it, unless it was
   * queried since the last instance of this attempt was sent: only then may a result be shared, because an earlier one would
   * show instances that no longer exist. `fresh` always queries.
   */
  listed?(
    of: ListedPart,
    ask: () => Promise<ReadonlySet<string>>,
    options?: { readonly fresh?: boolean },
  ): Promise<ReadonlySet<string>>;
  /** Bytes sent to the target, for progress and rate limit; resolves when more may be sent. */
  sent(bytes: number): Promise<void> | void;
  /**
   * Memory for data that a handler collects in addition to the bytes of `open`, e.g. upload parts, from the budget of all
   * deliveries. Resolves when it is available; a delivery without a reservation does not wait. The returned function releases
   * it; the end of the attempt does so at the latest. Default: no limit.
   *
   * @throws if the signal aborts
   */
  reserve?(bytes: number, signal: AbortSignal): Promise<() => void>;
  readonly state: RunState;
  readonly memory: TargetMemory;
  /** Shared by all dispatchers. */
  readonly mailbox: Mailbox;
  readonly log: RunLog;
  /** Aborted if the delivery is cancelled, the lock is lost or the process ends: stop within a second. */
  readonly signal: AbortSignal;
}
