import { createHash } from 'node:crypto';

/**
 * A UID under 2.25 (PS3.5 Annex B.2, "UUID derived UID") that is always the same for the same words.
 * @param words what the UID identifies, e.g. seed, "series", 2
 */
export function makeUid(...words: readonly (string | number)[]): string {
  const bytes = createHash('sha256').update(words.join('\u0000')).digest().subarray(0, 16);
  // RFC 9562: version 8 (custom), variant 10, so that the number is a well-formed UUID.
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return `2.25.${BigInt(`0x${bytes.toString('hex')}`)}`;
}
