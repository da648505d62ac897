import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { partsOf, partSizeFor, Tally } from './parts.ts';

const bytes = Buffer.from(Array.from({ length: 1000 }, (_, index) => index % 251));

function* chunksOf(size: number): Iterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

describe('partsOf', () => {
  it.each([
    [7, 100, 1000],
    [100, 100, 1000],
    [333, 100, 1000],
    [1000, 100, 1000],
    [64, 300, 1000],
    // The source announces less, or more, than it returns.
    [64, 300, 10],
    [64, 300, 5000],
    [64, 5000, 10],
    [64, 5000, 0],
  ])('cuts chunks of %i into parts of %i where %i bytes were announced', async (chunk, part, announced) => {
    const parts = await Array.fromAsync(partsOf(chunksOf(chunk), part, announced));
    expect(Buffer.concat(parts).equals(bytes)).toBe(true);
    expect(parts.slice(0, -1).every(({ length }) => length === part)).toBe(true);
    expect(parts.at(-1)?.length).toBeLessThanOrEqual(part);
  });

  it('makes one empty part of nothing', async () => {
    expect(await Array.fromAsync(partsOf([], 100, 0))).toEqual([Buffer.alloc(0)]);
  });
});

it('keeps an object within ten thousand parts', () => {
  expect(partSizeFor(1e9, 8 * 2 ** 20)).toBe(8 * 2 ** 20);
  const part = partSizeFor(500e9, 8 * 2 ** 20);
  expect(Math.ceil(500e9 / part)).toBeLessThanOrEqual(10_000);
});

it('recognises the ETags that servers compute', () => {
  const md5 = (data: Buffer): Buffer => createHash('md5').update(data).digest();
  const single = new Tally();
  single.add(bytes);
  expect(single.wholeMd5).toBe(md5(bytes).toString('hex'));
  const parted = new Tally();
  const [first, second] = [bytes.subarray(0, 600), bytes.subarray(600)];
  for (const part of [first, second]) parted.add(part);
  expect(parted.multipartEtag).toBe(`${md5(Buffer.concat([md5(first), md5(second)])).toString('hex')}-2`);
  expect(parted.crc32Base64).toBe(single.crc32Base64);
  expect(parted.sizeBytes).toBe(1000);
});
