import { DispatchError } from '@dicom-dispatch/core';
import type { DeliveryRun, ManifestInstance } from '../contract/index.ts';
import type { Send } from './in-lanes.ts';

const stateKey = 'suspects';
/** After so many failures of one instance, over all attempts, it is the instance that is at fault. */
const failuresUntilGuilty = 3;

interface Suspicion {
  readonly failures: number;
  /** Another instance that was begun after one of the failures has arrived: so the target could take instances then. */
  readonly outlived: boolean;
}

/**
 * Instances on which something went wrong that could be the target's fault or theirs: "out of resources", a connection
 * that ends in the middle. One that fails again and again while its siblings pass is quarantined, so that it cannot keep
 * a study from arriving. While nothing passes it is the target that is full: then all of them wait for it.
 */
export class Suspects {
  readonly #run: Pick<DeliveryRun<unknown>, 'state' | 'manifest' | 'pending'>;
  readonly #suspicions: Map<string, Suspicion>;
  /** Ids in the source in the order in which they failed in this attempt. */
  readonly #failed: string[] = [];
  /** So many of them were seen to be outlived. */
  #outlived = 0;
  #full: DispatchError | undefined;

  private constructor(run: DeliveryRun<unknown>, suspicions: Map<string, Suspicion>) {
    this.#run = run;
    this.#suspicions = suspicions;
  }

  static async load(run: DeliveryRun<unknown>): Promise<Suspects> {
    const kept = (await run.state.get<Record<string, Suspicion>>(stateKey)) ?? {};
    return new Suspects(run, new Map(Object.entries(kept)));
  }

