import {
  asDispatchError,
  compileSelection,
  contentHash,
  ledgerKeyOf,
  ledgerVersion,
  selectInstances,
  type ManifestInstance,
} from '@dicom-dispatch/core';
import type { ArrivalMessage } from '@dicom-dispatch/pipeline';
import { compareWithLedger } from '@dicom-dispatch/state/ledger';
import { templateTags } from '@dicom-dispatch/targets';
import type { Kept } from '@dicom-dispatch/target-kit';
import type { ArrivalInbox } from './listen-for-arrivals.ts';
import { leaveOutConflicts } from './leave-out-conflicts.ts';
import { ManifestWatch } from './manifest-watch.ts';
import { openRuns } from './open-runs.ts';
import { quarantineUnread } from './quarantine-unread.ts';
import type { DeliveryDependencies } from './run-delivery.ts';

/** After this time without new instances the attempt ends, and open objects are closed: longer than any interval of announcements. */
const quietMs = 5_000;
/** Interval for checking whether other deliveries wait for the target. */
const lookMs = 2_000;

export interface ArrivingDependencies extends DeliveryDependencies {
  readonly inbox: ArrivalInbox;
  /** Whether other deliveries wait for the target: an attempt without work ends for them. */
  doOthersWait(): Promise<boolean>;
}

export interface ArrivingEnd {
  /** `whole`: the study is stable; `quiet`: nothing has arrived for some time. */
  readonly kind: 'whole' | 'quiet';
  /** Content hash of all arrived instances. */
  readonly contentHash: string;
  /** False if series were omitted that were still being received. */
  readonly isAll: boolean;
  /** Whether the source called the study stable when the attempt began. */
  readonly isStable: boolean;
}

/**
 * One attempt of a delivery whose study is still being received: sends arrived instances, then further ones, until nothing
 * arrives for some time, or the study is stable. Nothing is verified or finalised, and only the entries of the ledger count
 * as delivered; the attempt that follows when the study is stable does the rest.
 *
 * @throws DispatchError with the stage in which the attempt ended
 */
export async function runArriving(dependencies: ArrivingDependencies): Promise<ArrivingEnd> {
  const { progress, signal } = dependencies;
  const watch = new ManifestWatch();
  try {
    return await runWith(dependencies, watch);
  } catch (error) {
    if (!watch.isStale || signal.aborted) throw asDispatchError(error, progress.stage);
  }
  dependencies.log.info('an instance left the source while the study was arriving: the study is read again');
  return runWith(dependencies, new ManifestWatch());
}

