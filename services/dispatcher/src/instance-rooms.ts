import type { ManifestInstance } from '@dicom-dispatch/core';
import type { ReleaseMemory, MemoryShare } from './memory-budget.ts';

/** A body is read in chunks of up to 1 MiB; a handler without a buffer holds at most one. */
const streamedBytes = 1024 * 1024;

/** Memory reserved for an instance while it is open. */
export interface InstanceRoom {
  /** Called after the last byte was read: a handler that does not `keep` the instance holds nothing any more. */
  ended(): void;
  keep(): void;
  release(): void;
}

const none: InstanceRoom = { ended() {}, keep() {}, release() {} };

/** Reserves memory for the instances of one attempt before they are opened. */
export class InstanceRooms {
  readonly #share: MemoryShare;
  readonly #heldBytes: number;
  readonly #open = new Set<string>();

  constructor(share: MemoryShare, heldBytes = streamedBytes) {
    this.#share = share;
    this.#heldBytes = Math.max(streamedBytes, heldBytes);
  }

  /** @throws the reason of the signal when it aborts first */
  async take({ sourceId, sizeBytes }: ManifestInstance, signal: AbortSignal): Promise<InstanceRoom> {
    // Opened a second time while it is open, to compare it with the target: a request would wait for memory while holding
    // memory.
    if (this.#open.has(sourceId)) return none;
    this.#open.add(sourceId);
    let releaseMemory: ReleaseMemory;
    try {
      releaseMemory = await this.#share.take(Math.min(sizeBytes, this.#heldBytes), 'instance', signal);
    } catch (thrown) {
      this.#open.delete(sourceId);
      throw thrown;
    }
    let isKept = false;
    let isHeld = true;
    const release = (): void => {
      if (!isHeld) return;
      isHeld = false;
      this.#open.delete(sourceId);
      releaseMemory();
    };
    return {
      ended: () => void (isKept || release()),
      keep: () => void (isKept = true),
      release,
    };
  }
}
