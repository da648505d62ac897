import { DispatchError, type ManifestInstance } from '@dicom-dispatch/core';
import { asRepeated, type Change } from '@dicom-dispatch/sources';
import type { RunState } from '@dicom-dispatch/target-kit';

const stateKey = 'source-suspects';
/**
 * An instance with this number of failed attempts is at fault itself, if the source is available: 75 s with the default
 * back-off.
 */
const maxFailures = 5;

/**
 * Instances that the source failed to return, or returned wrongly. They are requested again in the next attempts; an instance
 * that fails in each of them, while the source otherwise responds, is quarantined, so that it cannot block a study. The state
 * is kept across attempts and processes.
 */
export class SourceSuspects {
  readonly #state: RunState;
  readonly #isWell: () => Promise<boolean>;
  readonly #failuresUntilGuilty: number;
  /** Attempts in which each has failed, by its id in the source; read once it is needed. */
  #failures: Map<string, number> | undefined;
  /** Instances that were counted in this attempt. */
  readonly #counted = new Set<string>();

  /**
   * @param isWell - whether the source responds correctly to other requests
   * @param attempts - maximum number: the last one decides in any case, unless it is the only one
   */
  constructor(state: RunState, isWell: () => Promise<boolean>, attempts: number) {
    this.#state = state;
    this.#isWell = isWell;
    this.#failuresUntilGuilty = Math.max(2, Math.min(maxFailures, attempts));
  }

  /** To be called at the beginning of an attempt. */
  async load(): Promise<void> {
    this.#failures = new Map(Object.entries((await this.#state.get<Record<string, number>>(stateKey)) ?? {}));
  }

  /** Whether the instance has failed before: then everything about it is verified. */
  has({ sourceId }: ManifestInstance): boolean {
    return this.#failures?.has(sourceId) ?? false;
  }

  /** The instances, with those that have failed before at the end: one that breaks a connection does not affect others. */
  last(instances: readonly ManifestInstance[]): ManifestInstance[] {
    return instances.toSorted((one, other) => Number(this.has(one)) - Number(this.has(other)));
  }

  /** Evaluates an error on an instance, considering earlier attempts. */
  async judge({ sourceId }: ManifestInstance, thrown: unknown, change: Change): Promise<unknown> {
    const isOurs =
      thrown instanceof DispatchError &&
      thrown.disposition !== 'permanent' &&
      (thrown.code === 'source-bytes-wrong' || thrown.code === 'source-instance-failed');
    if (!isOurs) return thrown;
    const failures = this.#failures ?? new Map<string, number>();
    if (!this.#counted.has(sourceId)) {
      this.#counted.add(sourceId);
      failures.set(sourceId, (failures.get(sourceId) ?? 0) + 1);
      await this.#state.set(stateKey, Object.fromEntries(failures));
    }
    const times = failures.get(sourceId) ?? 1;
    if (times < this.#failuresUntilGuilty || !(await this.#isWell())) return thrown;
    return asRepeated(thrown, times, change);
  }
}
