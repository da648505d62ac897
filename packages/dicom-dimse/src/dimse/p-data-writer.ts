import type { Transport } from '../upper-layer/transport.ts';

const HEADER_BYTES = 12;
const COMMAND = 1;
const LAST = 2;
const PAD = Buffer.alloc(1);
const NOTHING = Buffer.alloc(0);
type Done = () => void;
/** Chunks below this are gathered. */
const SMALL_BYTES = 1024;

/** What we send at most in one P-DATA-TF where the peer's maximum is larger, or unlimited. */
export const MAX_SENT_P_DATA_BYTES = 256 * 1024;

/**
 * Header of a P-DATA-TF with one value: byte 1 type, 2 reserved, 3-6 PDU-length, 7-10 PDV item length,
 * 11 Presentation-context-ID, 12 message control header (PS3.8 table 9-22 and annex E.2).
 */
function header(contextId: number, control: number, dataBytes: number): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER_BYTES);
  bytes.writeUInt16BE(0x0400, 0);
  bytes.writeUInt32BE(dataBytes + 6, 2);
  bytes.writeUInt32BE(dataBytes + 2, 6);
  bytes.writeUInt8(contextId, 10);
  bytes.writeUInt8(control, 11);
  return bytes;
}

/** The even number of data bytes that fit beside a PDV item header into the peer's maximum length (0: unlimited). */
export function fragmentBytes(peerMaxPDataBytes: number, ownLimitBytes = MAX_SENT_P_DATA_BYTES): number {
  const limit = peerMaxPDataBytes === 0 ? ownLimitBytes : Math.min(peerMaxPDataBytes, ownLimitBytes);
  return Math.max(2, (limit - 6) & ~1);
}

/** Writes messages as P-DATA-TF, each PDU whole, so that an A-ABORT may follow at any time. */
export class PDataWriter {
  readonly #transport: Transport;
  readonly #fragmentBytes: number;
  readonly #onPdu: ((lengthBytes: number) => void) | undefined;
  /** The header of a full fragment that is not the last, for each context used: reused, and never changed. */
  readonly #fullHeaders = new Map<number, Buffer>();

  constructor(transport: Transport, peerFragmentBytes: number, onPdu?: (lengthBytes: number) => void) {
    this.#transport = transport;
    this.#fragmentBytes = peerFragmentBytes;
    this.#onPdu = onPdu;
  }

  /** Writes a command set, or a small data set that is held in memory. */
  writeWhole(contextId: number, isCommand: boolean, bytes: Buffer): void {
    const kind = isCommand ? COMMAND : 0;
    let at = 0;
    do {
      const left = bytes.length - at;
      const taken = Math.min(left, this.#fragmentBytes);
      const control = taken === left ? kind | LAST : kind;
      this.#onPdu?.(taken + 6);
      this.#transport.writePDataHeader(
        Buffer.concat([header(contextId, control, taken), bytes.subarray(at, at + taken)], HEADER_BYTES + taken),
      );
      at += taken;
    } while (at < bytes.length);
  }

