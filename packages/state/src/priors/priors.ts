import { createHash } from 'node:crypto';
import { DispatchError, type DeliveryData } from '@dicom-dispatch/core';
import type { Redis } from 'ioredis';
import { redisKeys } from '../keys/redis-keys.ts';
import { claimScript, openScript, renewScript, saveScript } from './prior-scripts.ts';
import type { PriorsKey, PriorsStep } from './prior-types.ts';

/** A dispatcher that takes a step has it for this time, and renews it while working. */
export const priorsLeaseMs = 30_000;

/** The fields of a delivery that determine its priors. */
type Delivery = Pick<
  DeliveryData,
  'source' | 'orthancStudyId' | 'studyInstanceUid' | 'target' | 'deliveryId' | 'transform' | 'nonce' | 'priors'
>;

/**
 * The priors of studies, in Redis, by study and target: for late instances of a study, its step is already complete. An
 * open step has a due time, and is processed by the dispatcher that has taken it; if this dispatcher crashes, the step
 * becomes due again. Every method throws DispatchError `ledger-unavailable` if Redis fails.
 */
export class Priors {
  readonly #redis: Redis;
  readonly #prefix: string;

  constructor(redis: Redis, prefix: string) {
    this.#redis = redis;
    this.#prefix = prefix;
  }

  /** The step of a delivery; created if it does not exist. */
  async open(delivery: Delivery): Promise<PriorsStep> {
    const { source, orthancStudyId, studyInstanceUid, target, deliveryId, priors: terms = [] } = delivery;
    const key = { source, orthancStudyId, id: priorsId(delivery) };
    const step: Omit<PriorsStep, 'openedAt'> = {
      ...key,
      studyInstanceUid,
      target,
      deliveryId,
      terms,
      state: 'looking',
      attempts: 0,
      chosen: [],
      left: [],
      leftCount: 0,
    };
    const waits = terms.filter(({ first }) => first).map(({ wait }) => wait);
    const waitMs = waits.length === 0 ? '' : Math.max(...waits);
    const args = [key.id, JSON.stringify(step), waitMs, memberOf(key)];
    return JSON.parse(String(await this.#run(() => openScript.run(this.#redis, this.#keys(key), args)))) as PriorsStep;
  }

  /** All steps of a study, the oldest first. */
  async of(study: Omit<PriorsKey, 'id'>): Promise<PriorsStep[]> {
    const fields = await this.#run(() => this.#redis.hgetall(this.#stepsKey(study)));
    const steps = Object.entries(fields).flatMap(([field, text]) =>
      field.includes(' ') ? [] : [JSON.parse(text) as PriorsStep],
    );
    return steps.sort((one, other) => one.openedAt - other.openedAt || one.id.localeCompare(other.id));
  }

  /** Records that a study no longer waits. @returns whether this is the first time */
  async goWithout(key: PriorsKey): Promise<boolean> {
    return (await this.#run(() => this.#redis.hsetnx(this.#stepsKey(key), `${key.id} without`, 1))) === 1;
  }

  /** Takes the step with the earliest due time; undefined if none is due. */
  async claim(token: string, leaseMs = priorsLeaseMs): Promise<PriorsStep | undefined> {
    const keys = [redisKeys(this.#prefix).index('priors')];
    const text = await this.#run(() => claimScript.run(this.#redis, keys, [token, leaseMs, this.#prefix]));
    return typeof text === 'string' ? (JSON.parse(text) as PriorsStep) : undefined;
  }

  /** @returns false if another dispatcher has it */
  async renew(key: PriorsKey, token: string, leaseMs = priorsLeaseMs): Promise<boolean> {
    const args = [key.id, token, leaseMs, memberOf(key)];
    return (await this.#run(() => renewScript.run(this.#redis, this.#keys(key), args))) === 1;
  }

  /**
   * Writes the progress of a step.
   *
   * @param next - when it continues: after this many milliseconds, by the dispatcher that takes it then; never; or the
   *   caller keeps it
   * @returns false if another dispatcher has taken it: nothing was written
   */
  async save(step: PriorsStep, token: string, next: { readonly inMs: number } | 'end' | 'keep'): Promise<boolean> {
    return this.#save(step, token, JSON.stringify(step), next);
  }

  /** Removes a step whose delivery has ended before all priors were sent: a retry of the delivery opens it again. */
  async drop(key: PriorsKey, token: string): Promise<boolean> {
    return this.#save(key, token, '', 'end');
  }

  async #save(key: PriorsKey, token: string, text: string, next: { readonly inMs: number } | 'end' | 'keep') {
    const due = next === 'end' ? 'end' : next === 'keep' ? '' : Math.ceil(next.inMs);
    const keys = [...this.#keys(key), redisKeys(this.#prefix).changes];
    const args = [key.id, token, memberOf(key), text, due];
    return (await this.#run(() => saveScript.run(this.#redis, keys, args))) === 1;
  }

  #keys(key: Omit<PriorsKey, 'id'>): [string, string] {
    return [this.#stepsKey(key), redisKeys(this.#prefix).index('priors')];
  }

  #stepsKey({ source, orthancStudyId }: Omit<PriorsKey, 'id'>): string {
    return redisKeys(this.#prefix).priors(source, orthancStudyId);
  }

  async #run<T>(act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (error) {
      if (error instanceof DispatchError) throw error;
      throw new DispatchError('ledger-unavailable', 'Redis did not answer for priors', { cause: error });
    }
  }
}

function memberOf({ source, orthancStudyId, id }: PriorsKey): string {
  return `${source} ${orthancStudyId} ${id}`;
}

/** The same for all contents of a study: late instances do not send its priors again. */
function priorsId({ target, transform, nonce, priors }: Delivery): string {
  const hash = createHash('sha256').update(JSON.stringify([target, transform?.name ?? '', nonce ?? '', priors ?? []]));
  return `p-${hash.digest('hex').slice(0, 20)}`;
}
