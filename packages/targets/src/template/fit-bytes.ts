import { hash } from 'node:crypto';

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

/** The first `digits` hexadecimal digits of the SHA-256 of a text. */
export function shortHash(text: string, digits: number): string {
  // In UTF-8 all lone surrogates would become the same replacement character.
  return hash('sha256', text.isWellFormed() ? text : Buffer.from(text, 'utf16le'), 'hex').slice(0, digits);
}

/** The longest prefix that has at most `maxBytes` bytes in UTF-8 and ends after a whole character (grapheme). */
export function fitBytes(text: string, maxBytes: number): string {
  if (Buffer.byteLength(text) <= maxBytes) return text;
  let fitted = '';
  let bytes = 0;
  // Cut before it is segmented: more UTF-16 units than `maxBytes` never fit.
  for (const { segment } of graphemes.segment(text.slice(0, maxBytes + 1))) {
    bytes += Buffer.byteLength(segment);
    if (bytes > maxBytes) break;
    fitted += segment;
  }
  return fitted;
}

/** A text of at most `maxBytes`; a longer one is cut and distinguished from similar ones by a hash of the whole. */
export function fitDistinct(text: string, maxBytes: number, digits: number): string {
  if (Buffer.byteLength(text) <= maxBytes) return text;
  return `${fitBytes(text, maxBytes - digits - 1)}~${shortHash(text, digits)}`;
}
