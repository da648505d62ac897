import { performance } from 'node:perf_hooks';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Faults } from './fault-proxy.ts';

/** Above this amount of buffered data, one direction of one connection stops reading. */
const heldBytesLimit = 4 * 1024 * 1024;

export interface LaneHooks {
  readonly from: Socket;
  readonly to: Socket;
  readonly direction: 'up' | 'down';
  faults(): Faults;
  /** Resolves as soon as nothing is paused. */
  resumed(): Promise<void>;
  /** Counts forwarded bytes. */
  count(bytes: number): void;
  /** Resets both sides of the connection. */
  reset(): void;
}

/**
 * One direction of one connection: bytes are forwarded in order, late, slowly or not at all, according to the current
 * faults.
 */
export function openLane(hooks: LaneHooks): void {
  const { from, to, direction } = hooks;
  const queue: { chunk: Buffer; due: number }[] = [];
  let heldBytes = 0;
  let passedBytes = 0;
  let isDraining = false;
  let hasEnded = false;

  from.on('data', (chunk: Buffer) => {
    queue.push({ chunk, due: performance.now() + (hooks.faults().latencyMs ?? 0) });
    heldBytes += chunk.length;
    if (heldBytes > heldBytesLimit) from.pause();
    void drain();
  });
  from.once('end', () => {
    hasEnded = true;
    void drain();
  });

  async function drain(): Promise<void> {
    if (isDraining) return;
    isDraining = true;
    try {
      for (let next = queue[0]; next; next = queue[0]) {
        await delay(Math.max(0, next.due - performance.now()));
        await hooks.resumed();
        await pass(next.chunk);
        queue.shift();
        heldBytes -= next.chunk.length;
        if (heldBytes < heldBytesLimit / 2) from.resume();
      }
      if (hasEnded && to.writable && !hooks.faults().blackHole) to.end();
    } catch {
      // The other side has closed; the proxy closes both sockets.
    } finally {
      isDraining = false;
    }
    // Data may have arrived while the previous data were being sent.
    if (queue.length > 0 && to.writable) void drain();
  }

  async function pass(chunk: Buffer): Promise<void> {
    let rest = chunk;
    while (rest.length > 0) {
      const faults = hooks.faults();
      if (faults.blackHole) return;
      const limit = direction === 'up' ? faults.resetAfterBytesUp : faults.resetAfterBytesDown;
      const allowed = limit === undefined ? Infinity : Math.max(0, limit - passedBytes);
      const slice = rest.subarray(0, Math.min(allowed, sliceBytes(faults)));
      if (slice.length > 0) await write(slice);
      rest = rest.subarray(slice.length);
      if (allowed <= slice.length) {
        hooks.reset();
        return;
      }
      if (faults.bytesPerSecond) await delay((slice.length / faults.bytesPerSecond) * 1000);
      await hooks.resumed();
    }
  }

  async function write(slice: Buffer): Promise<void> {
    passedBytes += slice.length;
    hooks.count(slice.length);
    if (to.write(slice) || to.destroyed) return;
    await Promise.race([once(to, 'drain'), once(to, 'close')]);
  }
}

/** Size of a write: a throttled connection gets the data of 50 ms at a time, for an even rate. */
function sliceBytes({ bytesPerSecond }: Faults): number {
  return bytesPerSecond ? Math.max(1, Math.floor(bytesPerSecond / 20)) : Infinity;
}
