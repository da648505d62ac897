import type { Random } from './random.ts';

const INTERESTING = [0, 1, 2, 0x7f, 0x80, 0xff];
const INTERESTING_LENGTHS = [0, 1, 3, 0xff, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];

/** Damages bytes in one to four places: bits, bytes, lengths, truncation, repetition. The original is not changed. */
export function mutate(original: Buffer, random: Random): Buffer {
  let bytes: Buffer = Buffer.from(original);
  for (let times = 1 + random.below(4); times > 0 && bytes.length > 0; times -= 1) bytes = mutateOnce(bytes, random);
  return bytes;
}

function mutateOnce(bytes: Buffer, random: Random): Buffer {
  const at = random.below(bytes.length);
  switch (random.below(9)) {
    case 0:
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
      return bytes;
    case 1:
      bytes[at] = random.below(256);
      return bytes;
    case 2:
      bytes[at] = INTERESTING[random.below(INTERESTING.length)] ?? 0;
      return bytes;
    case 3:
      if (bytes.length >= 4) {
        const value = INTERESTING_LENGTHS[random.below(INTERESTING_LENGTHS.length)] ?? 0;
        bytes.writeUInt32BE(value, Math.min(at, bytes.length - 4));
      }
      return bytes;
    case 4:
      if (bytes.length >= 2) bytes.writeUInt16BE(random.below(0x10000), Math.min(at, bytes.length - 2));
      return bytes;
    case 5:
      return bytes.subarray(0, at);
    case 6: {
      const end = Math.min(bytes.length, at + 1 + random.below(16));
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)]);
    }
    case 7: {
      const end = Math.min(bytes.length, at + 1 + random.below(32));
      return Buffer.concat([bytes.subarray(0, end), bytes.subarray(at, end), bytes.subarray(end)]);
    }
    default: {
      // The first length that a decoder reads is the most important one.
      if (bytes.length >= 6) bytes.writeUInt32BE(Math.max(0, bytes.length - 6 + random.below(5) - 2), 2);
      return bytes;
    }
  }
}
