import { DimseError } from '../errors/dimse-error.ts';
import type { CommandSet } from '../dimse/command-set.ts';
import type { DataSetSink } from '../dimse/message-assembler.ts';
import { ProgressTimeout } from './progress-timeout.ts';

/** A request of ours: queued, prepared, sent, answered. It settles its own promise; every path ends with this. */
export interface Operation {
  /** Command Field (0000,0100) of its responses. */
  readonly responseField: number;
  /** The presentation context on which it is sent and answered. */
  readonly contextId: number;
  /** Whether it causes requests of the peer: the C-STOREs of a C-GET. */
  readonly isServedByRequests: boolean;
  /** Whether it can be sent immediately: its context is chosen and the first bytes of its data set are available. */
  readonly isReady: boolean;
  /** Whether its promise is settled; it may still be outstanding on the wire. */
  readonly isSettled: boolean;
  /** Called repeatedly while it is near the head of the queue; starts the preparation the first time. */
  prepare(): void;
  /** Writes the request; returns a promise only if it could not be written at once. */
  start(messageId: number): Promise<void> | undefined;
  /** A response to it; calls `OperationQueue.finish` when it was the last. */
  onResponse(command: CommandSet, contextId: number): DataSetSink | undefined;
  fail(error: DimseError): void;
}

/** Functions of the association that the queue uses. */
export interface QueuePort {
  readonly canSendData: boolean;
  readonly isMidPdu: boolean;
  readonly isCommitted: boolean;
  readonly isBusy: boolean;
  /** Whether bytes of ours have not been accepted yet. */
  readonly hasUnsent: boolean;
  /** Bytes that the peer has accepted, and received bytes of responses. */
  readonly movedBytes: number;
  writeEarlyByte(): void;
  abort(error: DimseError): void;
}

export interface QueueOptions {
  /** How many of our requests may be unanswered (PS3.7 annex D.3.3.3). */
  readonly window: number;
  readonly earlyByte: boolean;
  /** How many of the queued operations are prepared before they can be sent. */
  readonly prepareAhead: number;
  /** Maximum time without progress of a peer that must respond or accept data; 0 = no limit. */
  readonly responseTimeoutMs: number;
  /** A peer slower than this is treated as silent. */
  readonly minBytesPerSecond: number;
}

/** A C-FIND match counts as this many seconds at the minimum rate: it has few bytes, but the peer has to search for it. */
const MATCH_WORTH_SECONDS = 5;

/** The send queue of an association. One request is written at a time; up to `window` may be without a response. */
export class OperationQueue {
  readonly #port: QueuePort;
  readonly #options: QueueOptions;
  readonly #pending: Operation[] = [];
  readonly #outstanding = new Map<number, Operation>();
  #sending: Operation | undefined;
  #controls: (() => void)[] = [];
  #lastMessageId = 0;
  #isPumping = false;
  #end: DimseError | undefined;
  readonly #progressTimeout: ProgressTimeout;
  #creditedBytes = 0;
  #whenIdle: (() => void)[] = [];

