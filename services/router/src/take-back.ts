import { takeBackDelivery, type HandOverContext } from '@dicom-dispatch/pipeline';
import type { Logger } from '@dicom-dispatch/runtime';
import type { OrthancClient } from '@dicom-dispatch/sources';
import { isDamaged } from '@dicom-dispatch/state/records';

const maxGone = 10_000;
const batch = 500;
/**
 * Recently ended deliveries within this time are checked repeatedly, for a limited number of studies; older ones by the
 * sweep.
 */
const lateMs = 86_400_000;
const maxChecked = 100;

/** Deliveries of one source that ended because the study had left it: they continue when it is seen again. */
export class TakeBack {
  readonly #context: () => HandOverContext;
  readonly #source: string;
  readonly #now: () => number;
  readonly #log: Logger;
  #gone: ReadonlySet<string> = new Set();

  constructor(context: () => HandOverContext, source: string, now: () => number, log: Logger) {
    this.#context = context;
    this.#source = source;
    this.#now = now;
    this.#log = log;
  }

  /** Looks up which studies have such deliveries. */
  async refresh(): Promise<void> {
    const gone = new Set<string>();
    let after: Parameters<HandOverContext['records']['deliveries']>[0]['after'];
    do {
      const found = await this.#context().records.deliveries({
        source: this.#source,
        state: 'source-gone',
        limit: batch,
        after,
      });
      for (const { orthancStudyId } of found.records) gone.add(orthancStudyId);
      after = found.next;
    } while (after && gone.size < maxGone);
    this.#gone = gone;
  }

  /** Checks the source for recently ended ones. */
  async look(orthanc: OrthancClient, signal: AbortSignal): Promise<void> {
    const since = this.#now() - lateMs;
    const { records } = await this.#context().records.deliveries({
      source: this.#source,
      state: 'source-gone',
      since,
      limit: maxChecked,
    });
    for (const id of new Set(records.map(({ orthancStudyId }) => orthancStudyId))) {
      // One that cannot be queried is found by the sweep.
      if (await orthanc.studies.exists(id, { signal }).catch(() => false)) await this.#seenAlone(id);
      signal.throwIfAborted();
    }
  }

  /** These studies are in the source now. */
  async seen(orthancStudyIds: readonly string[]): Promise<void> {
    for (const id of orthancStudyIds) if (this.#gone.has(id)) await this.#seenAlone(id);
  }

  /** A study with a damaged record does not stop the others. */
  async #seenAlone(orthancStudyId: string): Promise<void> {
    try {
      await this.seenOne(orthancStudyId);
    } catch (error) {
      if (!isDamaged(error)) throw error;
      const { message: reason, remedy } = error;
      const facts = { source: this.#source, orthancStudy: orthancStudyId, reason, remedy };
      this.#log.error(facts, 'a study has a damaged record in Redis: its deliveries are not continued');
    }
  }

  async seenOne(orthancStudyId: string): Promise<void> {
    const deliveries = await this.#context().records.deliveriesOf({ source: this.#source, orthancStudyId });
    for (const delivery of deliveries) {
      if (delivery.state !== 'source-gone') continue;
      if (!(await takeBackDelivery(this.#context(), delivery.deliveryId))) continue;
      this.#log.warn(
        { source: this.#source, delivery: delivery.deliveryId, target: delivery.target },
        'the source has a missing study again: its delivery continues',
      );
    }
  }
}
