import type { ManifestInstance, ReceiptsConfig } from '@dicom-dispatch/core';
import type { ReceiptEntry } from '@dicom-dispatch/state/receipts';
import type { Tally } from '@dicom-dispatch/sources';
import { ByteTally } from './byte-tally.ts';

/** Creates the receipt of each instance of one attempt, from the sent bytes and the response of the target. */
export class ReceiptWriter {
  readonly #config: Pick<ReceiptsConfig, 'enabled' | 'digest'>;
  readonly #place: string;
  readonly #attempt: number;
  /**
   * Tallies of the instances in transit, by their id in the source: each of the last opening that was read completely. A
   * handler may open an instance a second time, to compare it with what is at the target before it sends the first.
   */
  readonly #tallies = new Map<string, ByteTally>();

  constructor(config: Pick<ReceiptsConfig, 'enabled' | 'digest'>, place: string, attempt: number) {
    this.#config = config;
    this.#place = place;
    this.#attempt = attempt;
  }

  /** Passed to the opener of the instance. */
  opening({ sourceId }: ManifestInstance): Tally | undefined {
    if (!this.#config.enabled) return undefined;
    return new ByteTally(this.#config.digest, (tally) => this.#tallies.set(sourceId, tally));
  }

  /** @param answer - response of the target */
  delivered(instance: ManifestInstance, answer: string, at: number): ReceiptEntry | undefined {
    if (!this.#config.enabled) return undefined;
    const { sourceId, sopInstanceUid, seriesInstanceUid } = instance;
    const { sizeBytes, sha256 } = this.#tallies.get(sourceId)?.result ?? { sizeBytes: undefined, sha256: undefined };
    this.#tallies.delete(sourceId);
    const [place, attempt] = [this.#place, this.#attempt];
    return { sopInstanceUid, seriesInstanceUid, sizeBytes, sha256, at, attempt, answer, place };
  }

  dropped({ sourceId }: ManifestInstance): void {
    this.#tallies.delete(sourceId);
  }
}
