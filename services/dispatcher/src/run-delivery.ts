import {
  asDispatchError,
  compileSelection,
  contentHash,
  DispatchError,
  ledgerKeyOf,
  ledgerVersion,
  selectInstances,
  type DeliveryData,
  type DeliveryResult,
  type ManifestInstance,
  type TargetConfig,
} from '@dicom-dispatch/core';
import type { Fence, InstanceVersion, Ledger, LedgerKey } from '@dicom-dispatch/state/ledger';
import type { StudyKey } from '@dicom-dispatch/state/records';
import { templateTags } from '@dicom-dispatch/targets';
import type { Mailbox, RunLog, RunState, TargetHandler } from '@dicom-dispatch/target-kit';
import type { DeliveryProgressTracker } from './delivery-progress.ts';
import type { DeliverySource } from './delivery-source.ts';
import type { SharedListings } from './shared-listings.ts';
import type { MemoryShare } from './memory-budget.ts';
import { ManifestWatch } from './manifest-watch.ts';
import { leaveOutConflicts } from './leave-out-conflicts.ts';
import { openRuns } from './open-runs.ts';
import { quarantineUnread } from './quarantine-unread.ts';
import type { ReceiptWriter } from './receipt-writer.ts';

/** Dependencies of a run; all its effects use these. */
export interface DeliveryDependencies {
  readonly data: DeliveryData;
  /** The study in its source. */
  readonly source: DeliverySource;
  /** Ledger of the current place of the target. */
  readonly ledgerName: string;
  /** Number of the attempt, from 1. */
  readonly attempt: number;
  resolve(): Promise<{ readonly config: TargetConfig; readonly handler: TargetHandler }>;
  /** Whether another study with the same Study Instance UID goes to the place of the target. */
  isSharedPlace(): Promise<boolean>;
  /**
   * Which SOP Instance UIDs of some instances were sent to the address of the target with another study.
   *
   * @throws DispatchError `uids-in-use`
   */
  takenUids(instances: readonly ManifestInstance[]): Promise<ReadonlyMap<string, StudyKey>>;
  /** @param manifest with the UIDs at the target */
  listings(config: TargetConfig, manifest: readonly ManifestInstance[]): SharedListings;
  /** Memory for the bytes of instances. */
  readonly share: MemoryShare;
  readonly ledger: Ledger;
  /** Restores confirmations of earlier deliveries if the ledger was lost; once in an attempt. */
  restoreLedger(key: LedgerKey, all: readonly ManifestInstance[]): Promise<void>;
  readonly receipts: ReceiptWriter;
  /** Current time by the clock of Redis, in ms since 1970. */
  now(): number;
  readonly fence: Fence;
  readonly progress: DeliveryProgressTracker;
  /** Called when the target has confirmed or rejected an instance: it is usable. */
  answered(): void;
  /** Called when the target has confirmed every instance, with the confirmed versions. */
  complete(key: LedgerKey, instances: readonly InstanceVersion[]): void;
  readonly state: RunState;
  readonly memory: RunState;
  readonly mailbox: Mailbox;
  readonly log: RunLog;
  readonly signal: AbortSignal;
}

/**
 * One attempt of a delivery, from its data to the last confirmed instance: resolve, manifest, connect, transfer, verify,
 * finalize. It sends the instances of the manifest that the ledger lacks, and resolves only when the ledger has every
 * instance of the manifest. If a manifest that was read for another attempt turns out to be outdated, it is read again, and
 * the attempt restarts with it.
 *
 * @throws DispatchError with the stage in which the attempt ended; `partial` if all instances except quarantined ones
 *   arrived, `all-quarantined` if none did, `not-wanted` if no instance of the study is selected (any more)
 */
