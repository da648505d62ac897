import { setTimeout as sleep } from 'node:timers/promises';
import { asDispatchError, DispatchError } from '@dicom-dispatch/core';
import type { Association } from 'dicom-dimse';
import type { DeliveryRun, InstanceOutcome, ManifestInstance } from '@dicom-dispatch/target-kit';
import {
  inLanes,
  largeAtOnce,
  largeBytes,
  until,
  verdictOf,
  type LaneContext,
  type OpenedInstance,
  type Suspects,
} from '@dicom-dispatch/target-kit/flow';
import type { AssociationPool } from './association-pool.ts';
import { associationsFor } from './associations-for.ts';
import { chooseEncoding, unsupported, type ContextGroup, type Encoding } from './presentation-contexts.ts';
import type { AnyDicomTarget } from './schema.ts';
import { isLost, storeOne } from './store-one.ts';

/**
 * Two instances are in transit on each association: the second is ready when the response to the first begins,
 * as required by the early byte.
 */
const instancesPerAssociation = 2;
/** An arriving study has few instances at a time: minimum number of them for each association, if the receiver is near. */
const leastOfPart = 8;
/** A receiver that opens an association in less than this time confirms an instance in a few milliseconds. */
const nearMs = 20;
/** With this number of instances, one is kept back: if it succeeds after others have failed, the receiver was available. */
const leastForControl = 4;
/** An instance that fails alone is sent once more, on another new association, before the failure counts. */
const triesAlone = 2;
/** Time in which a receiver cleans up after a lost association. */
const settleMs = 500;

export interface SentGroup {
  readonly quarantined: readonly ManifestInstance[];
  /** The first failure of instances that are sent again in the next attempt. */
  readonly putOff: DispatchError | undefined;
}

/** Sends the instances of one set of associations. @throws DispatchError if the attempt cannot continue */
export async function sendGroup(
  run: DeliveryRun<AnyDicomTarget>,
  group: ContextGroup,
  pool: AssociationPool,
  suspects: Suspects,
): Promise<SentGroup> {
  return new GroupSender(run, pool, suspects).send(group);
}

/**
 * Sends in four steps: instances that are not suspect, over several associations; suspect ones, sequentially; those in transit when an
 * association was lost, each alone on a new one; and one that was kept back.
 */
class GroupSender {
  readonly #run: DeliveryRun<AnyDicomTarget>;
  readonly #pool: AssociationPool;
  readonly #suspects: Suspects;
  readonly #encodings = new Map<ManifestInstance, Encoding>();
  readonly #quarantined: ManifestInstance[] = [];
  /** Instances in transit when their association was lost, in the order of detection. */
  readonly #lost = new Map<ManifestInstance, DispatchError>();
  #lostAt = 0;
  #associations = 1;
  #putOff: DispatchError | undefined;

  constructor(run: DeliveryRun<AnyDicomTarget>, pool: AssociationPool, suspects: Suspects) {
    this.#run = run;
    this.#pool = pool;
    this.#suspects = suspects;
  }

