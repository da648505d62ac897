import { COMMAND_ELEMENT, decodeCommandSet } from '../dimse/command-set.ts';
import type { CommandSet } from '../dimse/command-set.ts';
import { MessageAssembler } from '../dimse/message-assembler.ts';
import type { DataSetSink } from '../dimse/message-assembler.ts';
import { PDataWriter, fragmentBytes } from '../dimse/p-data-writer.ts';
import { DimseError } from '../errors/dimse-error.ts';
import type { Observer } from '../observer.ts';
import { DEFAULT_MAX_ASSOCIATE_BYTES } from '../pdu/pdu-stream.ts';
import { ABORTS } from '../pdu/reasons.ts';
import type { AssociateAcPdu, AssociateRqPdu } from '../pdu/pdu.ts';
import type { Transport } from '../upper-layer/transport.ts';
import { UpperLayer } from '../upper-layer/upper-layer.ts';
import type { AcceptedContext, ContextTable } from './contexts.ts';
import { OperationQueue } from './operation-queue.ts';
import { hex, unexpectedResponse } from '../operations/unexpected-response.ts';
import type { Operation, QueuePort } from './operation-queue.ts';

export interface CoreOptions {
  readonly role: 'requestor' | 'acceptor';
  readonly maxPduLengthBytes: number;
  readonly maxAssociateBytes?: number | undefined;
  readonly artimTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly responseTimeoutMs: number;
  readonly minBytesPerSecond: number;
  readonly earlyByte: boolean;
  readonly prepareAhead: number;
  readonly maxDataSetBytes: number;
  readonly observer: Observer | undefined;
}

/** The negotiated values that the core needs. */
export interface Agreement {
  readonly contexts: ContextTable;
  /** 0 is unlimited. */
  readonly peerMaxPduLengthBytes: number;
  readonly maxSentPduBytes: number | undefined;
  /** Operations that this end may have outstanding. */
  readonly window: number;
}

/** Handles a request of the peer; the result receives its data set. */
export type RequestHandler = (context: AcceptedContext, command: CommandSet) => DataSetSink | undefined;

export interface CoreEvents {
  onAssociateRq?(pdu: AssociateRqPdu): void;
  onAssociateAc?(pdu: AssociateAcPdu): void;
}

const IGNORED: DataSetSink = { write() {}, end() {} };

/**
 * Common part of both ends of an association: Upper Layer, messages, the queue of our requests. Internal to this package.
 */
export class AssociationCore implements QueuePort {
  readonly transport: Transport;
  readonly upper: UpperLayer;
  readonly options: CoreOptions;
  /** Resolves when the association has ended: without an error after a release. Never rejects. */
  readonly ended: Promise<DimseError | undefined>;
  onRequest: RequestHandler | undefined;
  #agreement: Agreement | undefined;
  #writer: PDataWriter | undefined;
  #queue: OperationQueue | undefined;
  #assembler: MessageAssembler;
  #end: { readonly error: DimseError | undefined } | undefined;
  #resolveEnded: (error: DimseError | undefined) => void = () => {};
  readonly #onEnd: ((error: DimseError | undefined) => void)[] = [];
  #isReleasing = false;
  #performing = 0;
  /** Bytes of data sets that belong to responses to our requests. */
  #answerBytes = 0;
  #isAnswer = false;
  /** Bytes of our responses: accepting them does not count as progress of our requests. */
  #responseBytes = 0;