  constructor(port: QueuePort, options: QueueOptions) {
    this.#port = port;
    this.#options = options;
    this.#progressTimeout = new ProgressTimeout({
      graceMs: options.responseTimeoutMs,
      minBytesPerSecond: options.minBytesPerSecond,
      moved: () => port.movedBytes + this.#creditedBytes,
      // A slow source of ours does not count against the peer.
      isExcused: () => port.isBusy || (this.#sending !== undefined && !port.hasUnsent),
      onExhausted: () => this.#exhausted(),
    });
  }

  get isIdle(): boolean {
    return this.#pending.length === 0 && this.#outstanding.size === 0 && this.#sending === undefined;
  }

  add(operation: Operation): void {
    if (this.#end !== undefined) {
      operation.fail(this.#end);
      return;
    }
    this.#pending.push(operation);
    this.pump();
  }

  /** Writes a cancel request or a response between two messages of ours, ahead of the queue. */
  control(write: () => void): void {
    if (this.#sending === undefined) write();
    else this.#controls.push(write);
  }

  outstanding(messageId: number): Operation | undefined {
    return this.#outstanding.get(messageId);
  }

  isSending(operation: Operation): boolean {
    return this.#sending === operation;
  }

  /** Whether an outstanding request causes requests of the peer. */
  get isServedByRequests(): boolean {
    for (const operation of this.#outstanding.values()) if (operation.isServedByRequests) return true;
    return false;
  }

  /** The last response to an operation has arrived: the next one starts before the caller sees the result. */
  finish(messageId: number): void {
    this.#outstanding.delete(messageId);
    if (this.#outstanding.size > 0) this.#progressTimeout.start();
    else this.#progressTimeout.rest();
    this.pump();
  }

  /** A response that is not the last: a match, or a sign that the peer is at work. */
  notLast(kind: 'match' | 'sign-of-life'): void {
    if (kind === 'sign-of-life' || this.#options.minBytesPerSecond <= 0) this.#progressTimeout.start();
    else this.#creditedBytes += MATCH_WORTH_SECONDS * this.#options.minBytesPerSecond;
  }

  /** Data have arrived from the peer, or the peer has accepted data. */
  onProgress(): void {
    if (this.#pending.length > 0) this.pump();
  }

  /** Removes a settled operation that has not begun from the queue. */
  remove(operation: Operation): void {
    const index = this.#pending.indexOf(operation);
    if (index !== -1) this.#pending.splice(index, 1);
    this.#noteIdle();
  }

  whenIdle(): Promise<void> {
    if (this.isIdle) return Promise.resolve();
    return new Promise((resolve) => this.#whenIdle.push(resolve));
  }

  /** Sends what can be sent. Safe to call at any time. */
  pump(): void {
    if (this.#isPumping || this.#end !== undefined) return;
    this.#isPumping = true;
    while (this.#step());
    this.#isPumping = false;
    this.#noteIdle();
  }

  /** Fails all current and future operations. */
  end(error: DimseError): void {
    if (this.#end !== undefined) return;
    this.#end = error;
    this.#progressTimeout.stop();
    this.#controls = [];
    const all = new Set([...this.#outstanding.values(), ...this.#pending]);
    this.#outstanding.clear();
    this.#pending.length = 0;
    for (const operation of all) operation.fail(error);
    this.#sending = undefined;
    this.#noteIdle();
  }

  /** @returns whether to call it again */
  #step(): boolean {
    const ready = this.#nextReady();
    if (ready === undefined || this.#sending !== undefined || !this.#port.canSendData) return false;
    if (this.#outstanding.size < this.#options.window) {
      this.#pending.splice(this.#pending.indexOf(ready), 1);
      this.#begin(ready);
      return this.#sending === undefined;
    }
    if (this.#options.earlyByte && this.#port.isMidPdu && !this.#port.isCommitted) this.#port.writeEarlyByte();
    return false;
  }

  /** The first prepared operation among those that may be prepared ahead. */
  #nextReady(): Operation | undefined {
    for (let index = 0; index < this.#pending.length && index < this.#options.prepareAhead; index += 1) {
      const operation = this.#pending[index] as Operation;
      operation.prepare();
      if (operation.isSettled) {
        this.#pending.splice(index, 1);
        index -= 1;
      } else if (operation.isReady) {
        // The next ones are prepared while it is sent.
        if (index === 0) this.#prepareNext();
        return operation;
      }
    }
    return undefined;
  }

  #prepareNext(): void {
    for (let index = 1; index < this.#pending.length && index < this.#options.prepareAhead; index += 1) {
      (this.#pending[index] as Operation).prepare();
    }
  }

  #begin(operation: Operation): void {
    const messageId = this.#nextMessageId();
    this.#outstanding.set(messageId, operation);
    this.#sending = operation;
    this.#progressTimeout.start();
    let sent: Promise<void> | undefined;
    try {
      sent = operation.start(messageId);
    } catch (thrown) {
      this.#sendFailed(operation, thrown);
      return;
    }
    if (sent === undefined) {
      this.#sent();
      return;
    }
    sent.then(
      () => {
        this.#sent();
        this.pump();
      },
      (thrown: unknown) => this.#sendFailed(operation, thrown),
    );
  }

  #sent(): void {
    this.#sending = undefined;
    if (this.#outstanding.size > 0) this.#progressTimeout.start();
    const controls = this.#controls;
    if (controls.length === 0) return;
    this.#controls = [];
    for (const write of controls) write();
  }

  /** A request was sent incompletely: this association cannot continue (PS3.7 has no cancel of a C-STORE). */
  #sendFailed(operation: Operation, thrown: unknown): void {
    if (this.#end !== undefined) return;
    const error =
      thrown instanceof DimseError
        ? thrown
        : new DimseError('source-failed', 'the source of the instance failed during the transfer', { cause: thrown });
    operation.fail(error);
    this.#port.abort(
      new DimseError(
        'association-ended',
        `aborted locally because an instance could not be sent completely: ${error.code}`,
        {
          cause: error,
        },
      ),
    );
  }

  #nextMessageId(): number {
    do {
      this.#lastMessageId = (this.#lastMessageId % 0xffff) + 1;
    } while (this.#outstanding.has(this.#lastMessageId));
    return this.#lastMessageId;
  }

  /** The peer did not respond to an outstanding request, or did not accept its data, in time. */
  #exhausted(): void {
    if (this.#outstanding.size === 0) return;
    const { responseTimeoutMs, minBytesPerSecond } = this.#options;
    const limits =
      minBytesPerSecond > 0
        ? `${responseTimeoutMs} ms (responseTimeoutMs), or less than ${minBytesPerSecond} bytes a second (minBytesPerSecond)`
        : `${responseTimeoutMs} ms (responseTimeoutMs)`;
    this.#port.abort(
      this.#port.hasUnsent
        ? new DimseError('send-timeout', `the peer accepted no data for ${limits}`)
        : new DimseError('response-timeout', `no response for ${limits}`),
    );
  }

  #noteIdle(): void {
    if (this.#whenIdle.length === 0 || !this.isIdle) return;
    const waiting = this.#whenIdle;
    this.#whenIdle = [];
    for (const resolve of waiting) resolve();
  }
}
