import type { Socket } from 'node:net';
import type { DimseError } from '../errors/dimse-error.ts';
import { translateSocketError } from '../errors/translate-socket-error.ts';
import { PDU_TYPE } from '../pdu/pdu.ts';

export interface TransportUser {
  onChunk(chunk: Buffer): void;
  /** Called exactly once. `error` is set unless the peer ended the connection in an orderly way. */
  onClosed(error: DimseError | undefined): void;
}

/**
 * Maximum bytes of lent chunks that are written and not released yet. Bytes that the system accepts immediately never make
 * the socket request a pause, and its callbacks run only when the writing loop yields: without our own limit, the number of
 * lent chunks would keep growing while the receiver is fast.
 */
const MAX_LENT_BYTES = 1024 * 1024;
const EARLY_BYTE = Buffer.of(PDU_TYPE.pDataTf);

/** A connected socket, TCP or TLS: writes, back-pressure, the early byte, and one report of its end. */
export class Transport {
  readonly socket: Socket;
  readonly #peer: string;
  #user: TransportUser | undefined;
  #isCommitted = false;
  #isClosed = false;
  #error: DimseError | undefined;
  #drained: (() => void)[] = [];
  #pauses = 0;
  #lentBytes = 0;

  constructor(socket: Socket, peer: string) {
    this.socket = socket;
    this.#peer = peer;
    socket.on('error', (error) => {
      this.#error ??= translateSocketError(error, peer, 'connection-closed');
    });
    socket.on('drain', () => this.#wake());
    socket.on('end', () => this.#closed());
    socket.on('close', () => this.#closed());
  }

  get peer(): string {
    return this.#peer;
  }

  /** Whether the first byte of a P-DATA-TF is out, so that nothing but the rest of it may follow. */
  get isCommitted(): boolean {
    return this.#isCommitted;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get needsDrain(): boolean {
    return (this.socket.writableNeedDrain || this.#lentBytes > MAX_LENT_BYTES) && !this.#isClosed;
  }

  get hasUnsent(): boolean {
    return this.socket.writableLength > 0 && !this.#isClosed;
  }

  /**
   * Bytes of ours that the system has accepted. One write may have a megabyte: only the handle shows its progress (node's own
   * socket timeout uses it, too).
   */
  get takenBytes(): number {
    const { _handle: handle } = this.socket as { _handle?: { bytesWritten?: number; writeQueueSize?: number } | null };
    if (handle?.bytesWritten !== undefined) return handle.bytesWritten - (handle.writeQueueSize ?? 0);
    return this.socket.bytesWritten - this.socket.writableLength;
  }

  get isPaused(): boolean {
    return this.#pauses > 0;
  }

  start(user: TransportUser): void {
    this.#user = user;
    if (this.socket.destroyed || this.#isClosed) {
      this.#isClosed = false;
      this.#closed();
      return;
    }
    this.socket.on('data', (chunk: Buffer) => user.onChunk(chunk));
  }

  cork(): void {
    this.socket.cork();
  }

  uncork(): void {
    this.socket.uncork();
  }

  /** @param done called when the socket no longer refers to `bytes`, sent or not. */
  write(bytes: Uint8Array, done?: () => void): void {
    if (this.#isClosed) done?.();
    else if (done === undefined) this.socket.write(bytes);
    else this.socket.write(bytes, done);
  }

  /** Counts a chunk that is written from borrowed memory until the returned function is called: then `done` is called. */
  lend(bytes: number, done: () => void): () => void {
    this.#lentBytes += bytes;
    return () => {
      this.#lentBytes -= bytes;
      done();
      if (!this.needsDrain) this.#wake();
    };
  }

  /** Writes a buffer that begins with the header of a P-DATA-TF, without the byte that may have been sent already. */
  writePDataHeader(bytes: Buffer): void {
    if (!this.#isCommitted) {
      this.write(bytes);
      return;
    }
    this.#isCommitted = false;
    this.write(bytes.subarray(1));
  }

  /** Writes the first byte of the next P-DATA-TF ahead of the rest: it carries the acknowledgement of received data. */
  writeEarlyByte(): void {
    this.#isCommitted = true;
    this.write(EARLY_BYTE);
  }

  /** Resolves when the socket accepts more, or has closed. */
  whenDrained(): Promise<void> {
    if (!this.needsDrain) return Promise.resolve();
    return new Promise((resolve) => this.#drained.push(resolve));
  }

  /** Reading stops once for each call, until as many calls of `resume`. */
  pause(): void {
    this.#pauses += 1;
    if (this.#pauses === 1) this.socket.pause();
  }

  resume(): void {
    this.#pauses -= 1;
    if (this.#pauses === 0 && !this.#isClosed) this.socket.resume();
  }

  /** Ends our direction after pending writes; continues to read, so that the peer receives all of it. */
  end(): void {
    if (this.#isClosed) return;
    this.socket.end();
    this.socket.resume();
  }

  destroy(): void {
    this.socket.destroy();
    this.#closed();
  }

  #closed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#wake();
    this.#user?.onClosed(this.#error);
  }

  #wake(): void {
    const waiting = this.#drained;
    this.#drained = [];
    for (const resolve of waiting) resolve();
  }
}
