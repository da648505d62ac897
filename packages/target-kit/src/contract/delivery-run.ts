import type { DispatchError, InstanceBytes, ManifestInstance, Stage, StudyTags } from '@dicom-dispatch/core';
import type { Mailbox } from './mailbox.ts';

/**
 * What became of one instance at the target.
 *
 * - `delivered`: the target confirmed it; `warning` keeps a doubt that it raised (e.g. status B000H), `answer` what it said, for
 *   the receipt: a status, an ETag, the path; no patient data. `isExisting`: the target says that it had the instance before, and
 *   its content was not compared: where it has confirmed an older version, that is no confirmation of this one
 * - `quarantined`: the target will not take this one, whatever is tried; the study goes on without it
 */
export type InstanceOutcome =
  | { readonly kind: 'delivered'; readonly warning?: string; readonly answer?: string; readonly isExisting?: true }
  | { readonly kind: 'quarantined'; readonly error: DispatchError };

/** Facts for the log of the delivery. Text is static, facts are fields, none of them patient data. */
export interface RunLog {
  info(text: string, facts?: Record<string, unknown>): void;
  warn(text: string, facts?: Record<string, unknown>): void;
}

/** A few small values that a handler keeps with the delivery through attempts and restarts: upload ids, transaction UIDs. */
export interface RunState {
  get<T>(key: string): Promise<T | undefined>;
  set(key: string, value: unknown): Promise<void>;
  delete(key: string): Promise<void>;
}

/**
 * A few small values that are kept with the target itself, over all its deliveries and dispatchers: which folder it is.
 * Kept by the target's name until they are replaced.
 */
export type TargetMemory = RunState;

/** What is listed: a study, or one of its series. UIDs as the target knows them. */
export interface ListedPart {
  readonly studyInstanceUid: string;
  readonly seriesInstanceUid?: string;
}

/** How an instance is opened. */
export interface OpenOptions {
  /** The transfer syntax to ask the source for; default the stored one. */
  readonly transferSyntaxUid?: string | undefined;
  /**
   * Whether the target needs a Part 10 file: one that is stored without preamble or file meta, or with a wrong one, gets a
   * right one in front of its data set. Otherwise it comes as it is stored, byte for byte.
   */
  readonly asPart10?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Something that stays open between the parts of an attempt. */
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
  /** The whole manifest: for markers, manifests and verification. */
  readonly manifest: readonly ManifestInstance[];
  /** What the ledger says the target has not confirmed yet, in series and instance order: send exactly these. */
  readonly pending: readonly ManifestInstance[];
  /** What earlier attempts have quarantined: neither pending nor at the target. */
  readonly quarantined?: readonly ManifestInstance[];
  /**
   * The study is still being received, and this is a part of it: the run ends after the stage `transfer`, without verification
   * and without what marks a study as whole. The last run is none of a part. Only for handlers that say `sendsParts`.
   */
  readonly isPart?: boolean;
  /**
   * What stays open from one part to the next, by a name of the handler's choice: associations, connections. Taken out while it
   * is used; what fails is not put back. All is closed when the attempt ends, or nothing has come for a while.
   */
  readonly kept?: Map<string, Kept>;
  /**
   * Whether `sizeBytes` of the manifest is the size of what `open` gives: `estimated` where instances are changed on their
   * way. Default `exact`.
   */
  readonly sizes?: 'exact' | 'estimated';
  /**
   * Opens one instance at the source. At most a few at a time: each holds a connection. Size, identity and transfer syntax
   * of what comes are checked on the way, and the last bytes are held back until all is verified: a body that has ended is
   * the instance, one that throws is not, and must not be completed at the target. Throws a DispatchError whose fault is
   * the source's; `verdictOf` says which are for `report` as quarantined.
   */
  open(instance: ManifestInstance, options?: OpenOptions): Promise<InstanceBytes>;
  /** Says which stage the run is in; stages only go forward. */
  stage(stage: Stage): void;
  /**
   * Records what became of an instance, in the ledger, before it resolves. Call it as each confirmation arrives, not at
   * the end. Throws when the ledger cannot be written or this worker no longer owns the delivery: stop at once then.
   */
  report(instance: ManifestInstance, outcome: InstanceOutcome): Promise<void>;
  /**
   * Whether a file of other content at the target, with the UIDs and patient of an instance, can be an older version of it:
   * not where this study has never sent the instance there and another study with its Study Instance UID has. Default: it can.
   */
  canBeOlder?(instance: ManifestInstance): Promise<boolean>;
  /** Takes a confirmation back that verification has shown to be false; the instance is then missing again. */
  revoke(instance: ManifestInstance): Promise<void>;
  /**
   * What the target lists of a study or a series, as SOP Instance UIDs of the manifest. `ask` asks it, unless somebody
   * has asked since the last instance of this attempt left: only then may an answer be shared, for one from before would
   * show what is no longer there. `fresh` asks in any case.
   */
  listed?(
    of: ListedPart,
    ask: () => Promise<ReadonlySet<string>>,
    options?: { readonly fresh?: boolean },
  ): Promise<ReadonlySet<string>>;
  /** Bytes that left for the target, for progress and rate limit; resolves when more may be sent. */
  sent(bytes: number): Promise<void> | void;
  /**
   * Room for what a handler gathers beside the bytes that `open` gives, e.g. parts of uploads, from the memory that all deliveries
   * share. Resolves when there is some; a delivery that holds none does not wait. What comes back gives it back, at the latest the
   * end of the attempt does. Default: there is no bound.
   *
   * @throws when the signal aborts
   */
  reserve?(bytes: number, signal: AbortSignal): Promise<() => void>;
  readonly state: RunState;
  readonly memory: TargetMemory;
  /** Shared by all dispatchers. */
  readonly mailbox: Mailbox;
  readonly log: RunLog;
  /** Aborted when the delivery is cancelled, the lock is lost or the process ends: stop within a second. */
  readonly signal: AbortSignal;
}