async function runWith(dependencies: ArrivingDependencies, watch: ManifestWatch): Promise<ArrivingEnd> {
  const { data, source, ledger, progress, signal, inbox } = dependencies;
  const key = ledgerKeyOf({ ...data, ledger: dependencies.ledgerName });
  const kept = new Map<string, Kept>();
  try {
    progress.enter('resolve');
    const { config, handler } = await dependencies.resolve();
    progress.enter('manifest');
    const facts = await source.readStudy(templateTags(config));
    let { tags: study } = facts;
    // Messages about instances that were already read are recognised by id.
    const { instances, isAll } = await source.readArrived(data.arriving);
    const all = new Map(instances.map((one) => [one.sourceId, one]));
    const owners = new UidOwners(instances);
    const end = (kind: ArrivingEnd['kind']): ArrivingEnd => ({
      kind,
      isAll,
      isStable: facts.isStable === true,
      contentHash: contentHash(all.values()),
    });
    // In the first attempt, before anything is written into the ledger.
    await dependencies.restoreLedger(key, instances);
    if (!handler.sendsParts) return end('quiet');
    watch.begin();
    const selection = compileSelection(config.instances, data.selections);
    const first = await select([...all.values()]);
    // No other process confirms instances of this delivery: what is confirmed from here on is known by its id.
    let entries = await ledger.entries(key);
    const before = compareWithLedger(entries, first.selected);
    const confirmed = new Map(before.delivered.map((one) => [one.sourceId, one]));
    progress.begin(first.selected.length, before.delivered.length, before.quarantined.length);
    const given = { config, heldBytes: handler.heldBytes?.(config), key, watch, isUnsettled: true };
    let runs = await openRuns(dependencies, { ...given, study });
    let { pending } = before;
    progress.arrives();
    let lookedAt = performance.now();
    for (;;) {
      signal.throwIfAborted();
      if (pending.length > 0) {
        const part = runs.of(pending, { pending, quarantined: [] }, { isPart: true, kept, confirmed });
        const given = { pending, delivered: [] };
        await handler.deliver(await leaveOutConflicts(part, handler, given, (some) => dependencies.takenUids(some)));
        watch.throwIfStale();
        if (progress.isReached) dependencies.answered();
      }
      const messages = await next();
      if (messages === 'whole' || messages === 'quiet') return end(messages);
      // By id: push and feed may report the same one.
      const news = new Map<string, ManifestInstance>();
      for (const one of messages) {
        const known = all.get(one.sourceId);
        if (known?.version === one.version && known.fileUuid === one.fileUuid) continue;
        const shared = owners.marked(one);
        all.set(one.sourceId, shared);
        news.set(one.sourceId, shared);
      }
      const come = [...news.values()];
      if (come.some(({ seriesInstanceUid }) => !study.series.has(seriesInstanceUid))) {
        ({ tags: study } = await source.readStudy(templateTags(config)));
        runs = await openRuns(dependencies, { ...given, study });
      }
      // A series that was stable before may be reported again.
      const { selected, quarantined } = await select(come);
      if (quarantined > 0) entries = await ledger.entries(key);
      ({ pending } = compareWithLedger(entries, selected));
      progress.grow(pending.length + quarantined);
    }

    /** Of the given instances, those to send with their versions in the ledger, and how many were quarantined just now. */
    async function select(
      instances: readonly ManifestInstance[],
    ): Promise<{ readonly selected: readonly ManifestInstance[]; readonly quarantined: number }> {
      const { wanted } = selection;
      const tags = wanted.length > 0 ? await source.readInstanceTags(wanted, instances) : undefined;
      const selected = selectInstances(instances, study, selection, tags).map((one) => ({
        ...one,
        version: ledgerVersion(one.version, data),
      }));
      return { selected, quarantined: await quarantineUnread(dependencies, key, selected, tags) };
    }

    async function next(): Promise<readonly ManifestInstance[] | 'whole' | 'quiet'> {
      const endsAt = performance.now() + quietMs;
      let messages = inbox.take();
      while (messages.length === 0 && performance.now() < endsAt) {
        if (performance.now() - lookedAt >= lookMs) {
          lookedAt = performance.now();
          if (await dependencies.doOthersWait()) return 'quiet';
        }
        await inbox.wait(Math.min(endsAt, lookedAt + lookMs) - performance.now(), signal);
        signal.throwIfAborted();
        messages = inbox.take();
      }
      if (messages.some(({ from }) => from === 'stable')) return 'whole';
      const instances = messages.filter(({ from }) => from === data.arriving).flatMap(instancesOf);
      return messages.length === 0 ? 'quiet' : instances;
    }
  } catch (error) {
    throw asDispatchError(error, progress.stage);
  } finally {
    await Promise.allSettled(Array.from(kept.values(), (one) => one.close()));
  }
}

function instancesOf({ instances }: ArrivalMessage): readonly ManifestInstance[] {
  return instances;
}

/** Marks instances whose SOP Instance UID another series of the study has as well. */
class UidOwners {
  /** Ids in the source by SOP Instance UID; undefined if there are several. */
  readonly #owners = new Map<string, string | undefined>();

  constructor(instances: readonly ManifestInstance[]) {
    for (const one of instances) this.marked(one);
  }

  marked(one: ManifestInstance): ManifestInstance {
    const { sopInstanceUid, sourceId } = one;
    if (!this.#owners.has(sopInstanceUid)) this.#owners.set(sopInstanceUid, sourceId);
    if (this.#owners.get(sopInstanceUid) === sourceId) return one;
    this.#owners.set(sopInstanceUid, undefined);
    return { ...one, sharesSopInstanceUid: true };
  }
}
