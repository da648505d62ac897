import { connect, type Association, type ConnectOptions } from 'dicom-dimse';
import { dicomError } from './errors.ts';

/**
 * The associations of one delivery. The first has to be had; further ones are opened when a lane asks, and where the
 * receiver takes no more the lanes share those that there are.
 */
export class AssociationPool {
  readonly #options: ConnectOptions;
  readonly #first: Association;
  readonly #opened: Promise<Association>[] = [];

  private constructor(options: ConnectOptions, first: Association) {
    this.#options = options;
    this.#first = first;
    this.#opened[0] = Promise.resolve(first);
  }

  /** @throws DispatchError of stage `connect` */
  static async open(options: ConnectOptions): Promise<AssociationPool> {
    try {
      return new AssociationPool(options, await connect(options));
    } catch (error) {
      throw dicomError(error, 'connect');
    }
  }

  get first(): Association {
    return this.#first;
  }

  /** The association with this number, counted from 0. */
  get(number: number): Promise<Association> {
    this.#opened[number] ??= connect(this.#options).catch(() => this.#first);
    return this.#opened[number];
  }

  /** Releases all; with `isAbort` at once. */
  async close(isAbort: boolean): Promise<void> {
    const associations = new Set(await Promise.all(this.#opened.filter((opened) => opened !== undefined)));
    await Promise.all(
      Array.from(associations, async (association) => {
        if (isAbort) association.abort();
        else await association.release();
      }),
    );
  }
}
