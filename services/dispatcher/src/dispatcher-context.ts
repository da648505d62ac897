import type { Config, DeliveryData, DispatchError, ManifestInstance, TargetConfig } from '@dicom-dispatch/core';
import type { Circuits } from '@dicom-dispatch/state/circuit';
import type { Ledger, StudyLocks } from '@dicom-dispatch/state/ledger';
import type { Receipts } from '@dicom-dispatch/state/receipts';
import type { Priors } from '@dicom-dispatch/state/priors';
import type { Records } from '@dicom-dispatch/state/records';
import type { SharedUids, UidClaims } from '@dicom-dispatch/state/shared-uids';
import type { TargetPlaces } from '@dicom-dispatch/state/target-places';
import type { TaskRecords } from '@dicom-dispatch/state/tasks';
import type { Logger, Redis } from '@dicom-dispatch/runtime';
import type { OpenQueues } from '@dicom-dispatch/pipeline';
import type { Mailbox, TargetHandler } from '@dicom-dispatch/target-kit';
import type { TargetStats } from '@dicom-dispatch/state/target-stats';
import type { SharedListings } from './shared-listings.ts';
import type { ArrivalListener } from './listen-for-arrivals.ts';
import type { DispatcherMetrics } from './dispatcher-metrics.ts';
import type { MemoryBudget } from './memory-budget.ts';
import type { Sources } from './sources.ts';

/** What all deliveries of one dispatcher share. */
export interface DispatcherContext {
  readonly config: Config;
  /** Name of this dispatcher: host and process. */
  readonly worker: string;
  readonly redis: Redis;
  /** Resolves when Redis has its data; after a loss, when they have been recovered. */
  untilGood(signal: AbortSignal): Promise<void>;
  readonly ledger: Ledger;
  readonly studyLocks: StudyLocks;
  readonly tasks: TaskRecords;
  /** The receipts, as currently configured. */
  receipts(): Receipts;
  readonly records: Records;
  readonly priors: Priors;
  readonly circuits: Circuits;
  readonly sharedUids: SharedUids;
  readonly uidClaims: UidClaims;
  readonly places: TargetPlaces;
  readonly stats: TargetStats;
  readonly queues: OpenQueues;
  /** Shared by all dispatchers. */
  readonly mailbox: Mailbox;
  readonly arrivals: ArrivalListener;
  readonly metrics: DispatcherMetrics;
  /** Memory for the bytes of instances in transit. */
  readonly memory: MemoryBudget;
  readonly log: Logger;
  readonly sources: Sources;
  resolve(target: string): Promise<{ config: TargetConfig; handler: TargetHandler }>;
  throttle(target: string, bytes: number, signal: AbortSignal): Promise<void> | undefined;
  listings(
    target: { readonly name: string; readonly config: TargetConfig },
    manifest: readonly ManifestInstance[],
  ): SharedListings;
  clearState(deliveryId: string): Promise<void>;
  /** At every eighth start of a delivery to the target, promotes a less urgent one. */
  promoteLongestWaiting(data: Pick<DeliveryData, 'target' | 'priority'>): Promise<void>;
  circuitOpened(target: string, error: DispatchError): void;
  /** The target has confirmed or rejected an instance: its circuit closes, and waiting deliveries continue. */
  targetAnswers(target: string): Promise<void>;
  /** Continues a waiting delivery now. */
  wake(deliveryId: string): Promise<void>;
}
