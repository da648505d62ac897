import type { ManifestInstance } from '@dicom-dispatch/target-kit';

export interface BatchLimits {
  readonly instances: number;
  readonly bytes: number;
}

/** Instances of one study differ by a few bytes: the limit allows for that, so that a half is not divided once more. */
const slack = 1.1;

/**
 * Returns pending instances in batches. An instance larger than the limit is sent alone. A batch has no two instances with one SOP
 * Instance UID, because responses identify instances by it. Instances that are sent again come first, in halves, so that single
 * instances are sent soon if every request fails. After a batch that was too large the limits are reduced for all.
 */
export class BatchQueue {
  readonly #waiting: ManifestInstance[];
  readonly #returned: (readonly ManifestInstance[])[] = [];
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
    const returned = this.#returned.pop();
    if (!returned) return this.#fill();
    // The limits may have been reduced since it was returned.
    const count = this.#countThatFits(returned);
    this.again(returned.slice(count));
    return returned.slice(0, count);
  }

  /** Instances of one request are sent again, in two requests. */
  halve(batch: readonly ManifestInstance[]): void {
    const [first, second] = halvesOf(batch);
    this.again(second);
    this.again(first);
  }

  /** Instances are sent again in one request, before others. */
  again(batch: readonly ManifestInstance[]): void {
    if (batch.length > 0) this.#returned.push(batch);
  }

  /** A request with these instances was too large: from now on requests have at most about half of its size. */
  shrink(batch: readonly ManifestInstance[]): void {
    const [first, second] = halvesOf(batch);
    const halfBytes = Math.ceil(Math.max(bytesOf(first), bytesOf(second)) * slack);
    this.#limits = {
      instances: Math.min(this.#limits.instances, first.length),
      bytes: Math.min(this.#limits.bytes, halfBytes),
    };
  }

  #fill(): readonly ManifestInstance[] | undefined {
    const { instances } = this.#limits;
    const batch = this.#waiting.slice(this.#position, this.#position + instances);
    const count = this.#countThatFits(batch);
    this.#position += count;
    return count > 0 ? batch.slice(0, count) : undefined;
  }

  /** How many of these, from the first on, fit into one request. */
  #countThatFits(batch: readonly ManifestInstance[]): number {
    const uids = new Set<string>();
    let bytes = 0;
    for (const [index, { sizeBytes, sopInstanceUid }] of batch.entries()) {
      bytes += sizeBytes;
      const isFull = index >= this.#limits.instances || bytes > this.#limits.bytes;
      if (index > 0 && (isFull || uids.has(sopInstanceUid))) return index;
      uids.add(sopInstanceUid);
    }
    return batch.length;
  }
}

type Batch = readonly ManifestInstance[];

function halvesOf(batch: Batch): readonly [Batch, Batch] {
  const middle = Math.ceil(batch.length / 2);
  return [batch.slice(0, middle), batch.slice(middle)];
}

function bytesOf(batch: Batch): number {
  return batch.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}
