import { DimseError } from '../errors/dimse-error.ts';
import { invalidPdu } from './byte-reader.ts';
import { PDU_TYPE } from './pdu.ts';
import { ABORTS } from './reasons.ts';

/** Receives the results of a {@link PduStream}. */
export interface PduSink {
  /** A complete PDU other than P-DATA-TF; `body` follows the 6 header bytes. */
  onPdu(type: number, body: Buffer): void;
  /** The header of a P-DATA-TF has arrived. */
  onPDataStart(lengthBytes: number): void;
  /** A part of a presentation data value, as soon as it has arrived. `control` is the message control header. */
  onPDataPiece(contextId: number, control: number, piece: Buffer, isEndOfValue: boolean): void;
}

export interface PduLimits {
  /** The longest P-DATA-TF that we offered to accept; 0 is unlimited (values are passed on in pieces, nothing is held). */
  readonly maxPDataBytes: number;
  /** The longest A-ASSOCIATE PDU to hold in memory. Default 1 MiB. */
  readonly maxAssociateBytes: number;
}

const EMPTY = Buffer.alloc(0);
/** The first byte of a TLS record (RFC 8446 section 5.1), where that of a PDU should be. */
const TLS_ALERT = 0x15;
const TLS_HANDSHAKE = 0x16;

export const DEFAULT_MAX_ASSOCIATE_BYTES = 1024 * 1024;

/**
 * Divides a byte stream into PDUs (PS3.8 section 9.3.1). P-DATA is passed on in pieces and never collected, so the memory
 * is limited by `maxAssociateBytes`, regardless of the lengths that a peer declares.
 *
 * @throws DimseError `protocol-error` or `limit-exceeded` from `push`, with the reason for the A-ABORT; it cannot be used
 *   after that.
 */
export class PduStream {
  readonly #sink: PduSink;
  readonly #limits: PduLimits;
  /** The bytes of a PDU header or PDV item header that have arrived so far; both have six. */
  readonly #head = Buffer.alloc(6);
  #headFill = 0;
  /** 0 while between PDUs. */
  #type = 0;
  /** Remaining bytes of the current PDU's body. */
  #left = 0;
  #inValue = false;
  #valueLeft = 0;
  #contextId = 0;
  #control = 0;
  #body: Buffer = EMPTY;
  #bodyFill = 0;
  #stopped = false;

  constructor(sink: PduSink, limits: PduLimits) {
    this.#sink = sink;
    this.#limits = limits;
  }

  /** Whether a first part of a PDU has arrived, but not all of it. */
  get isMidPdu(): boolean {
    return this.#type !== 0 || this.#headFill > 0;
  }

  /** Nothing more is passed on, not even the rest of the current chunk. */
  stop(): void {
    this.#stopped = true;
    this.#body = EMPTY;
  }

