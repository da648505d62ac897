import {
  asDispatchError,
  compileSelection,
  DispatchError,
  instanceKey,
  ledgerKeyOf,
  ledgerVersion,
  selectInstances,
  type DeliveryData,
  type DeliveryResult,
  type ManifestInstance,
  type TargetConfig,
} from '@dicom-dispatch/core';
import type { Confirmation, Fence, InstanceVersion, Ledger, LedgerKey } from '@dicom-dispatch/state/ledger';
import { templateTags, type TemplateTags } from '@dicom-dispatch/targets';
import type { DeliveryRun, Mailbox, RunLog, RunState, TargetHandler } from '@dicom-dispatch/targets/contract';
import type { SharedManifest } from '@dicom-dispatch/pipeline';
import type { GuardedBytes, InstanceTransform, OpenOptions, StudyFacts } from '@dicom-dispatch/sources';
import type { DeliveryProgressTracker } from './delivery-progress.ts';
import type { SharedListings } from './shared-listings.ts';
import { ManifestWatch } from './manifest-watch.ts';
import type { ReceiptWriter } from './receipt-writer.ts';
import { SourceSuspects } from './source-suspects.ts';

/** What a run needs of the world; everything that it does goes through these. */
export interface DeliverySetting {
  readonly data: DeliveryData;
  /** Of the place where the target is now. */
  readonly ledgerName: string;
  /** 1 for the first. */
  readonly attempt: number;
  resolve(): Promise<{ readonly config: TargetConfig; readonly handler: TargetHandler }>;
  /** With what the templates of the target read of it. */
  readStudy(wanted: TemplateTags): Promise<Pick<StudyFacts, 'tags' | 'lastUpdate'>>;
  /**
   * The manifest as of the moment in which the study was read.
   *
   * @param how - `shared`: one that was read before will do; `anew`: whatever is kept is forgotten first
   */
  readManifest(lastUpdate: string | undefined, how: 'shared' | 'anew'): Promise<SharedManifest>;
  /** Tags of each instance of the manifest, by its id in the source. */
  readInstanceTags(
    names: readonly string[],
    manifest: readonly ManifestInstance[],
  ): Promise<ReadonlyMap<string, Readonly<Record<string, string>>>>;
  /** How the instances of this delivery are changed on their way; undefined when they are not. */
  transform(): InstanceTransform | undefined;
  open(instance: ManifestInstance, options?: OpenOptions): Promise<GuardedBytes>;
  /** Whether the source answers as it should when it is asked for something else than an instance. */
  isSourceWell(): Promise<boolean>;
  /** Whether another study with the same Study Instance UID goes to the place of the target. */
  isSharedPlace(): Promise<boolean>;
  /** @param manifest as the target knows it */
  listings(config: TargetConfig, manifest: readonly ManifestInstance[]): SharedListings;
  readonly ledger: Ledger;
  readonly receipts: ReceiptWriter;
  /** ms since 1970, by the clock of Redis. */
  now(): number;
  readonly fence: Fence;
  readonly progress: DeliveryProgressTracker;
  /** Called when the target has confirmed or refused an instance: it can be used. */
  answered(): void;
  /** Called when the target has confirmed every instance, with the versions that it has. */
  complete(key: LedgerKey, instances: readonly InstanceVersion[]): void;
  readonly state: RunState;
  readonly memory: RunState;
  readonly mailbox: Mailbox;
  readonly log: RunLog;
  readonly signal: AbortSignal;
}

/**
 * One attempt of a delivery, from its data to the last confirmed instance: resolve, manifest, connect, transfer, verify,
 * finalize. It sends what the manifest has and the ledger lacks, and resolves only when the ledger holds every instance
 * of the manifest. When a manifest that was read for another attempt turns out not to be true any more, it is read anew,
 * and the attempt begins again with it.
 *
 * @throws DispatchError with the stage in which the attempt ended; `partial` when all but quarantined instances arrived,
 *   `all-quarantined` when none did
 */
export async function runDelivery(setting: DeliverySetting): Promise<DeliveryResult> {
  const { progress, signal } = setting;
  const watch = new ManifestWatch();
  try {
    return await runWith(setting, 'shared', watch);
  } catch (error) {
    if (!watch.isStale || signal.aborted) throw asDispatchError(error, progress.stage);
  }
  setting.log.info('the kept manifest is not what the source has now: it is read anew');
  return runWith(setting, 'anew', new ManifestWatch());
}