  /** The instances without the suspects, and the suspects, those with fewer failures first. */
  divide(instances: readonly ManifestInstance[]): {
    readonly others: readonly ManifestInstance[];
    readonly suspects: readonly ManifestInstance[];
  } {
    if (this.#suspicions.size === 0) return { others: instances, suspects: [] };
    const isSuspect = ({ sourceId }: ManifestInstance): boolean => this.#suspicions.has(sourceId);
    const failures = ({ sourceId }: ManifestInstance): number => this.#suspicions.get(sourceId)?.failures ?? 0;
    return {
      others: instances.filter((one) => !isSuspect(one)),
      suspects: instances.filter(isSuspect).toSorted((a, b) => failures(a) - failures(b)),
    };
  }

  /**
   * The connection came down while several instances were on their way: none is blamed for it, but they go last, and alone.
   */
  async note(instances: Iterable<ManifestInstance>): Promise<void> {
    for (const { sourceId } of instances) {
      if (!this.#suspicions.has(sourceId)) this.#suspicions.set(sourceId, { failures: 0, outlived: false });
    }
    await this.#save();
  }

  /**
   * The connection came down, or fell silent, on an instance that was alone on it: that counts. It is quarantined at the
   * third time, if another instance that was begun after one of these times has arrived: only then was the target well.
   *
   * @returns whether it is quarantined, as the error to report
   */
  async judgeAlone({ sourceId }: ManifestInstance, error: DispatchError): Promise<DispatchError | undefined> {
    const { failures: before = 0, outlived = false } = this.#suspicions.get(sourceId) ?? {};
    const failures = before + 1;
    const isGuilty = failures >= failuresUntilGuilty && outlived;
    if (isGuilty) this.#suspicions.delete(sourceId);
    else {
      this.#suspicions.set(sourceId, { failures, outlived });
      this.#failed.push(sourceId);
    }
    await this.#save();
    if (!isGuilty) return undefined;
    return new DispatchError(
      'instance-refused',
      `failed ${failures} times when sent alone, while other instances of the study succeed: ${error.message}`,
      { cause: error },
    );
  }

  /** To be called before an instance is sent; what it gives goes to `passed`. */
  begin(): number {
    return this.#failed.length;
  }

  /** An instance has arrived: it is free of suspicion, and what had failed before it was begun is more suspect. */
  async passed({ sourceId }: ManifestInstance, begun: number): Promise<void> {
    let changed = this.#suspicions.delete(sourceId);
    for (; this.#outlived < begun; this.#outlived += 1) {
      const id = this.#failed[this.#outlived] ?? '';
      const suspicion = this.#suspicions.get(id);
      if (!suspicion || suspicion.outlived) continue;
      this.#suspicions.set(id, { ...suspicion, outlived: true });
      changed = true;
    }
    if (changed) await this.#save();
  }

  /** Whether the target has taken another instance that was begun after this one had failed: it was well then. */
  isOutlived({ sourceId }: ManifestInstance): boolean {
    return this.#suspicions.get(sourceId)?.outlived === true;
  }

  /** It is quarantined for another reason: what else happened says nothing any more. */
  async forget({ sourceId }: ManifestInstance): Promise<void> {
    if (this.#suspicions.delete(sourceId)) await this.#save();
  }

  /**
   * What an error on an instance is, in the light of its earlier ones. A full target (`target-full`) is the instance's own
   * failure for now: whether it is the target's is known at the end of the attempt.
   */
  async judge({ sourceId }: ManifestInstance, thrown: unknown): Promise<unknown> {
    if (!(thrown instanceof DispatchError)) return thrown;
    const isLost = thrown.code === 'target-connection-lost';
    if (!isLost && thrown.code !== 'instance-failed' && thrown.code !== 'target-full') return thrown;
    if (thrown.code === 'target-full') this.#full ??= thrown;
    const { failures: before = 0, outlived = false } = this.#suspicions.get(sourceId) ?? {};
    const failures = before + 1;
    this.#suspicions.set(sourceId, { failures, outlived });
    this.#failed.push(sourceId);
    await this.#save();
    if (failures >= failuresUntilGuilty && (isLost ? this.#someHaveArrived() : outlived || this.#isTheOnlyOne())) {
      // One that is quarantined is no suspect any more.
      this.#suspicions.delete(sourceId);
      await this.#save();
      return new DispatchError(
        'instance-refused',
        `failed ${failures} times while other instances of the study succeed: ${thrown.message}`,
        { cause: thrown },
      );
    }
    if (thrown.code !== 'target-full') return thrown;
    return new DispatchError('instance-failed', thrown.message, { cause: thrown, remedy: thrown.remedy });
  }

  /** What an attempt ends with: when the target said that it is full, and took nothing afterwards, then it is full. */
  verdict(thrown: unknown): unknown {
    if (!this.#full || !(thrown instanceof DispatchError) || thrown.code !== 'instance-failed') return thrown;
    const tookAnyAfterwards = this.#failed.some((id) => this.#suspicions.get(id)?.outlived ?? true);
    return tookAnyAfterwards ? thrown : this.#full;
  }

  /** The association comes down on whatever is under way: that others have arrived before says enough. */
  #someHaveArrived(): boolean {
    return this.#run.pending.length < this.#run.manifest.length && this.#suspicions.size < this.#run.manifest.length;
  }

  #isTheOnlyOne(): boolean {
    return this.#suspicions.size === 1 && this.#run.pending.length < this.#run.manifest.length;
  }

  async #save(): Promise<void> {
    await this.#run.state.set(stateKey, Object.fromEntries(this.#suspicions));
  }
}

/** The same sending, with the failures of each instance judged in the light of its earlier ones, and of its siblings. */
export function withSuspects(suspects: Suspects, send: Send): Send {
  return async (opened, context) => {
    const begun = suspects.begin();
    try {
      const outcome = await send(opened, context);
      if (outcome?.kind === 'delivered') await suspects.passed(opened.instance, begun);
      return outcome;
    } catch (thrown) {
      // The source's failures are not the target's.
      if (context.signal.aborted || opened.bytes.readError !== undefined) throw thrown;
      throw await suspects.judge(opened.instance, thrown);
    }
  };
}
