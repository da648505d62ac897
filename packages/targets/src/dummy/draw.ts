import { createHash } from 'node:crypto';

/** A number from 0 up to but not including 1 that depends on the arguments only: the same arguments always give the same number. */
export function draw(...words: readonly (string | number)[]): number {
  const digest = createHash('sha256').update(words.join('\0')).digest();
  return digest.readUInt32BE(0) / 2 ** 32;
}
