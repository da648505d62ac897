import { decodeText } from './character-sets.ts';

/** Numbers in binary, little endian: bytes of each and how they are read (PS3.5 table 6.2-1). */
const numbers: Readonly<Record<string, readonly [bytes: number, read: (from: Buffer, at: number) => number]>> = {
  US: [2, (from, at) => from.readUInt16LE(at)],
  SS: [2, (from, at) => from.readInt16LE(at)],
  UL: [4, (from, at) => from.readUInt32LE(at)],
  SL: [4, (from, at) => from.readInt32LE(at)],
  FL: [4, (from, at) => from.readFloatLE(at)],
  FD: [8, (from, at) => from.readDoubleLE(at)],
};
const texts = new Set('AE AS CS DA DS DT IS LO LT PN SH ST TM UC UI UR UT'.split(' '));

/**
 * Whether a value equals the requested text; undefined if this cannot be determined for its VR.
 *
 * @param vr - undefined in Implicit VR, where only texts can be compared
 */
export function holdsText(
  value: Buffer,
  vr: string | undefined,
  characterSet: string,
  text: string,
): boolean | undefined {
  const number = vr === undefined ? undefined : numbers[vr];
  if (number) {
    const [size, read] = number;
    const found = Array.from({ length: Math.floor(value.length / size) }, (_, index) => read(value, index * size));
    const wanted = text === '' ? [] : text.split('\\').map(Number);
    return (
      found.length === wanted.length &&
      found.every((one, index) => Math.abs(one - wanted[index]!) <= 1e-6 * Math.abs(one))
    );
  }
  if (vr !== undefined && !texts.has(vr)) return undefined;
  const found = decodeText(characterSet, value);
  return found === undefined ? false : bare(found) === bare(text);
}

/** Without the padding that each value may have (PS3.5 section 6.2). */
function bare(text: string): string {
  return text
    .split('\\')
    .map((one) => one.replace(/^ +|[ \0]+$/g, ''))
    .join('\\');
}
