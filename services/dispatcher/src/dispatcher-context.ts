import type {
  Config,
  DeliveryData,
  DispatchError,
  ManifestInstance,
  TargetConfig,
  TransformConfig,
} from '@dicom-dispatch/core';
import type { Circuits } from '@dicom-dispatch/state/circuit';
import type { Ledger, StudyLocks } from '@dicom-dispatch/state/ledger';
import type { Receipts } from '@dicom-dispatch/state/receipts';
import type { Priors } from '@dicom-dispatch/state/priors';
import type { Records } from '@dicom-dispatch/state/records';
import type { SharedUids } from '@dicom-dispatch/state/shared-uids';
import type { TargetPlaces } from '@dicom-dispatch/state/target-places';
import type { TaskRecords } from '@dicom-dispatch/state/tasks';
import type { Logger, Redis } from '@dicom-dispatch/runtime';
import type { GuardedBytes, InstanceTransform, OpenOptions, OrthancClient, StudyFacts } from '@dicom-dispatch/sources';
import type { OpenQueues, SharedManifest, StudyMoment } from '@dicom-dispatch/pipeline';
import type { TemplateTags } from '@dicom-dispatch/targets';
import type { Mailbox, TargetHandler } from '@dicom-dispatch/target-kit';
import type { TargetStats } from '@dicom-dispatch/state/target-stats';
import type { SharedListings } from './shared-listings.ts';
import type { ArrivalListener } from './listen-for-arrivals.ts';
import type { DispatcherMetrics } from './dispatcher-metrics.ts';
import type { MemoryBudget } from './memory-budget.ts';

export interface StudyPlace {
  readonly source: string;
  readonly orthancStudyId: string;
  readonly studyInstanceUid: string;
}

/** A source as deliveries read from it. */
export interface SourceReader {
  readonly orthanc: OrthancClient;
  /** @param wanted - tags that the templates of the target read */
  readStudy(orthancStudyId: string, wanted: TemplateTags, signal: AbortSignal): Promise<StudyFacts>;
  readManifest(study: StudyPlace, signal: AbortSignal): Promise<ManifestInstance[]>;
  /**
   * The manifest with the wanted content as of a moment, read once for all targets and attempts.
   *
   * @param how - `anew`: what is kept is not true any more
   */
  shareManifest(
    study: StudyPlace & Omit<StudyMoment, 'lastUpdate'> & { readonly lastUpdate: string | undefined },
    how: 'shared' | 'anew',
    signal: AbortSignal,
  ): Promise<SharedManifest>;
  readInstanceTags(
    study: StudyPlace & { readonly manifest: readonly ManifestInstance[] },
    names: readonly string[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, Readonly<Record<string, string>>>>;
  /** @throws DispatchError `config-invalid` when it needs a key and none is configured */
  transform(definition: TransformConfig): InstanceTransform;
  open(instance: ManifestInstance, options?: OpenOptions): Promise<GuardedBytes>;
  /** What a `source-gone` of these calls means: that, once it is proven, else why it is not. */
  proveGone(
    study: Pick<StudyPlace, 'orthancStudyId'> & { readonly epoch: string },
    signal: AbortSignal,
  ): Promise<unknown>;
  /** Whether it answers as an Orthanc does. */
  isWell(signal: AbortSignal): Promise<boolean>;
}

/** What all deliveries of one dispatcher share. */
export interface DispatcherContext {
  readonly config: Config;
  /** Name of this dispatcher: host and process. */
  readonly worker: string;
  readonly redis: Redis;
  /** Resolves when Redis has what it had: after it lost data, once they are recovered. */
  untilGood(signal: AbortSignal): Promise<void>;
  readonly ledger: Ledger;
  readonly studyLocks: StudyLocks;
  readonly tasks: TaskRecords;
  /** As configured now. */
  receipts(): Receipts;
  readonly records: Records;
  readonly priors: Priors;
  readonly circuits: Circuits;
  readonly sharedUids: SharedUids;
  readonly places: TargetPlaces;
  readonly stats: TargetStats;
  readonly queues: OpenQueues;
  /** Shared by all dispatchers. */
  readonly mailbox: Mailbox;
  readonly arrivals: ArrivalListener;
  readonly metrics: DispatcherMetrics;
  /** For the bytes of instances on their way. */
  readonly memory: MemoryBudget;
  readonly log: Logger;
  source(name: string): Promise<SourceReader>;
  resolve(target: string): Promise<{ config: TargetConfig; handler: TargetHandler }>;
  throttle(target: string, bytes: number, signal: AbortSignal): Promise<void> | undefined;
  listings(
    target: { readonly name: string; readonly config: TargetConfig },
    manifest: readonly ManifestInstance[],
  ): SharedListings;
  clearState(deliveryId: string): Promise<void>;
  /** Lets less urgent deliveries of its target move on now and then. */
  promoteLongestWaiting(data: Pick<DeliveryData, 'target' | 'priority'>): Promise<void>;
  circuitOpened(target: string, error: DispatchError): void;
  /** It has confirmed or refused an instance: its circuit closes, and what waited for it goes on. */
  targetAnswers(target: string): Promise<void>;
  /** Lets a waiting delivery go on now. */
  wake(deliveryId: string): Promise<void>;
}
