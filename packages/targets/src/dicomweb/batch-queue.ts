import type { ManifestInstance } from '../contract/index.ts';

export interface BatchLimits {
  readonly instances: number;
  readonly bytes: number;
}

/**
 * Hands out what is pending in batches. An instance larger than the limit goes alone. A batch that came back is handed
 * out in halves; after one that was too large the limits shrink for all.
 */
export class BatchQueue {
  readonly #waiting: ManifestInstance[];
  readonly #halves: (readonly ManifestInstance[])[] = [];
  #position = 0;
  #limits: BatchLimits;

  constructor(instances: readonly ManifestInstance[], limits: BatchLimits) {
    this.#waiting = [...instances];
    this.#limits = limits;
  }

  get limits(): BatchLimits {
    return this.#limits;
  }

  next(): readonly ManifestInstance[] | undefined {
    return this.#halves.shift() ?? this.#fill();
  }

  /** Instances of one request that have to go again, in two requests. */
  halve(batch: readonly ManifestInstance[]): void {
    if (batch.length === 0) return;
    const middle = Math.ceil(batch.length / 2);
    this.#halves.push(batch.slice(0, middle));
    if (middle < batch.length) this.#halves.push(batch.slice(middle));
  }

  /** Instances whose request broke off through no fault of the target. */
  again(batch: readonly ManifestInstance[]): void {
    if (batch.length > 0) this.#halves.push(batch);
  }

  /** A request of these instances was too large. */
  shrink(batch: readonly ManifestInstance[]): void {
    const bytes = batch.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    this.#limits = {
      instances: Math.max(1, Math.min(this.#limits.instances, Math.floor(batch.length / 2))),
      bytes: Math.max(1, Math.min(this.#limits.bytes, Math.floor(bytes / 2))),
    };
  }

  #fill(): readonly ManifestInstance[] | undefined {
    const batch: ManifestInstance[] = [];
    let bytes = 0;
    for (let next = this.#waiting[this.#position]; next; next = this.#waiting[this.#position]) {
      bytes += next.sizeBytes;
      if (batch.length > 0 && (batch.length >= this.#limits.instances || bytes > this.#limits.bytes)) break;
      batch.push(next);
      this.#position += 1;
    }
    return batch.length > 0 ? batch : undefined;
  }
}
