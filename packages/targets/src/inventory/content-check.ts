import { DispatchError, type TargetConfig } from '@dicom-dispatch/core';
import type { InventoryContext, ListedInstance } from '@dicom-dispatch/target-kit';
import { compareDataSets, type Comparison } from './compare-data-sets.ts';
import { ignoredTags } from './ignored-tags.ts';

/**
 * Retrieves an instance and hands its Part 10 file to `use`.
 *
 * @throws DispatchError `target-error` or `target-connection-lost` when this instance did not come, any other when the target
 *   cannot be asked; what `use` throws
 */
export type Retrieve = <T>(
  instance: ListedInstance,
  use: (body: AsyncIterable<Uint8Array>) => Promise<T>,
) => Promise<T>;

/** After so many instances in a row that did not come, before any has, the target is not asked for more. */
const maxVain = 3;
/** So many others are asked for where one does not come and none has come so far: of its study, and of other studies. */
const maxControls = { study: 2, elsewhere: 4 };

/**
 * Compares contents by retrieving instances. One that does not come counts as different only if another one comes right
 * afterwards: else the service fails, or does not exist.
 */
export class ContentCheck {
  readonly #retrieve: Retrieve;
  readonly #isIgnored: Promise<(tag: number) => boolean>;
  readonly #elsewhere: InventoryContext<unknown>['others'];
  /** The last one that came. */
  #control: ListedInstance | undefined;
  #vain = 0;

  constructor(
    retrieve: Retrieve,
    { config: { audit }, others }: Pick<InventoryContext<Pick<TargetConfig, 'audit'>>, 'config' | 'others'>,
  ) {
    this.#retrieve = retrieve;
    this.#isIgnored = ignoredTags(audit?.ignore ?? []);
    this.#elsewhere = others;
  }

  /**
   * @param others - instances of the study that the target lists
   * @throws DispatchError when the target or the source cannot be asked now
   */
  async compare(instance: ListedInstance, others: readonly ListedInstance[]): Promise<Comparison> {
    if (this.#vain >= maxVain) return notRetrieved('the target sent no other instance either');
    const first = await this.#read(instance);
    const came = first instanceof DispatchError ? await this.#read(instance) : first;
    if (!(came instanceof DispatchError)) {
      this.#control = instance;
      return came;
    }
    for await (const control of this.#controls(instance, others)) {
      if ((await this.#read(control)) instanceof DispatchError) continue;
      this.#control = control;
      return { content: 'different', detail: `cannot be retrieved: ${came.message}` };
    }
    // The target sent others before: it fails now, and is asked again later.
    if (this.#control) throw came;
    this.#vain += 1;
    return notRetrieved(came.message);
  }

  async *#controls(instance: ListedInstance, others: readonly ListedInstance[]): AsyncGenerator<ListedInstance> {
    if (this.#control) return yield this.#control;
    yield* others.filter((one) => one !== instance).slice(0, maxControls.study);
    let count = 0;
    for await (const other of this.#elsewhere?.() ?? []) {
      if (other.instance.sopInstanceUid !== instance.instance.sopInstanceUid) yield other;
      count += 1;
      if (count >= maxControls.elsewhere) return;
    }
  }

  /** @returns the error when it did not come */
  async #read(instance: ListedInstance): Promise<Comparison | DispatchError> {
    const isIgnored = await this.#isIgnored;
    try {
      return await this.#retrieve(instance, (body) => compareDataSets(instance, body, isIgnored));
    } catch (error) {
      if (!(error instanceof DispatchError)) throw error;
      if (error.code === 'target-error' || error.code === 'target-connection-lost') return error;
      throw error;
    }
  }
}

function notRetrieved(reason: string): Comparison {
  return { content: undefined, detail: `it could not be retrieved: ${reason}` };
}
