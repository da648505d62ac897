import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type Association, type ConnectOptions } from 'dicom-dimse';
import { dicomError } from './errors.ts';

/** A further association that takes longer than this is not waited for. */
const mostPatienceMs = 1_000;
const leastPatienceMs = 100;

/**
 * The associations of one delivery. The first has to be had; further ones are opened when a lane asks. Where the
 * receiver takes no more, or lets them hang (a receiver that serves one after the other), the lanes share those that
 * there are; one that comes late is used from then on.
 */
export class AssociationPool {
  readonly #options: ConnectOptions;
  readonly #first: Association;
  readonly #patienceMs: number;
  readonly #further = new Map<number, Association>();
  readonly #opening = new Map<number, Promise<void>>();
  readonly #closing = new AbortController();

  private constructor(options: ConnectOptions, first: Association, tookMs: number) {
    this.#options = options;
    this.#first = first;
    this.#patienceMs = Math.min(mostPatienceMs, Math.max(leastPatienceMs, 3 * tookMs));
  }

  /** @throws DispatchError of stage `connect` */
  static async open(options: ConnectOptions): Promise<AssociationPool> {
    const start = performance.now();
    try {
      const first = await connect(options);
      return new AssociationPool(options, first, performance.now() - start);
    } catch (error) {
      throw dicomError(error, 'connect');
    }
  }

  get first(): Association {
    return this.#first;
  }

  /** The association with this number, counted from 0, or the first as long as there is no such. */
  async get(number: number): Promise<Association> {
    if (number === 0) return this.#first;
    const isNew = !this.#opening.has(number);
    const opening = this.#opening.get(number) ?? this.#open(number);
    this.#opening.set(number, opening);
    if (isNew) {
      const over = new AbortController();
      const patience = sleep(this.#patienceMs, undefined, { signal: over.signal }).catch(() => {});
      await Promise.race([opening, patience]);
      over.abort();
    }
    const association = this.#further.get(number);
    return association === undefined || association.hasEnded ? this.#first : association;
  }

  /** Releases all; with `isAbort` at once. */
  async close(isAbort: boolean): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#opening.values());
    await Promise.all(
      [this.#first, ...this.#further.values()].map(async (association) => {
        if (isAbort) association.abort();
        else await association.release();
      }),
    );
  }

  async #open(number: number): Promise<void> {
    const { signal } = this.#options;
    const closing = this.#closing.signal;
    try {
      const association = await connect({
        ...this.#options,
        signal: signal ? AbortSignal.any([signal, closing]) : closing,
      });
      this.#further.set(number, association);
    } catch {
      // One association is enough to go on.
    }
  }
}
