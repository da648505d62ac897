import { expect, it } from 'vitest';
import { compareStreams } from './compare-streams.ts';

async function* chunked(text: string, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < text.length; at += size) yield Buffer.from(text.slice(at, at + size));
}

it.each([
  ['abcdefgh', 'abcdefgh', 'same'],
  ['abcdefgh', 'abcdefgx', 'different'],
  ['abcdefgh', 'abcdefg', 'cut'],
  ['abcdefgh', 'abxdefg', 'different'],
  ['abcdefg', 'abcdefgh', 'different'],
  ['', '', 'same'],
  ['', 'a', 'different'],
  ['a', '', 'cut'],
])('compares %j with %j however they are cut', async (first, second, likeness) => {
  for (const a of [1, 3, 8]) {
    for (const b of [1, 2, 5, 9]) {
      expect(await compareStreams(chunked(first, a), chunked(second, b))).toBe(likeness);
    }
  }
});
