import { IMPLEMENTATION } from '../uids.ts';

export interface FileMetaFields {
  readonly sopClassUid: string;
  readonly sopInstanceUid: string;
  readonly transferSyntaxUid: string;
  readonly sourceAeTitle?: string | undefined;
}

/**
 * Preamble, prefix and file meta information (PS3.10 section 7.1): followed by a received data set they form a Part 10 file.
 */
export function encodeFileMeta(fields: FileMetaFields): Buffer {
  const elements = [
    short(0x0002, 'UI', fields.sopClassUid, 0),
    short(0x0003, 'UI', fields.sopInstanceUid, 0),
    short(0x0010, 'UI', fields.transferSyntaxUid, 0),
    short(0x0012, 'UI', IMPLEMENTATION.classUid, 0),
    short(0x0013, 'SH', IMPLEMENTATION.versionName, 0x20),
  ];
  if (fields.sourceAeTitle !== undefined) elements.push(short(0x0016, 'AE', fields.sourceAeTitle, 0x20));
  const version = Buffer.from([0x02, 0x00, 0x01, 0x00, 0x4f, 0x42, 0, 0, 2, 0, 0, 0, 0, 1]);
  const body = Buffer.concat([version, ...elements]);
  const head = Buffer.alloc(144);
  head.write('DICM', 128, 'latin1');
  head.writeUInt16LE(0x0002, 132);
  head.write('UL', 136, 'latin1');
  head.writeUInt16LE(4, 138);
  head.writeUInt32LE(body.length, 140);
  return Buffer.concat([head, body]);
}

/** An element with a 16-bit length field, padded to even length. */
function short(element: number, vr: string, value: string, pad: number): Buffer {
  const length = value.length + (value.length & 1);
  const bytes = Buffer.alloc(8 + length, pad);
  bytes.writeUInt16LE(0x0002, 0);
  bytes.writeUInt16LE(element, 2);
  bytes.write(vr, 4, 'latin1');
  bytes.writeUInt16LE(length, 6);
  bytes.write(value, 8, 'latin1');
  return bytes;
}
