import {
  DispatchError,
  instanceKey,
  type ledgerKeyOf,
  type ManifestInstance,
  type StudyTags,
  type TargetConfig,
} from '@dicom-dispatch/core';
import type { Confirmation, Ledger, LedgerComparison } from '@dicom-dispatch/state/ledger';
import type { DeliveryRun, InstanceOutcome } from '@dicom-dispatch/target-kit';
import type { GuardedBytes, OpenOptions } from '@dicom-dispatch/sources';
import { InstanceRooms } from './instance-rooms.ts';
import type { ManifestWatch } from './manifest-watch.ts';
import type { DeliveryDependencies } from './run-delivery.ts';
import { SourceSuspects } from './source-suspects.ts';

/** What all runs of one attempt share. */
export interface RunsGiven {
  readonly config: TargetConfig;
  /** Maximum number of bytes of one instance that the handler holds in memory at the same time. */
  readonly heldBytes: number | undefined;
  readonly key: ReturnType<typeof ledgerKeyOf>;
  readonly study: StudyTags;
  readonly watch: ManifestWatch;
  /**
   * The source has other content than the routed one, or none was routed yet: it may change once more within the second
   * that is in its version. Then it is recorded which copy was sent.
   */
  readonly isUnsettled: boolean;
}

export interface Runs {
  /**
   * The run for a handler.
   *
   * @param manifest - with the versions of the instances in the ledger
   * @param part - for a part of a study that is still being received: the handler also sees the confirmed instances
   */
  of(
    manifest: readonly ManifestInstance[],
    ledger: Pick<LedgerComparison<ManifestInstance>, 'pending' | 'quarantined'>,
    part?: PartOfStudy,
  ): DeliveryRun<TargetConfig>;
}

/** What distinguishes the run for a part of a study that is still being received. */
export interface PartOfStudy extends Pick<DeliveryRun<TargetConfig>, 'isPart' | 'kept'> {
  /** Instances that the target has confirmed, by their ids in the source; those of this run are added. */
  readonly confirmed: Map<string, ManifestInstance>;
}