  /** Begins a data set whose length need not be known. */
  beginDataSet(contextId: number): DataSetFragmenter {
    let full = this.#fullHeaders.get(contextId);
    if (full === undefined) {
      full = header(contextId, 0, this.#fragmentBytes);
      this.#fullHeaders.set(contextId, full);
    }
    return new DataSetFragmenter(this.#transport, contextId, this.#fragmentBytes, full, this.#onPdu);
  }
}

/**
 * Cuts a data set into fragments without copying it. A fragment is written when more than one is available, since
 * only then it is known not to be the last; so at most one is held back. Callers cork the transport around it.
 */
export class DataSetFragmenter {
  readonly #transport: Transport;
  readonly #contextId: number;
  readonly #fragmentBytes: number;
  readonly #fullHeader: Buffer;
  readonly #onPdu: ((lengthBytes: number) => void) | undefined;
  #held: Buffer[] = [];
  /** For each of `#held`, the callback for when the socket no longer refers to it. */
  #heldDone: (Done | undefined)[] = [];
  /** For each of `#held`, the length of the chunk that it is the end of. */
  #heldOf: number[] = [];
  #heldBytes = 0;
  #totalBytes = 0;
  #small: Buffer | undefined;
  #smallFill = 0;

  constructor(
    transport: Transport,
    contextId: number,
    size: number,
    fullHeader: Buffer,
    onPdu: ((lengthBytes: number) => void) | undefined,
  ) {
    this.#transport = transport;
    this.#contextId = contextId;
    this.#fragmentBytes = size;
    this.#fullHeader = fullHeader;
    this.#onPdu = onPdu;
  }

  get totalBytes(): number {
    return this.#totalBytes;
  }

  /** @param done called when nothing refers to the chunk any more: its bytes are written, or will never be. */
  push(chunk: Buffer, done?: Done): void {
    this.#totalBytes += chunk.length;
    if (chunk.length >= SMALL_BYTES) {
      this.#flushSmall();
      this.#add(chunk, done);
      return;
    }
    // A source of tiny chunks must not become a list of tiny buffers.
    this.#small ??= Buffer.allocUnsafe(16 * SMALL_BYTES);
    this.#smallFill += chunk.copy(this.#small, this.#smallFill);
    done?.();
    if (this.#smallFill > 15 * SMALL_BYTES) this.#flushSmall();
  }

  #flushSmall(): void {
    if (this.#small === undefined) return;
    const gathered = this.#small.subarray(0, this.#smallFill);
    this.#small = undefined;
    this.#smallFill = 0;
    if (gathered.length > 0) this.#add(gathered, undefined);
  }

  #add(chunk: Buffer, done: Done | undefined): void {
    const size = this.#fragmentBytes;
    let at = 0;
    while (this.#heldBytes + chunk.length - at > size) {
      this.#onPdu?.(size + 6);
      this.#transport.writePDataHeader(this.#fullHeader);
      const taken = size - this.#heldBytes;
      this.#writeHeld();
      if (taken > 0) this.#transport.write(chunk.subarray(at, at + taken));
      at += taken;
    }
    // At least one byte of this chunk is left: a fragment is written only if more than one is available.
    this.#held.push(at === 0 ? chunk : chunk.subarray(at));
    this.#heldDone.push(done);
    this.#heldOf.push(chunk.length);
    this.#heldBytes += chunk.length - at;
  }

  /** @param after called when the socket no longer refers to the last of them. */
  #writeHeld(after?: Done): void {
    for (let index = 0; index < this.#held.length; index += 1) {
      const given = this.#heldDone[index];
      // Lent only now: waiting for the socket could never release a chunk that is still held back here.
      const done = given && this.#transport.lend(this.#heldOf[index] as number, given);
      const isLast = after !== undefined && index === this.#held.length - 1;
      this.#transport.write(this.#held[index] as Buffer, isLast ? both(done, after) : done);
    }
    this.#held.length = 0;
    this.#heldDone.length = 0;
    this.#heldOf.length = 0;
    this.#heldBytes = 0;
  }

  /**
   * Writes the last fragment. A data set of odd length, which a deflated one may have, is padded (PS3.5 section A.5).
   *
   * @param onTaken called when the system has accepted all of it.
   */
  end(onTaken?: Done): void {
    this.#flushSmall();
    const isOdd = (this.#heldBytes & 1) === 1;
    const bytes = this.#heldBytes + (isOdd ? 1 : 0);
    this.#onPdu?.(bytes + 6);
    this.#transport.writePDataHeader(header(this.#contextId, LAST, bytes));
    this.#writeHeld(isOdd ? undefined : onTaken);
    if (isOdd) this.#transport.write(PAD, onTaken);
    else if (bytes === 0 && onTaken !== undefined) this.#transport.write(NOTHING, onTaken);
  }
}

function both(first: Done | undefined, second: Done): Done {
  if (first === undefined) return second;
  return () => {
    first();
    second();
  };
}
