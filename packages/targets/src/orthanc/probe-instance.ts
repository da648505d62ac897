import { randomUUID } from 'node:crypto';

const explicitLittleEndian = '1.2.840.10008.1.2.1';
const secondaryCapture = '1.2.840.10008.5.1.4.1.1.7';

/** A Part 10 file (PS3.10 section 7.1) of a few hundred bytes without a patient, with new UIDs at each call. */
export function probeInstance(): Buffer {
  const study = freshUid();
  const instance = freshUid();
  const meta = Buffer.concat([
    element(0x0002, 0x0001, 'OB', Buffer.from([0, 1])),
    element(0x0002, 0x0002, 'UI', secondaryCapture),
    element(0x0002, 0x0003, 'UI', instance),
    element(0x0002, 0x0010, 'UI', explicitLittleEndian),
    element(0x0002, 0x0012, 'UI', '2.25.305828488182831875890203105390285383139'),
  ]);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(meta.length);
  return Buffer.concat([
    Buffer.alloc(128),
    Buffer.from('DICM'),
    element(0x0002, 0x0000, 'UL', length),
    meta,
    element(0x0008, 0x0016, 'UI', secondaryCapture),
    element(0x0008, 0x0018, 'UI', instance),
    element(0x0008, 0x0060, 'CS', 'OT'),
    element(0x0010, 0x0010, 'PN', 'CONNECTION^TEST'),
    element(0x0010, 0x0020, 'LO', 'CONNECTION-TEST'),
    element(0x0020, 0x000d, 'UI', study),
    element(0x0020, 0x000e, 'UI', `${study}.1`),
  ]);
}

/** A UID derived from a UUID (PS3.5 section B.2). */
function freshUid(): string {
  return `2.25.${BigInt(`0x${randomUUID().replaceAll('-', '')}`)}`;
}

/** One element in Explicit VR Little Endian (PS3.5 section 7.1.2). */
function element(group: number, number: number, vr: string, value: string | Buffer): Buffer {
  const raw = typeof value === 'string' ? Buffer.from(value, 'latin1') : value;
  const pad = raw.length % 2 === 0 ? '' : vr === 'UI' ? '\0' : ' ';
  const bytes = Buffer.concat([raw, Buffer.from(pad, 'latin1')]);
  const head = Buffer.alloc(vr === 'OB' ? 12 : 8);
  head.writeUInt16LE(group, 0);
  head.writeUInt16LE(number, 2);
  head.write(vr, 4, 'latin1');
  if (vr === 'OB') head.writeUInt32LE(bytes.length, 8);
  else head.writeUInt16LE(bytes.length, 6);
  return Buffer.concat([head, bytes]);
}
