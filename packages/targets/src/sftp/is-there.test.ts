import { expect, it } from 'vitest';
import { sameBytes } from './is-there.ts';

async function* chunked(text: string, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < text.length; at += size) yield Buffer.from(text.slice(at, at + size));
}

it.each([
  ['abcdefgh', 'abcdefgh', true],
  ['abcdefgh', 'abcdefgx', false],
  ['abcdefgh', 'abcdefg', false],
  ['abcdefg', 'abcdefgh', false],
  ['', '', true],
  ['', 'a', false],
])('compares %j with %j however they are cut', async (first, second, same) => {
  for (const a of [1, 3, 8])
    for (const b of [1, 2, 5, 9]) expect(await sameBytes(chunked(first, a), chunked(second, b))).toBe(same);
});
