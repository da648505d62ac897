import { encodeText } from './character-set.ts';
import type { CharacterSet } from './character-set.ts';
import type { Dataset, Element } from './element.ts';

/** How a data set is written (PS3.5 section 7). */
export interface Encoding {
  readonly explicitVr: boolean;
  readonly bigEndian: boolean;
  readonly characterSet: CharacterSet;
}

/** VRs with two reserved bytes and a length of four (PS3.5 Table 7.1-1). */
const longForm = new Set(['OB', 'OD', 'OF', 'OL', 'OV', 'OW', 'SQ', 'SV', 'UC', 'UN', 'UR', 'UT', 'UV']);
const numberBytes: Readonly<Record<string, number>> = { US: 2, SS: 2, UL: 4, SL: 4, FL: 4, FD: 8 };

/** A data set as bytes; sequences and items with defined lengths. */
export function encodeDataset(dataset: Dataset, encoding: Encoding): Buffer {
  return Buffer.concat(dataset.flatMap((one) => encodeElement(one, encoding)));
}

function encodeElement(one: Element, encoding: Encoding): Buffer[] {
  const value = encodeValue(one, encoding);
  const padding = value.length % 2 === 0 ? [] : [Buffer.from(one.vr === 'UI' || one.vr === 'OB' ? '\0' : ' ')];
  return [encodeHeader(one.tag, one.vr, value.length + padding.length, encoding), value, ...padding];
}

/** The header of an element: tag, VR where explicit, value length. */
export function encodeHeader(tag: number, vr: string, length: number, { explicitVr, bigEndian }: Encoding): Buffer {
  const long = explicitVr && longForm.has(vr);
  const header = Buffer.alloc(long ? 12 : 8);
  writeTag(header, tag, bigEndian);
  if (explicitVr) header.write(vr, 4, 'latin1');
  if (explicitVr && !long) {
    if (length > 0xffff) throw new RangeError(`element of VR ${vr} holds ${length} bytes; at most 65535 fit`);
    if (bigEndian) header.writeUInt16BE(length, 6);
    else header.writeUInt16LE(length, 6);
  } else if (bigEndian) header.writeUInt32BE(length, header.length - 4);
  else header.writeUInt32LE(length, header.length - 4);
  return header;
}

function encodeValue({ vr, value }: Element, encoding: Encoding): Buffer {
  if (value instanceof Uint8Array) {
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    return encoding.bigEndian && vr === 'OW' ? Buffer.from(bytes).swap16() : bytes;
  }
  if (vr === 'SQ') return encodeItems(value as readonly Dataset[], encoding);
  const values = Array.isArray(value) ? (value as readonly (string | number)[]) : [value as string | number];
  if (vr === 'AT') return Buffer.concat(values.map((tag) => encodeTag(Number(tag), encoding.bigEndian)));
  const width = numberBytes[vr];
  if (width !== undefined) {
    return Buffer.concat(values.map((number) => encodeNumber(Number(number), vr, width, encoding.bigEndian)));
  }
  const text = values.map((one) => (vr === 'DS' && typeof one === 'number' ? decimalString(one) : String(one)));
  return encodeText(text.join('\\'), vr, encoding.characterSet);
}

function encodeItems(items: readonly Dataset[], encoding: Encoding): Buffer {
  return Buffer.concat(
    items.flatMap((item) => {
      const body = encodeDataset(item, encoding);
      return [encodeHeader(0xfffee000, 'SQ', body.length, { ...encoding, explicitVr: false }), body];
    }),
  );
}

function encodeNumber(number: number, vr: string, width: number, bigEndian: boolean): Buffer {
  const bytes = Buffer.alloc(width);
  if (vr === 'FL') bytes.writeFloatLE(number);
  else if (vr === 'FD') bytes.writeDoubleLE(number);
  else if (vr === 'SS' || vr === 'SL') bytes.writeIntLE(number, 0, width);
  else bytes.writeUIntLE(number, 0, width);
  return bigEndian ? bytes.reverse() : bytes;
}

function encodeTag(tag: number, bigEndian: boolean): Buffer {
  const bytes = Buffer.alloc(4);
  writeTag(bytes, tag, bigEndian);
  return bytes;
}

function writeTag(target: Buffer, tag: number, bigEndian: boolean): void {
  if (bigEndian) {
    target.writeUInt32BE(tag >>> 0, 0);
    return;
  }
  target.writeUInt16LE(tag >>> 16, 0);
  target.writeUInt16LE(tag & 0xffff, 2);
}

/** A Decimal String has at most 16 characters (PS3.5 Table 6.2-1). */
function decimalString(number: number): string {
  return String(Number(number.toFixed(6)));
}
