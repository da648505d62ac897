import { DispatchError, type TargetConfig } from '@dicom-dispatch/core';
import type { InventoryContext, ListedInstance } from '@dicom-dispatch/target-kit';
import { compareDataSets, type Comparison } from './compare-data-sets.ts';
import { ignoredTags } from './ignored-tags.ts';

/**
 * Retrieves an instance and passes its Part 10 file to `use`.
 *
 * @throws DispatchError `target-error` or `target-connection-lost` if this instance did not arrive, any other if the target cannot be
 *   queried; the error of `use`
 */
export type Retrieve = <T>(
  instance: ListedInstance,
  use: (body: AsyncIterable<Uint8Array>) => Promise<T>,
) => Promise<T>;

/** After this number of failed retrievals of a kind without any success, only one instance of each study is requested. */
const maxVain = 3;
/** If a retrieval fails before any of its kind has succeeded, at most this number of others is requested, to compare. */
const maxControls = { study: 2, elsewhere: 4 };

/**
 * Compares contents by retrieving instances. An instance that does not arrive counts as different only if another one of its kind (SOP
 * class and transfer syntax) arrives directly afterwards: otherwise the service fails, does not exist, or does not send this kind.
 */
export class ContentCheck {
  readonly #retrieve: Retrieve;
  readonly #isIgnored: Promise<(tag: number) => boolean>;
  readonly #elsewhere: InventoryContext<unknown>['others'];
  /** The last instance that arrived. */
  #control: ListedInstance | undefined;
  /** The last instance of each kind that arrived. */
  readonly #alike = new Map<string, ListedInstance>();
  /** Number of instances of a kind that have not arrived since the last one that has, and the study of the last one. */
  readonly #vain = new Map<string, { readonly count: number; readonly studyInstanceUid: string }>();

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
   * @throws DispatchError if the target or the source cannot be queried now
   */
  async compare(instance: ListedInstance, others: readonly ListedInstance[]): Promise<Comparison> {
    const { studyInstanceUid } = instance.instance;
    const kind = kindOf(instance);
    const vain = this.#vain.get(kind) ?? { count: 0, studyInstanceUid };
    const isVain = vain.count >= maxVain;
    if (isVain && vain.studyInstanceUid === studyInstanceUid)
      return notRetrieved('the target sent no other instance of its SOP class and transfer syntax');
    const first = await this.#read(instance);
    const came = first instanceof DispatchError && !isVain ? await this.#read(instance) : first;
    if (!(came instanceof DispatchError)) {
      this.#came(instance);
      return came;
    }
    if (!isVain && (await this.#comesAlike(instance, others)))
      return { content: 'different', detail: `cannot be retrieved: ${came.message}` };
    // If the target does not send an instance that it sent before, the service fails: the audit is repeated later.
    if (this.#control && (await this.#read(this.#control)) instanceof DispatchError) throw came;
    this.#vain.set(kind, { count: vain.count + 1, studyInstanceUid });
    return notRetrieved(came.message);
  }

  #came(instance: ListedInstance): void {
    this.#control = instance;
    this.#alike.set(kindOf(instance), instance);
    this.#vain.delete(kindOf(instance));
  }

  /** Whether another instance of its kind arrives now. */
  async #comesAlike(instance: ListedInstance, others: readonly ListedInstance[]): Promise<boolean> {
    for await (const control of this.#controls(instance, others)) {
      if ((await this.#read(control)) instanceof DispatchError) continue;
      this.#came(control);
      return true;
    }
    return false;
  }

  async *#controls(instance: ListedInstance, others: readonly ListedInstance[]): AsyncGenerator<ListedInstance> {
    const kind = kindOf(instance);
    if (kind === unknownKind) return;
    const known = this.#alike.get(kind);
    if (known) return yield known;
    yield* others.filter((one) => one !== instance && kindOf(one) === kind).slice(0, maxControls.study);
    let count = 0;
    for await (const other of this.#elsewhere?.() ?? []) {
      if (other.instance.sopInstanceUid !== instance.instance.sopInstanceUid && kindOf(other) === kind) yield other;
      count += 1;
      if (count >= maxControls.elsewhere) return;
    }
  }

  /** @returns the error if the instance did not arrive */
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

const unknownKind = '';

/** SOP class and transfer syntax: a receiver may list instances of a kind that it does not send. */
function kindOf({ instance: { sopClassUid, transferSyntaxUid } }: ListedInstance): string {
  if (sopClassUid === undefined || transferSyntaxUid === undefined) return unknownKind;
  return `${sopClassUid} ${transferSyntaxUid}`;
}

function notRetrieved(reason: string): Comparison {
  return { content: undefined, detail: `it could not be retrieved: ${reason}` };
}
