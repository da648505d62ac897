import { TRANSFER_SYNTAX } from '../uids.ts';

const FAILED_SOP_INSTANCE_UID_LIST = 0x0058;

/**
 * The identifier of a final C-GET or C-MOVE response: Failed SOP Instance UID List (0008,0058), PS3.4 section C.4.3.1.4.
 * Undefined if the transfer syntax is neither implicit nor explicit little endian, or the list exceeds its length field.
 */
export function encodeFailedList(uids: readonly string[], transferSyntaxUid: string): Buffer | undefined {
  if (uids.length === 0) return undefined;
  const joined = uids.join('\\');
  const value = Buffer.from(joined.length % 2 === 0 ? joined : `${joined}\0`, 'latin1');
  const head = Buffer.alloc(8);
  head.writeUInt16LE(0x0008, 0);
  head.writeUInt16LE(FAILED_SOP_INSTANCE_UID_LIST, 2);
  if (transferSyntaxUid === TRANSFER_SYNTAX.implicitVrLittleEndian) {
    head.writeUInt32LE(value.length, 4);
  } else if (transferSyntaxUid === TRANSFER_SYNTAX.explicitVrLittleEndian && value.length <= 0xffff) {
    head.write('UI', 4, 'latin1');
    head.writeUInt16LE(value.length, 6);
  } else {
    return undefined;
  }
  return Buffer.concat([head, value]);
}
