/**
 * One frame in RLE Lossless (PS3.5 Annex G): a header of 64 bytes, then one segment a byte plane, most significant first.
 * @param frame pixels of one sample, little endian
 */
export function encodeRleFrame(frame: Buffer, bitsAllocated: 8 | 16): Buffer {
  const planes = bitsAllocated === 16 ? [everySecond(frame, 1), everySecond(frame, 0)] : [frame];
  const header = Buffer.alloc(64);
  header.writeUInt32LE(planes.length, 0);
  const segments: Buffer[] = [];
  let offset = header.length;
  for (const [index, plane] of planes.entries()) {
    const segment = packBits(plane);
    header.writeUInt32LE(offset, 4 + index * 4);
    segments.push(segment);
    offset += segment.length;
  }
  return Buffer.concat([header, ...segments]);
}

function everySecond(frame: Buffer, start: number): Buffer {
  const plane = Buffer.alloc(frame.length / 2);
  for (let index = 0; index < plane.length; index += 1) plane[index] = frame[start + index * 2]!;
  return plane;
}

/** PackBits (PS3.5 section G.3.1), padded to an even length. */
function packBits(bytes: Buffer): Buffer {
  const packed = Buffer.alloc(bytes.length + Math.ceil(bytes.length / 128) + 2);
  let length = 0;
  let at = 0;
  while (at < bytes.length) {
    const run = runLength(bytes, at);
    if (run > 1) {
      packed[length] = 257 - run;
      packed[length + 1] = bytes[at]!;
      length += 2;
      at += run;
      continue;
    }
    let end = at + 1;
    while (end < bytes.length && end - at < 128 && runLength(bytes, end) < 3) end += 1;
    packed[length] = end - at - 1;
    bytes.copy(packed, length + 1, at, end);
    length += 1 + end - at;
    at = end;
  }
  return packed.subarray(0, length + (length % 2));
}

function runLength(bytes: Buffer, at: number): number {
  let end = at + 1;
  while (end < bytes.length && end - at < 128 && bytes[end] === bytes[at]) end += 1;
  return end - at;
}
