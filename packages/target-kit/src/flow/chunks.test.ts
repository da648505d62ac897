import { expect, it } from 'vitest';
import { borrowed } from './chunks.ts';

function lender() {
  const back: number[] = [];
  async function* body(): AsyncGenerator<Uint8Array> {
    for (const value of [1, 2, 3]) yield Uint8Array.of(value);
  }
  return { back, bytes: { body: body(), releaseChunk: (chunk: Uint8Array) => void back.push(chunk[0] ?? 0) } };
}

it('releases each chunk when the next is requested, not before', async () => {
  const { back, bytes } = lender();
  const seen: (readonly number[])[] = [];
  for await (const _ of borrowed(bytes)) seen.push([...back]);
  expect(seen).toEqual([[], [1], [1, 2]]);
  expect(back).toEqual([1, 2, 3]);
});

it('does not release the chunk of a reader that leaves: a write may still use it', async () => {
  const { back, bytes } = lender();
  for await (const chunk of borrowed(bytes)) if (chunk[0] === 2) break;
  expect(back).toEqual([1]);
});