async function runWith(
  setting: DeliverySetting,
  how: 'shared' | 'anew',
  watch: ManifestWatch,
): Promise<DeliveryResult> {
  const { data, ledger, fence, progress, signal, receipts } = setting;
  const key = ledgerKeyOf({ ...data, ledger: setting.ledgerName });
  try {
    progress.enter('resolve');
    const { config, handler } = await setting.resolve();

    progress.enter('manifest');
    const { tags: study, lastUpdate } = await setting.readStudy(templateTags(config));
    const { instances: all, isShared } = await setting.readManifest(lastUpdate, how);
    if (isShared) watch.begin();
    const selection = compileSelection(config.instances, data.selections);
    const tags = selection.wanted.length > 0 ? await setting.readInstanceTags(selection.wanted, all) : undefined;
    const manifest = selectInstances(all, study, selection, tags).map((instance) => ({
      ...instance,
      version: ledgerVersion(instance.version, data),
    }));
    const before = await ledger.compare(key, manifest);
    const shared = manifest.filter(({ sharesSopInstanceUid }) => sharesSopInstanceUid).length;
    progress.begin(manifest.length, before.delivered.length, before.quarantined.length, shared > 1 ? shared : 0);
    signal.throwIfAborted();
    const transform = setting.transform();
    const suspects = new SourceSuspects(setting.state, () => setting.isSourceWell(), config.attempts);
    await suspects.load();
    // The target sees what leaves, the ledger knows instances by their UIDs in the source. The id in the source stays.
    const originals = new Map(manifest.map((instance) => [instance.sourceId, instance]));
    const shown = new Map(manifest.map((instance) => [instance.sourceId, transform?.show(instance) ?? instance]));
    const show = (instances: readonly ManifestInstance[]): ManifestInstance[] =>
      instances.map((instance) => shown.get(instance.sourceId) ?? instance);
    const originalOf = (instance: ManifestInstance): ManifestInstance => originals.get(instance.sourceId) ?? instance;

    const listings = setting.listings(config, show(manifest));
    let sentBefore: ReturnType<Ledger['entries']> | undefined;
    let isSharedPlace: Promise<boolean> | undefined;
    const run: DeliveryRun<TargetConfig> = {
      config,
      targetName: data.target,
      deliveryId: data.deliveryId,
      attempt: setting.attempt,
      priority: data.priority,
      study: transform?.showStudy(study) ?? study,
      manifest: show(manifest),
      pending: show(suspects.last(before.pending)),
      quarantined: show(before.quarantined),
      sizes: transform ? 'estimated' : 'exact',
      async open(instance, options): Promise<GuardedBytes> {
        const original = originalOf(instance);
        listings.sending();
        watch.throwIfStale();
        const wanted: OpenOptions = {
          signal,
          ...options,
          tally: receipts.opening(original),
          // What has failed before is looked at twice.
          ...(suspects.has(original) && { digest: true }),
          judge: async (thrown, change) => {
            const known = watch.judge(thrown);
            return known === thrown ? suspects.judge(original, thrown, change) : known;
          },
        };
        return transform ? transform.open(original, wanted) : setting.open(original, wanted);
      },
      stage: (stage) => progress.enter(stage),
      async report(instance, outcome) {
        const original = originalOf(instance);
        if (outcome.kind === 'delivered') {
          const { warning, answer = warning ?? '' } = outcome;
          const at = setting.now();
          const receipt = receipts.delivered(original, answer, at);
          await ledger.confirm(
            key,
            [
              {
                ...outcomeOf(original),
                at,
                ...(warning !== undefined && { warning: { code: 'warning', message: warning } }),
                ...(receipt && { receipt }),
              },
            ],
            fence,
          );
          progress.confirmed();
          answered();
          return;
        }
        const { code, message } = outcome.error;
        receipts.dropped(original);
        await ledger.quarantine(key, { ...outcomeOf(original), error: { code, message } }, fence);
        progress.quarantined(original.sopInstanceUid, outcome.error);
        answered();
      },
      async canBeOlder(instance) {
        const original = originalOf(instance);
        const names = [original.sopInstanceUid, instanceKey({ ...original, sharesSopInstanceUid: true })];
        sentBefore ??= ledger.entries(key);
        const known = await sentBefore;
        if (names.some((name) => known.get(name)?.state === 'delivered')) return true;
        isSharedPlace ??= setting.isSharedPlace();
        if (await isSharedPlace) return false;
        progress.replacesUnknown();
        return true;
      },
      async revoke(instance) {
        await ledger.revoke(key, originalOf(instance), fence);
        progress.revoked();
      },
      sent(bytes) {
        listings.sending();
        return progress.sent(bytes);
      },
      listed: (part, ask, options) => listings.list(part, ask, options),
      state: setting.state,
      memory: setting.memory,
      mailbox: setting.mailbox,
      log: setting.log,
      signal,
    };
    await handler.deliver(run);
    signal.throwIfAborted();
    watch.throwIfStale();
    if (before.pending.length > 0) answered();

    const after = await ledger.compare(key, manifest);
    if (after.pending.length > 0) {
      // Never "delivered" on a handler's word alone: what the ledger lacks was not confirmed.
      throw new DispatchError(
        'internal',
        `the handler ended without an answer for ${after.pending.length} of ${manifest.length} instances`,
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
    setting.complete(key, manifest);
    const skipped = before.delivered.length;
    return {
      total: manifest.length,
      sent: manifest.length - skipped,
      skipped,
      bytesSent: progress.bytesSent,
      attempts: setting.attempt,
    };
  } catch (error) {
    throw asDispatchError(error, progress.stage);
  }

  /** Before it has let us in nothing is an answer of the target: what cannot be proposed is quarantined by us. */
  function answered(): void {
    if (progress.isReached) setting.answered();
  }

  function outcomeOf(instance: ManifestInstance): Omit<Confirmation, 'warning'> {
    const { sopInstanceUid, seriesInstanceUid, sharesSopInstanceUid, version } = instance;
    return {
      sopInstanceUid,
      seriesInstanceUid,
      ...(sharesSopInstanceUid && { sharesSopInstanceUid }),
      version,
      attempt: setting.attempt,
      deliveryId: data.deliveryId,
    };
  }
}
