import { DispatchError } from '@dicom-dispatch/core';
import type { DeliveryRun, ManifestInstance } from '../contract/index.ts';

const stateKey = 'dicom-suspects';
/** After so many failures of one instance, over all attempts, it is the instance that is at fault. */
const failuresUntilGuilty = 3;

/**
 * Instances on which something went wrong that could be the receiver's fault or theirs: a status "out of resources", a
 * connection that ends in the middle. They are sent after the others, one at a time: so only the first of their
 * failures can be that of a neighbour. One that fails again and again while its siblings pass is quarantined, so that it
 * cannot keep a study from arriving.
 */
export class Suspects {
  readonly #run: Pick<DeliveryRun<unknown>, 'state' | 'manifest' | 'pending'>;
  readonly #failures: Map<string, number>;

  private constructor(run: DeliveryRun<unknown>, failures: Map<string, number>) {
    this.#run = run;
    this.#failures = failures;
  }

  static async load(run: DeliveryRun<unknown>): Promise<Suspects> {
    const kept = (await run.state.get<Record<string, number>>(stateKey)) ?? {};
    return new Suspects(run, new Map(Object.entries(kept)));
  }

  /** The instances without the suspects, and the suspects, those with fewer failures first. */
  divide(instances: readonly ManifestInstance[]): {
    readonly others: readonly ManifestInstance[];
    readonly suspects: readonly ManifestInstance[];
  } {
    if (this.#failures.size === 0) return { others: instances, suspects: [] };
    const failures = ({ sopInstanceUid }: ManifestInstance): number => this.#failures.get(sopInstanceUid) ?? 0;
    return {
      others: instances.filter((one) => failures(one) === 0),
      suspects: instances.filter((one) => failures(one) > 0).toSorted((a, b) => failures(a) - failures(b)),
    };
  }

  /** What an error on an instance is, in the light of its earlier ones. */
  async judge(instance: ManifestInstance, thrown: unknown): Promise<unknown> {
    if (!(thrown instanceof DispatchError)) return thrown;
    if (thrown.code !== 'instance-failed' && thrown.code !== 'target-connection-lost') return thrown;
    const failures = (this.#failures.get(instance.sopInstanceUid) ?? 0) + 1;
    this.#failures.set(instance.sopInstanceUid, failures);
    await this.#run.state.set(stateKey, Object.fromEntries(this.#failures));
    const siblingsPass =
      this.#run.pending.length < this.#run.manifest.length && this.#failures.size < this.#run.manifest.length;
    if (failures < failuresUntilGuilty || !siblingsPass) return thrown;
    return new DispatchError(
      'instance-refused',
      `failed ${failures} times while others of the study pass: ${thrown.message}`,
      { cause: thrown },
    );
  }
}