export async function runDelivery(dependencies: DeliveryDependencies): Promise<DeliveryResult> {
  const { progress, signal } = dependencies;
  const watch = new ManifestWatch();
  try {
    return await runWith(dependencies, 'shared', watch);
  } catch (error) {
    if (!watch.isStale || signal.aborted) throw asDispatchError(error, progress.stage);
  }
  dependencies.log.info('the stored manifest no longer matches the source: it is read again');
  return runWith(dependencies, 'anew', new ManifestWatch());
}

async function runWith(
  dependencies: DeliveryDependencies,
  how: 'shared' | 'anew',
  watch: ManifestWatch,
): Promise<DeliveryResult> {
  const { data, source, ledger, progress, signal } = dependencies;
  const key = ledgerKeyOf({ ...data, ledger: dependencies.ledgerName });
  try {
    progress.enter('resolve');
    const { config, handler } = await dependencies.resolve();

    progress.enter('manifest');
    const { tags: study, lastUpdate } = await source.readStudy(templateTags(config));
    const { instances: all, isShared } = await source.shareManifest(lastUpdate, how);
    if (isShared) watch.begin();
    const selection = compileSelection(config.instances, data.selections);
    const tags = selection.wanted.length > 0 ? await source.readInstanceTags(selection.wanted, all) : undefined;
    const manifest = selectInstances(all, study, selection, tags).map((instance) => ({
      ...instance,
      version: ledgerVersion(instance.version, data),
    }));
    if (manifest.length === 0) throw nothingSelected(data.target);
    await dependencies.restoreLedger(key, all);
    await quarantineUnread(dependencies, key, manifest, tags);
    const before = await ledger.compare(key, manifest);
    const shared = manifest.filter(({ sharesSopInstanceUid }) => sharesSopInstanceUid).length;
    progress.begin(manifest.length, before.delivered.length, before.quarantined.length, shared > 1 ? shared : 0);
    signal.throwIfAborted();
    const isUnsettled = contentHash(all) !== data.contentHash;
    const heldBytes = handler.heldBytes?.(config);
    const runs = await openRuns(dependencies, { config, heldBytes, key, study, watch, isUnsettled });
    const run = await leaveOutConflicts(runs.of(manifest, before), handler, before, (some) =>
      dependencies.takenUids(some),
    );
    await handler.deliver(run);
    signal.throwIfAborted();
    watch.throwIfStale();
    if (before.pending.length > 0 && progress.isReached) dependencies.answered();

    const after = await ledger.compare(key, manifest);
    if (after.pending.length > 0) {
      // A handler's result alone never makes it delivered: instances missing in the ledger were not confirmed.
      throw new DispatchError(
        'internal',
        `the handler ended without a result for ${after.pending.length} of ${manifest.length} instances`,
      );
    }
    if (after.quarantined.length > 0 && after.delivered.length === 0) {
      throw new DispatchError(
        'all-quarantined',
        manifest.length === 1
          ? 'the only instance is quarantined: nothing was delivered'
          : `all ${manifest.length} instances are quarantined: nothing was delivered`,
        { stage: 'transfer' },
      );
    }
    if (after.quarantined.length > 0) {
      throw new DispatchError(
        'partial',
        `${after.quarantined.length} of ${manifest.length} instances are quarantined, the others are delivered`,
        { stage: 'transfer' },
      );
    }
    dependencies.complete(key, isUnsettled ? manifest.map((one) => ({ ...one, fileUuid: undefined })) : manifest);
    const skipped = before.delivered.length;
    return {
      total: manifest.length,
      sent: manifest.length - skipped,
      skipped,
      bytesSent: progress.bytesSent,
      attempts: dependencies.attempt,
    };
  } catch (error) {
    throw asDispatchError(error, progress.stage);
  }
}

/** The selections have changed since the study was routed, or the source no longer has the selected instances. */
function nothingSelected(target: string): DispatchError {
  return new DispatchError('not-wanted', `no instance of the study is selected for ${target}: nothing was delivered`, {
    stage: 'manifest',
    remedy: 'Check the option instances of the target and of its rules. If it is needed, retry the delivery.',
  });
}
