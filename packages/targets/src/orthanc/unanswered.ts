import type { DeliveryRun, ManifestInstance } from '@dicom-dispatch/target-kit';
import type { OrthancTarget } from './schema.ts';

const stateKey = 'orthanc-unanswered';
/** Of more, the earliest are sent again. */
const maxInstances = 1_000;

/**
 * Instances that were sent completely, and whose response was lost or did not arrive within `timeout`: the target may have them.
 * The next attempt asks for them before it sends them again.
 */
export class Unanswered {
  readonly #state: DeliveryRun<OrthancTarget>['state'];
  #ids: ReadonlySet<string>;

  private constructor(state: DeliveryRun<OrthancTarget>['state'], ids: readonly string[]) {
    this.#state = state;
    this.#ids = new Set(ids);
  }

  static async load({ state }: DeliveryRun<OrthancTarget>): Promise<Unanswered> {
    return new Unanswered(state, (await state.get<string[]>(stateKey)) ?? []);
  }

  /** Whether an earlier attempt has sent it. */
  has({ sourceId }: ManifestInstance): boolean {
    return this.#ids.has(sourceId);
  }

  /** The target has answered: it is forgotten. */
  async remove({ sourceId }: ManifestInstance): Promise<void> {
    if (this.#ids.has(sourceId)) await this.#save([...this.#ids].filter((id) => id !== sourceId));
  }

  async add({ sourceId }: ManifestInstance): Promise<void> {
    await this.#save([...new Set([...this.#ids, sourceId])].slice(-maxInstances));
  }

  async #save(ids: readonly string[]): Promise<void> {
    this.#ids = new Set(ids);
    await this.#state.set(stateKey, ids);
  }
}