  constructor(transport: Transport, options: CoreOptions, events: CoreEvents) {
    this.transport = transport;
    this.options = options;
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    this.#assembler = new MessageAssembler({ onCommand: (contextId, command) => this.#onCommand(contextId, command) });
    this.upper = new UpperLayer(
      transport,
      {
        onAssociateRq: (pdu) => events.onAssociateRq?.(pdu),
        onAssociateAc: (pdu) => events.onAssociateAc?.(pdu),
        onPDataPiece: (contextId, control, piece, isEnd) => this.#onPiece(contextId, control, piece, isEnd),
        onReleaseRq: () => this.#onReleaseRq(),
        onProgress: () => this.#queue?.onProgress(),
        onEnd: (error) => this.#onUpperEnd(error),
      },
      {
        role: options.role,
        maxPDataBytes: options.maxPduLengthBytes,
        maxAssociateBytes: options.maxAssociateBytes ?? DEFAULT_MAX_ASSOCIATE_BYTES,
        artimTimeoutMs: options.artimTimeoutMs,
        idleTimeoutMs: options.idleTimeoutMs,
        minBytesPerSecond: options.minBytesPerSecond,
        isBusy: () => this.isBusy || this.needsDrain,
        observer: options.observer,
      },
    );
  }

  /** The association is established: from here on messages are exchanged. */
  establish(agreement: Agreement): void {
    this.#agreement = agreement;
    const { observer } = this.options;
    const onPdu = observer && ((lengthBytes: number) => observer({ type: 'pdu-sent', pdu: 'P-DATA-TF', lengthBytes }));
    this.#writer = new PDataWriter(
      this.transport,
      fragmentBytes(agreement.peerMaxPduLengthBytes, agreement.maxSentPduBytes),
      onPdu,
    );
    this.#queue = new OperationQueue(this, {
      window: agreement.window,
      earlyByte: this.options.earlyByte,
      prepareAhead: this.options.prepareAhead,
      responseTimeoutMs: this.options.responseTimeoutMs,
      minBytesPerSecond: this.options.minBytesPerSecond,
    });
  }

  get canSendData(): boolean {
    return this.upper.canSendData;
  }

  get isMidPdu(): boolean {
    return this.upper.isMidPdu;
  }

  get isCommitted(): boolean {
    return this.transport.isCommitted;
  }

  get needsDrain(): boolean {
    return this.transport.needsDrain;
  }

  get hasUnsent(): boolean {
    return this.transport.hasUnsent;
  }

  get movedBytes(): number {
    return this.transport.takenBytes - this.#responseBytes + this.#answerBytes;
  }

  writeEarlyByte(): void {
    this.transport.writeEarlyByte();
    this.options.observer?.({ type: 'early-byte-sent' });
  }

  /** While we do not read, or perform a request of the peer, the peer waits for us: its silence does not count. */
  get isBusy(): boolean {
    return this.transport.isPaused || this.#performing > 0;
  }

  /** A request of the peer that needs a response has arrived. */
  beginPerforming(): void {
    this.#performing += 1;
  }

  /** The last response to a request of the peer is being sent. */
  endPerforming(): void {
    this.#performing = Math.max(0, this.#performing - 1);
  }

  get hasEnded(): boolean {
    return this.#end !== undefined;
  }

  get contexts(): ContextTable {
    return this.#established(this.#agreement).contexts;
  }

  get agreement(): Agreement {
    return this.#established(this.#agreement);
  }

  get writer(): PDataWriter {
    return this.#established(this.#writer);
  }

  get queue(): OperationQueue {
    return this.#established(this.#queue);
  }

  /** Called when the association ends; immediately if it has ended. */
  whenEnded(callback: (error: DimseError | undefined) => void): void {
    if (this.#end === undefined) this.#onEnd.push(callback);
    else callback(this.#end.error);
  }

  /** Writes a command set (with a small data set) now; only for the operation that is being sent, or from `OperationQueue.control`. */
  writeMessage(contextId: number, command: Buffer, dataSet?: Buffer): void {
    this.observeMessage('message-sent', command);
    if (!this.upper.canSendData) return;
    this.transport.cork();
    this.writer.writeWhole(contextId, true, command);
    if (dataSet !== undefined) this.writer.writeWhole(contextId, false, dataSet);
    this.transport.uncork();
  }

  /** Like `writeMessage`, for a response to a request of the peer. */
  writeResponse(contextId: number, command: Buffer, dataSet?: Buffer): void {
    this.#responseBytes += command.length + (dataSet?.length ?? 0);
    this.writeMessage(contextId, command, dataSet);
  }

  observeMessage(type: 'message-sent' | 'message-received', command: Buffer | CommandSet): void {
    const { observer } = this.options;
    if (observer === undefined) return;
    const set = Buffer.isBuffer(command) ? decodeCommandSet(command) : command;
    const messageId =
      set.uint16(COMMAND_ELEMENT.messageId) ?? set.uint16(COMMAND_ELEMENT.messageIdBeingRespondedTo) ?? 0;
    observer({ type, commandField: set.commandField, messageId, status: set.uint16(COMMAND_ELEMENT.status) });
  }

  abort(error?: DimseError): void {
    this.upper.abort(error ?? new DimseError('association-ended', 'aborted locally', { abort: ABORTS.user }));
  }

  /** Requests a release once the responses to all queued requests have arrived. */
  async release(): Promise<void> {
    if (this.#isReleasing || this.#end !== undefined) {
      await this.ended;
      return;
    }
    this.#isReleasing = true;
    await this.#queue?.whenIdle();
    if (this.#end !== undefined) return;
    this.upper.requestRelease();
    const timer = setTimeout(
      () => this.abort(new DimseError('response-timeout', 'no response to the release request')),
      this.options.artimTimeoutMs,
    );
    await this.ended;
    clearTimeout(timer);
  }

  #established<T>(value: T | undefined): T {
    if (value === undefined) throw new DimseError('association-ended', 'the association is not established');
    return value;
  }

  #onPiece(contextId: number, control: number, piece: Buffer, isEndOfValue: boolean): void {
    this.#assembler.onPiece(contextId, control, piece, isEndOfValue);
    if (!this.#assembler.isMidMessage) this.upper.noteMessage();
    else if (this.#isAnswer) this.#answerBytes += piece.length;
  }

  #onCommand(contextId: number, command: CommandSet): DataSetSink | undefined {
    this.observeMessage('message-received', command);
    const isResponse = (command.commandField & 0x8000) !== 0;
    this.#isAnswer = isResponse || this.queue.isServedByRequests;
    const context = this.contexts.byId(contextId);
    if (context === undefined) {
      throw new DimseError(
        'protocol-error',
        `received a message on presentation context ${contextId}, which is not accepted`,
        {
          abort: ABORTS['invalid-pdu-parameter-value'],
        },
      );
    }
    if (!isResponse) return this.onRequest?.(context, command) ?? IGNORED;
    const messageId = command.require(COMMAND_ELEMENT.messageIdBeingRespondedTo);
    const operation = this.queue.outstanding(messageId);
    if (operation === undefined) {
      throw new DimseError(
        'unexpected-response',
        `received a response to message ${messageId}, which is not outstanding`,
        {
          abort: ABORTS['unexpected-pdu-parameter'],
        },
      );
    }
    checkResponse(operation, context, command);
    return operation.onResponse(command, contextId) ?? (command.hasDataSet ? IGNORED : undefined);
  }

  #onReleaseRq(): void {
    // The peer will not respond to our outstanding requests any more.
    this.upper.answerRelease();
  }

  #onUpperEnd(error: DimseError | undefined): void {
    this.#end = { error };
    this.#queue?.end(error ?? new DimseError('association-ended', 'the association has been released'));
    this.#resolveEnded(error);
    for (const callback of this.#onEnd.splice(0)) callback(error);
  }
}

/** PS3.7 annex E: a response has the command field of its request with bit 15 set, and the same presentation context. */
function checkResponse(operation: Operation, context: AcceptedContext, command: CommandSet): void {
  const { responseField, contextId } = operation;
  if (command.commandField !== responseField) {
    throw unexpectedResponse(`command field ${hex(command.commandField)} instead of ${hex(responseField)}`);
  }
  if (context.id !== contextId) {
    throw unexpectedResponse(`a response on presentation context ${context.id} to a request on context ${contextId}`);
  }
}