  async send(group: ContextGroup): Promise<SentGroup> {
    const { others, suspects } = this.#suspects.divide(await this.#choose(group.instances));
    const isLarge = others.some(({ sizeBytes }) => sizeBytes > largeBytes);
    const wanted = isLarge ? largeAtOnce : associationsFor(this.#run.config.maxParallel, this.#pool.openMs);
    const isNear = this.#pool.openMs < nearMs;
    const atOnce = this.#run.isPart === true && isNear ? Math.ceil(others.length / leastOfPart) : others.length;
    this.#associations = Math.max(1, Math.min(wanted, atOnce));
    const lanes = {
      lanes: this.#associations * instancesPerAssociation,
      prefetch: isLarge ? 0 : this.#associations,
    };
    // The next attempt sends a suspect instance again, with a control.
    const isFirstTime = this.#run.isPart === true && suspects.length === 0;
    const controls = others.length >= leastForControl && !isFirstTime ? others.slice(-1) : [];
    try {
      await this.#sendAll(others.slice(0, others.length - controls.length), lanes);
      await this.#sendAll(suspects, { lanes: 1, prefetch: 0 });
      await this.#sendLost();
      await this.#sendAll(controls, { lanes: 1, prefetch: 0 });
      await this.#sendLost();
    } finally {
      // Lost instances that were not sent again: in the next attempt they are sent after the others.
      if (this.#lost.size > 0 && !this.#run.signal.aborted) await this.#suspects.note(this.#lost.keys());
    }
    return { quarantined: this.#quarantined, putOff: this.#putOff };
  }

  async #choose(instances: readonly ManifestInstance[]): Promise<ManifestInstance[]> {
    const association = await this.#pool.get(0);
    for (const instance of instances) {
      const encoding = chooseEncoding(instance, this.#run.config, (sopClass, syntax) =>
        association.canStore(sopClass, syntax),
      );
      if (encoding !== undefined) {
        this.#encodings.set(instance, encoding);
        continue;
      }
      this.#quarantined.push(instance);
      await this.#run.report(instance, { kind: 'quarantined', error: unsupported(instance, this.#run.config) });
    }
    return [...this.#encodings.keys()];
  }

  async #sendAll(
    instances: readonly ManifestInstance[],
    lanes: { readonly lanes: number; readonly prefetch: number },
    send = (opened: OpenedInstance, context: LaneContext) => this.#sendOne(opened, context),
  ): Promise<void> {
    if (instances.length === 0) return;
    try {
      const result = await inLanes(
        this.#run,
        {
          ...lanes,
          instances,
          transferSyntaxUid: (instance) => this.#toTranscode(instance),
          isSeenTo: (instance) => this.#lost.has(instance),
        },
        send,
      );
      this.#quarantined.push(...result.quarantined);
    } catch (thrown) {
      const error = asDispatchError(thrown);
      if (verdictOf(error) !== 'later') throw error;
      this.#putOff ??= error;
    }
  }

  /** Each alone on a separate association: a failure there may be caused by the instance. */
  async #sendLost(): Promise<void> {
    const lost = [...this.#lost];
    for (const [instance, error] of lost) {
      let failure: DispatchError | undefined = error;
      for (let tries = 0; failure && tries < triesAlone; tries += 1) {
        this.#lost.delete(instance);
        await this.#settle();
        await this.#sendAll([instance], { lanes: 1, prefetch: 0 }, async (opened, { signal }) =>
          this.#store(opened, await this.#pool.fresh(), signal),
        );
        failure = this.#lost.get(instance);
      }
      this.#lost.delete(instance);
      if (failure) await this.#failedAlone(instance, failure);
    }
  }

  /**
   * A receiver cleans up after an incomplete instance: storescp removes its file, even if the instance was sent again and is complete
   * by then.
   */
  async #settle(): Promise<void> {
    const leftMs = this.#lostAt + settleMs - performance.now();
    if (leftMs > 0) await until(sleep(leftMs), this.#run.signal);
  }

  async #failedAlone(instance: ManifestInstance, failure: DispatchError): Promise<void> {
    const refused = await this.#suspects.judgeAlone(instance, failure);
    if (!refused) {
      this.#putOff ??= failure;
      return;
    }
    this.#run.log.warn('instance quarantined', { sopInstanceUid: instance.sopInstanceUid, code: refused.code });
    this.#quarantined.push(instance);
    await this.#run.report(instance, { kind: 'quarantined', error: refused });
  }

  async #sendOne(opened: OpenedInstance, { lane, signal }: LaneContext): Promise<InstanceOutcome> {
    const association = await this.#pool.get(lane % this.#associations);
    return this.#store(opened, association, signal);
  }

  async #store(opened: OpenedInstance, association: Association, signal: AbortSignal): Promise<InstanceOutcome> {
    const { instance } = opened;
    const begun = this.#suspects.begin();
    try {
      this.#pool.use(association);
      const encoding = this.#encodings.get(instance) ?? { how: 'stored', transferSyntaxUid: '' };
      const outcome = await storeOne(this.#run, opened, { association, encoding, signal });
      this.#pool.confirmed(association);
      await this.#suspects.passed(instance, begun);
      return outcome;
    } catch (thrown) {
      if (signal.aborted) throw thrown;
      if (!isLost(thrown)) throw await this.#suspects.judge(instance, thrown);
      this.#lost.set(instance, thrown);
      this.#lostAt = performance.now();
      // The other instances are sent over the remaining associations.
      throw new DispatchError('instance-failed', thrown.message, { cause: thrown });
    }
  }

  /** The transfer syntax to request from the source, if it is not the stored one. */
  #toTranscode(instance: ManifestInstance): string | undefined {
    const encoding = this.#encodings.get(instance);
    return encoding?.how === 'transcoded' ? encoding.transferSyntaxUid : undefined;
  }
}