  push(chunk: Buffer): void {
    let at = 0;
    const end = chunk.length;
    while (at < end && !this.#stopped) {
      if (this.#type === 0) {
        at = this.#fillHead(chunk, at, 6);
        if (this.#headFill === 6) this.#beginPdu();
      } else if (this.#type !== PDU_TYPE.pDataTf) {
        at = this.#gather(chunk, at);
      } else if (this.#inValue) {
        at = this.#passOn(chunk, at);
      } else {
        at = this.#fillHead(chunk, at, 6);
        if (this.#headFill === 6) this.#beginValue();
      }
    }
  }

  #fillHead(chunk: Buffer, at: number, wanted: number): number {
    const taken = Math.min(wanted - this.#headFill, chunk.length - at);
    chunk.copy(this.#head, this.#headFill, at, at + taken);
    this.#headFill += taken;
    return at + taken;
  }

  #beginPdu(): void {
    this.#headFill = 0;
    const type = this.#head.readUInt8(0);
    const length = this.#head.readUInt32BE(2);
    this.#check(type, length);
    this.#type = type;
    this.#left = length;
    if (type === PDU_TYPE.pDataTf) this.#sink.onPDataStart(length);
  }

  #check(type: number, length: number): void {
    switch (type) {
      case PDU_TYPE.pDataTf:
        if (length < 6) throw invalidPdu(`P-DATA-TF: PDU-length ${length} is too short for a PDV item`);
        if (this.#limits.maxPDataBytes > 0 && length > this.#limits.maxPDataBytes) {
          throw tooLong('P-DATA-TF', length, this.#limits.maxPDataBytes);
        }
        return;
      case PDU_TYPE.associateRq:
      case PDU_TYPE.associateAc:
        if (length < 68) throw invalidPdu(`A-ASSOCIATE: PDU-length ${length} is less than its fixed fields`);
        if (length > this.#limits.maxAssociateBytes) {
          throw tooLong('A-ASSOCIATE', length, this.#limits.maxAssociateBytes);
        }
        return;
      case PDU_TYPE.associateRj:
      case PDU_TYPE.releaseRq:
      case PDU_TYPE.releaseRp:
      case PDU_TYPE.abort:
        if (length !== 4) throw invalidPdu(`PDU type ${type}: PDU-length is ${length} instead of 4`);
        return;
      case TLS_ALERT:
      case TLS_HANDSHAKE:
        throw new DimseError('tls-expected', 'this port uses TLS', { abort: ABORTS['unrecognized-pdu'] });
      default:
        throw new DimseError('protocol-error', `PDU type ${type} is not defined by the Standard`, {
          abort: ABORTS['unrecognized-pdu'],
        });
    }
  }

  #gather(chunk: Buffer, at: number): number {
    const taken = Math.min(this.#left, chunk.length - at);
    this.#left -= taken;
    if (this.#left === 0 && this.#bodyFill === 0) {
      this.#finishPdu(chunk.subarray(at, at + taken));
      return at + taken;
    }
    this.#reserve(taken);
    chunk.copy(this.#body, this.#bodyFill, at, at + taken);
    this.#bodyFill += taken;
    if (this.#left === 0) this.#finishPdu(this.#body.subarray(0, this.#bodyFill));
    return at + taken;
  }

  /** Grows with the received bytes, not with the declared length, and doubles, so that arriving byte by byte is not slow. */
  #reserve(more: number): void {
    const wanted = this.#bodyFill + more;
    if (wanted <= this.#body.length) return;
    const grown = Buffer.allocUnsafe(Math.min(Math.max(wanted, 2 * this.#body.length), wanted + this.#left));
    this.#body.copy(grown, 0, 0, this.#bodyFill);
    this.#body = grown;
  }

  #finishPdu(body: Buffer): void {
    const type = this.#type;
    this.#type = 0;
    this.#body = EMPTY;
    this.#bodyFill = 0;
    this.#sink.onPdu(type, body);
  }

  #beginValue(): void {
    this.#headFill = 0;
    const length = this.#head.readUInt32BE(0);
    this.#left -= 6;
    if (length < 2) throw invalidPdu(`P-DATA-TF: PDV item length ${length} is less than 2`);
    if (length - 2 > this.#left) {
      throw invalidPdu(`P-DATA-TF: PDV item of ${length} bytes exceeds its PDU; only ${this.#left + 2} are left`);
    }
    this.#valueLeft = length - 2;
    this.#checkTail();
    this.#contextId = this.#head.readUInt8(4);
    this.#control = this.#head.readUInt8(5);
    this.#inValue = true;
    if (this.#valueLeft === 0) this.#passOn(EMPTY, 0);
  }

  /** What follows a value must be another value, or nothing. */
  #checkTail(): void {
    const tail = this.#left - this.#valueLeft;
    if (tail > 0 && tail < 6) throw invalidPdu(`P-DATA-TF: ${tail} bytes after the last PDV item`);
  }

  #passOn(chunk: Buffer, at: number): number {
    const taken = Math.min(this.#valueLeft, chunk.length - at);
    this.#valueLeft -= taken;
    this.#left -= taken;
    const isEnd = this.#valueLeft === 0;
    if (isEnd) {
      this.#inValue = false;
      if (this.#left === 0) this.#type = 0;
    }
    this.#sink.onPDataPiece(this.#contextId, this.#control, chunk.subarray(at, at + taken), isEnd);
    return at + taken;
  }
}

function tooLong(what: string, length: number, limit: number): DimseError {
  return new DimseError('limit-exceeded', `${what}: PDU-length ${length} exceeds the negotiated ${limit} bytes`, {
    abort: ABORTS['invalid-pdu-parameter-value'],
  });
}
