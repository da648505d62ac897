import { DispatchError } from '@dicom-dispatch/core';
import type { DeliveryRun, ManifestInstance } from '../contract/index.ts';
import type { Send } from './in-lanes.ts';

const stateKey = 'suspects';
/** After this number of failures of one instance, over all attempts, the instance is at fault. */
const failuresUntilGuilty = 3;

interface Suspicion {
  readonly failures: number;
  /** Another instance that was started after one of the failures has arrived: the target could accept instances then. */
  readonly outlived: boolean;
}

/**
 * Instances with a failure that may be caused by the target or by the instance: "out of resources", a connection that ends during
 * the transfer. An instance that fails repeatedly while others succeed is quarantined, so that it cannot block a study. While
 * none succeeds, the target is full: then all of them wait for it.
 */
export class Suspects {
  readonly #run: Pick<DeliveryRun<unknown>, 'state' | 'manifest' | 'pending'>;
  readonly #suspicions: Map<string, Suspicion>;
  /** Ids in the source in the order in which they failed in this attempt. */
  readonly #failed: string[] = [];
  /** Number of entries of `#failed` that are followed by the arrival of another instance. */
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
   * The connection broke while several instances were in transit: none of them counts as failed, but they are sent last, and
   * alone.
   */
  async note(instances: Iterable<ManifestInstance>): Promise<void> {
    for (const { sourceId } of instances) {
      if (!this.#suspicions.has(sourceId)) this.#suspicions.set(sourceId, { failures: 0, outlived: false });
    }
    await this.#save();
  }

  /**
   * The connection broke, or stalled, while the instance was alone on it: this counts as a failure. The instance is quarantined
   * from the third failure on, if another instance that was started after one of the failures has arrived: this shows that the
   * target was available.
   *
   * @returns the error to report if the instance is quarantined, otherwise undefined
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

  /** Call this before an instance is sent; pass the result to `passed`. */
  begin(): number {
    return this.#failed.length;
  }

  /**
   * An instance has arrived: it is no longer suspect, and marks those that had failed before it was started as `outlived`.
   */
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

  /** Whether the target has accepted another instance that was started after this one had failed: it was available then. */
  isOutlived({ sourceId }: ManifestInstance): boolean {
    return this.#suspicions.get(sourceId)?.outlived === true;
  }

  /** An instance is quarantined for another reason: its other failures no longer count. */
  async forget({ sourceId }: ManifestInstance): Promise<void> {
    if (this.#suspicions.delete(sourceId)) await this.#save();
  }

  /**
   * Classifies an error of an instance, considering its earlier ones. A full target (`target-full`) is a temporary failure of the
   * instance: whether the target is full is known at the end of the attempt.
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
      // A quarantined instance is no longer a suspect.
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

  /** The error of the attempt: if the target reported that it is full, and accepted nothing afterwards, it is full. */
  verdict(thrown: unknown): unknown {
    if (!this.#full || !(thrown instanceof DispatchError) || thrown.code !== 'instance-failed') return thrown;
    const tookAnyAfterwards = this.#failed.some((id) => this.#suspicions.get(id)?.outlived ?? true);
    return tookAnyAfterwards ? thrown : this.#full;
  }

  /** A broken association affects every instance in transit: that others have arrived before is sufficient evidence. */
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

/** Wraps `send`: the failures of an instance are judged by its earlier failures, and by the results of the others. */
export function withSuspects(suspects: Suspects, send: Send): Send {
  return async (opened, context) => {
    const begun = suspects.begin();
    try {
      const outcome = await send(opened, context);
      if (outcome?.kind === 'delivered') await suspects.passed(opened.instance, begun);
      return outcome;
    } catch (thrown) {
      // A failure of the source does not count against the instance at the target.
      if (context.signal.aborted || opened.bytes.readError !== undefined) throw thrown;
      throw await suspects.judge(opened.instance, thrown);
    }
  };
}
