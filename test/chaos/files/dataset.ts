/**
 * The data set of a file: what follows the file meta information (PS3.10 section 7.1), found element by element, since its
 * group length may be wrong; the whole file where there is no preamble and no meta information. A deflated data set of odd
 * length is padded with a zero byte on its way (PS3.5 section 10.6): it is here as well.
 */
export function datasetOf(file: Buffer): Buffer {
  let at = file.toString('latin1', 128, 132) === 'DICM' ? 132 : 0;
  while (at + 8 <= file.length && file.readUInt16LE(at) === 0x0002) {
    const isLong = ['OB', 'OW', 'UN', 'SQ', 'UT'].includes(file.toString('latin1', at + 4, at + 6));
    const length = isLong ? file.readUInt32LE(at + 8) : file.readUInt16LE(at + 6);
    at += (isLong ? 12 : 8) + length;
  }
  const dataset = file.subarray(at);
  return dataset.length % 2 === 0 ? dataset : Buffer.concat([dataset, Buffer.alloc(1)]);
}