/** Creates the runs of an attempt: one, or one for each part of a study that is still being received. */
export async function openRuns(
  dependencies: DeliveryDependencies,
  { config, heldBytes, key, study, watch, isUnsettled }: RunsGiven,
): Promise<Runs> {
  const { data, source, ledger, fence, progress, signal, receipts } = dependencies;
  const transform = source.transform();
  const suspects = new SourceSuspects(dependencies.state, () => source.isWell(), config.attempts);
  await suspects.load();
  const rooms = new InstanceRooms(dependencies.share, heldBytes);
  let sentBefore: ReturnType<Ledger['entries']> | undefined;
  let isSharedPlace: Promise<boolean> | undefined;
  return { of: runOf };

  function runOf(
    manifest: readonly ManifestInstance[],
    { pending, quarantined }: Pick<LedgerComparison<ManifestInstance>, 'pending' | 'quarantined'>,
    { confirmed, ...more }: Partial<PartOfStudy> = {},
  ): DeliveryRun<TargetConfig> {
    // The target sees the sent UIDs, the ledger has the UIDs of the source. The id in the source is unchanged.
    const originals = new Map(manifest.map((instance) => [instance.sourceId, instance]));
    const shown = new Map(manifest.map((instance) => [instance.sourceId, transform?.show(instance) ?? instance]));
    const show = (instances: readonly ManifestInstance[]): ManifestInstance[] =>
      instances.map((instance) => shown.get(instance.sourceId) ?? instance);
    const originalOf = (instance: ManifestInstance): ManifestInstance => originals.get(instance.sourceId) ?? instance;
    const listings = dependencies.listings(config, show(manifest));
    const earlier = (): ManifestInstance[] =>
      Array.from(confirmed?.values() ?? [])
        .filter(({ sourceId }) => !originals.has(sourceId))
        .map((instance) => transform?.show(instance) ?? instance);
    let shownManifest: ManifestInstance[] | undefined;

    return {
      ...more,
      config,
      targetName: data.target,
      deliveryId: data.deliveryId,
      attempt: dependencies.attempt,
      priority: data.priority,
      study: transform?.showStudy(study) ?? study,
      // Only few handlers read it for a part, which is small.
      get manifest() {
        return (shownManifest ??= [...earlier(), ...show(manifest)]);
      },
      pending: show(suspects.last(pending)),
      quarantined: show(quarantined),
      sizes: transform ? 'estimated' : 'exact',
      async open(instance, options): Promise<GuardedBytes> {
        const original = originalOf(instance);
        const room = await rooms.take(original, options?.signal ?? signal);
        listings.sending();
        const wanted: OpenOptions = {
          signal,
          ...options,
          ended: room.ended,
          tally: receipts.opening(original),
          // An instance that failed before is verified with its digest.
          ...(suspects.has(original) && { digest: true }),
          judge: async (thrown, change) => {
            const known = watch.judge(thrown);
            return known === thrown ? suspects.judge(original, thrown, change) : known;
          },
        };
        try {
          watch.throwIfStale();
          const bytes = await (transform ? transform.open(original, wanted) : source.open(original, wanted));
          return Object.assign(bytes, { room });
        } catch (thrown) {
          room.release();
          throw thrown;
        }
      },
      // A later part uses open connections.
      stage: (stage) => (stage === 'connect' && more.isPart && progress.isReached ? undefined : progress.enter(stage)),
      async report(instance, given) {
        const original = originalOf(instance);
        const outcome = await withoutOlder(original, given, confirmed);
        if (outcome.kind === 'delivered') {
          const { warning, answer = warning ?? '' } = outcome;
          const at = dependencies.now();
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
          if (outcome.isExisting) progress.existed();
          confirmed?.set(original.sourceId, original);
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
        if (await wasSentBefore(originalOf(instance), confirmed)) return true;
        isSharedPlace ??= dependencies.isSharedPlace();
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
      reserve: (bytes, taking) => dependencies.share.take(bytes, 'part', taking),
      state: dependencies.state,
      memory: dependencies.memory,
      mailbox: dependencies.mailbox,
      log: dependencies.log,
      signal,
    };
  }

  /** Whether the target has confirmed the instance in another version. */
  async function wasSentBefore(
    pending: ManifestInstance,
    confirmed: PartOfStudy['confirmed'] | undefined,
  ): Promise<boolean> {
    if (confirmed?.has(pending.sourceId)) return true;
    const names = [pending.sopInstanceUid, instanceKey({ ...pending, sharesSopInstanceUid: true })];
    sentBefore ??= ledger.entries(key);
    const known = await sentBefore;
    return names.some((name) => known.get(name)?.state === 'delivered');
  }

  /** Rejects an outcome "already stored" for an instance that was sent in another version before: it is no confirmation. */
  async function withoutOlder(
    instance: ManifestInstance,
    outcome: InstanceOutcome,
    confirmed: PartOfStudy['confirmed'] | undefined,
  ): Promise<InstanceOutcome> {
    if (outcome.kind !== 'delivered' || !outcome.isExisting) return outcome;
    if (!(await wasSentBefore(instance, confirmed))) return outcome;
    const said = outcome.warning === undefined ? '' : `: ${outcome.warning}`;
    const error = new DispatchError(
      'target-conflict',
      `${data.target} has confirmed an older version of the instance, and does not take the one that the source has now${said}`,
      { stage: 'transfer', remedy: 'Remove the older version at the target, then retry the delivery.' },
    );
    return { kind: 'quarantined', error };
  }

  /**
   * Before the target has accepted the login, an outcome is no response of it: instances that cannot be proposed are
   * quarantined by the handler.
   */
  function answered(): void {
    if (progress.isReached) dependencies.answered();
  }

  function outcomeOf(instance: ManifestInstance): Omit<Confirmation, 'warning'> {
    const { sopInstanceUid, seriesInstanceUid, sharesSopInstanceUid, version, fileUuid } = instance;
    return {
      sopInstanceUid,
      seriesInstanceUid,
      ...(sharesSopInstanceUid && { sharesSopInstanceUid }),
      version,
      ...(isUnsettled && { fileUuid }),
      attempt: dependencies.attempt,
      deliveryId: data.deliveryId,
    };
  }
}
