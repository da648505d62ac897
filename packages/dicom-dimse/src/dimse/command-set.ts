import { invalidPdu } from '../pdu/byte-reader.ts';

/** Elements of group 0000: PS3.7 table E.1-1. */
export const COMMAND_ELEMENT = {
  groupLength: 0x0000,
  affectedSopClassUid: 0x0002,
  requestedSopClassUid: 0x0003,
  commandField: 0x0100,
  messageId: 0x0110,
  messageIdBeingRespondedTo: 0x0120,
  moveDestination: 0x0600,
  priority: 0x0700,
  commandDataSetType: 0x0800,
  status: 0x0900,
  offendingElement: 0x0901,
  errorComment: 0x0902,
  errorId: 0x0903,
  affectedSopInstanceUid: 0x1000,
  requestedSopInstanceUid: 0x1001,
  eventTypeId: 0x1002,
  attributeIdentifierList: 0x1005,
  actionTypeId: 0x1008,
  remainingSubOperations: 0x1020,
  completedSubOperations: 0x1021,
  failedSubOperations: 0x1022,
  warningSubOperations: 0x1023,
  moveOriginatorAeTitle: 0x1030,
  moveOriginatorMessageId: 0x1031,
} as const;

/** Command Field values: PS3.7 table E.1-1. A response is its request with bit 15 set. */
export const COMMAND_FIELD = {
  storeRq: 0x0001,
  storeRsp: 0x8001,
  getRq: 0x0010,
  getRsp: 0x8010,
  findRq: 0x0020,
  findRsp: 0x8020,
  moveRq: 0x0021,
  moveRsp: 0x8021,
  echoRq: 0x0030,
  echoRsp: 0x8030,
  eventReportRq: 0x0100,
  eventReportRsp: 0x8100,
  actionRq: 0x0130,
  actionRsp: 0x8130,
  cancelRq: 0x0fff,
} as const;

/** Command Data Set Type (0000,0800): no data set follows. Any other value means that one follows. */
export const NO_DATA_SET = 0x0101;
export const HAS_DATA_SET = 0x0000;

/** PS3.7 table 9.3-1 and others: Priority (0000,0700). */
export const PRIORITY = { medium: 0x0000, high: 0x0001, low: 0x0002 } as const;
export type Priority = keyof typeof PRIORITY;

/** A number is written as US, a text as UI, AE or LO. */
export type CommandFields = readonly (readonly [element: number, value: number | string | undefined])[];

/** UIs are padded with NUL, all other texts with space (PS3.5 section 6.2). */
const SPACE_PADDED: ReadonlySet<number> = new Set([
  COMMAND_ELEMENT.moveDestination,
  COMMAND_ELEMENT.errorComment,
  COMMAND_ELEMENT.moveOriginatorAeTitle,
]);

/**
 * Encodes a command set, Implicit VR Little Endian with its group length (PS3.7 section 6.3.1).
 * `fields` must be in ascending order of elements; those without a value are omitted.
 */
export function encodeCommandSet(fields: CommandFields): Buffer {
  let length = 12;
  for (const [, value] of fields) {
    if (value === undefined) continue;
    length += 8 + (typeof value === 'number' ? 2 : value.length + (value.length & 1));
  }
  const bytes = Buffer.allocUnsafe(length);
  bytes.writeUInt32LE(0, 0);
  bytes.writeUInt32LE(4, 4);
  bytes.writeUInt32LE(length - 12, 8);
  let at = 12;
  for (const [element, value] of fields) {
    if (value === undefined) continue;
    bytes.writeUInt16LE(0, at);
    bytes.writeUInt16LE(element, at + 2);
    if (typeof value === 'number') {
      bytes.writeUInt32LE(2, at + 4);
      bytes.writeUInt16LE(value, at + 8);
      at += 10;
      continue;
    }
    const padded = value.length + (value.length & 1);
    bytes.writeUInt32LE(padded, at + 4);
    bytes.write(value, at + 8, 'latin1');
    if (padded > value.length) bytes[at + 7 + padded] = SPACE_PADDED.has(element) ? 0x20 : 0;
    at += 8 + padded;
  }
  return bytes;
}

/** A received command set. Elements of other groups are rejected, unknown ones of group 0000 are kept. */
export class CommandSet {
  readonly #elements: ReadonlyMap<number, Buffer>;
  readonly commandField: number;

  constructor(elements: ReadonlyMap<number, Buffer>) {
    this.#elements = elements;
    this.commandField = this.require(COMMAND_ELEMENT.commandField);
  }

  get elements(): ReadonlyMap<number, Buffer> {
    return this.#elements;
  }

  get hasDataSet(): boolean {
    return this.require(COMMAND_ELEMENT.commandDataSetType) !== NO_DATA_SET;
  }

  uint16(element: number): number | undefined {
    const value = this.#elements.get(element);
    return value?.length === 2 ? value.readUInt16LE(0) : undefined;
  }

  text(element: number): string | undefined {
    return this.#elements
      .get(element)
      ?.toString('latin1')
      .replace(/[\0 ]+$/, '');
  }

  require(element: number): number {
    const value = this.uint16(element);
    if (value === undefined) {
      throw invalidPdu(
        `command set: element (0000,${element.toString(16).padStart(4, '0')}) is missing or not of 2 bytes`,
      );
    }
    return value;
  }
}

/**
 * Decodes a command set.
 *
 * @throws DimseError `protocol-error` if a length exceeds the available bytes, an element is duplicated or not in group 0000,
 * or Command Field is missing.
 */
export function decodeCommandSet(bytes: Buffer): CommandSet {
  const elements = new Map<number, Buffer>();
  let at = 0;
  while (at < bytes.length) {
    if (bytes.length - at < 8) throw invalidPdu(`command set: ${bytes.length - at} excess bytes at its end`);
    const group = bytes.readUInt16LE(at);
    if (group !== 0)
      throw invalidPdu(`command set: unexpected element of group ${group.toString(16).padStart(4, '0')}`);
    const element = bytes.readUInt16LE(at + 2);
    const length = bytes.readUInt32LE(at + 4);
    at += 8;
    if (length > bytes.length - at) {
      throw invalidPdu(`command set: element of ${length} bytes; only ${bytes.length - at} are left`);
    }
    // Duplicates are ambiguous, for example two statuses.
    if (elements.has(element)) throw invalidPdu(`command set: element ${element.toString(16)} is duplicated`);
    elements.set(element, bytes.subarray(at, at + length));
    at += length;
  }
  return new CommandSet(elements);
}
