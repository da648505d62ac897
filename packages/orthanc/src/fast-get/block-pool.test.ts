import { describe, expect, it } from 'vitest';

import { BlockPool } from './block-pool.ts';

describe('BlockPool', () => {
  it('returns memory of the requested length, and the same again after its release', () => {
    const pool = new BlockPool();
    const first = pool.take(21_000);
    expect(first.length).toBe(21_000);
    pool.release(first);
    const second = pool.take(20_999);
    expect(second.length).toBe(20_999);
    expect(second.buffer).toBe(first.buffer);
  });

  it('never lends a block twice, however often it was released', () => {
    const pool = new BlockPool();
    const block = pool.take(100);
    pool.release(block);
    pool.release(block);
    pool.release(block.subarray(10));
    expect(pool.take(100).buffer).not.toBe(pool.take(100).buffer);
  });

  it('accepts no foreign memory', () => {
    const pool = new BlockPool();
    const foreign = Buffer.alloc(4096);
    pool.release(foreign);
    expect(pool.take(4096).buffer).not.toBe(foreign.buffer);
  });

  it('keeps a limited amount', () => {
    const pool = new BlockPool();
    const blocks = Array.from({ length: 40 }, () => pool.take(1024 * 1024));
    for (const block of blocks) pool.release(block);
    const again = new Set(Array.from({ length: 40 }, () => pool.take(1024 * 1024).buffer));
    expect(blocks.filter((block) => again.has(block.buffer)).length).toBeLessThanOrEqual(16);
  });
});
