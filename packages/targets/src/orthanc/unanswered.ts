import type { DeliveryRun, ManifestInstance } from '@dicom-dispatch/target-kit';
import type { OrthancTarget } from './schema.ts';

const stateKey = 'orthanc-unanswered';
/** If there are more, the earliest are forgotten: they are sent again without a query. */
const maxInstances = 1_000;

/**
 * Instances that were sent completely, and whose response was lost or did not arrive within `timeout`: the target may have them.
 * The next attempt queries the target before it sends them again.
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

  /** Whether an earlier attempt has sent an instance without receiving a response. */
  has({ sourceId }: ManifestInstance): boolean {
    return this.#ids.has(sourceId);
  }

  /** Forgets an instance whose response has arrived. */
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
