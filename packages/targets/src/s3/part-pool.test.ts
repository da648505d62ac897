import { expect, it } from 'vitest';
import { Permits } from '@dicom-dispatch/target-kit/flow';
import { PartPool } from './part-pool.ts';

const { signal } = new AbortController();

/** Memory for this number of buffers; a delivery without a buffer gets one in any case. */
function roomFor(count: number) {
  const state = { held: 0, max: 0 };
  const waiting: (() => void)[] = [];
  return {
    state,
    async reserve(): Promise<() => void> {
      while (state.held >= count) await new Promise<void>((resolve) => waiting.push(resolve));
      state.held += 1;
      state.max = Math.max(state.max, state.held);
      return () => {
        state.held -= 1;
        waiting.shift()?.();
      };
    },
  };
}

it('reserves room for each piece of memory once, and uses it again', async () => {
  const room = roomFor(10);
  const memory = new PartPool(new Permits(3), 100, room.reserve).memory(signal);
  for (let round = 0; round < 5; round += 1) {
    const parts = [await memory.take(100), await memory.take(70)];
    for (const part of parts) memory.releasePart(part);
  }
  expect(room.state).toEqual({ held: 2, max: 2 });
});

it('continues with memory for only one buffer: a released one serves waiting deliveries', async () => {
  const room = roomFor(1);
  const memory = new PartPool(new Permits(4), 100, room.reserve).memory(signal);
  const first = await memory.take(100);
  const others = [memory.take(100), memory.take(100)].map(async (taken) => memory.releasePart(await taken));
  memory.releasePart(first);
  await Promise.all(others);
  expect(room.state.max).toBe(1);
});

it('gives the room of what is too small or given up back', async () => {
  const room = roomFor(1);
  const pool = new PartPool(new Permits(2), 100, room.reserve);
  const memory = pool.memory(signal);
  memory.releasePart(await memory.take(100));
  const larger = await memory.take(200);
  expect(larger.length).toBe(200);
  pool.giveUp(larger);
  expect(room.state).toEqual({ held: 0, max: 1 });
});
