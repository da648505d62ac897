import { DimseError } from '../errors/dimse-error.ts';
import { pduName } from '../observer.ts';
import { decodePdu } from '../pdu/decode-pdu.ts';
import { encodePdu } from '../pdu/encode-pdu.ts';
import { PduStream } from '../pdu/pdu-stream.ts';
import { PDU_TYPE } from '../pdu/pdu.ts';
import type { AssociateAcPdu, AssociateRjPdu, AssociateRqPdu, Pdu } from '../pdu/pdu.ts';
import { ABORTS, describeAbort, describeRejection } from '../pdu/reasons.ts';
import type { AbortReason, RejectReason } from '../pdu/reasons.ts';
import { ProgressTimeout } from '../association/progress-timeout.ts';
import { aborted, rejected, unexpected } from './end-errors.ts';
import { STATE_TABLE } from './state-table.ts';
import type { Action, Event, State } from './state-table.ts';
import type { Transport } from './transport.ts';
import type { UpperLayerOptions, UpperLayerUser } from './upper-layer-user.ts';

interface Payload {
  readonly pdu?: Pdu;
  readonly error?: DimseError | undefined;
}

/** One association's Upper Layer: runs the table of `state-table.ts` over a transport. */
export class UpperLayer {
  readonly #transport: Transport;
  readonly #user: UpperLayerUser;
  readonly #options: UpperLayerOptions;
  readonly #stream: PduStream;
  #state: State = 'Sta1';
  #artim: NodeJS.Timeout | undefined;
  readonly #idle: ProgressTimeout;
  #receivedBytes = 0;
  #hasEnded = false;

  constructor(transport: Transport, user: UpperLayerUser, options: UpperLayerOptions) {
    this.#transport = transport;
    this.#user = user;
    this.#options = options;
    this.#idle = new ProgressTimeout({
      graceMs: options.idleTimeoutMs,
      minBytesPerSecond: options.minBytesPerSecond,
      moved: () => this.#receivedBytes,
      isExcused: options.isBusy,
      onExhausted: () => this.#idled(),
    });
    this.#stream = new PduStream(
      {
        onPdu: (type, body) => this.#received(type, body),
        onPDataStart: (lengthBytes) => this.#observeReceived(PDU_TYPE.pDataTf, lengthBytes),
        onPDataPiece: (contextId, control, piece, isEnd) => this.#receivedData(contextId, control, piece, isEnd),
      },
      options,
    );
  }

  get state(): State {
    return this.#state;
  }

  get isMidPdu(): boolean {
    return this.#stream.isMidPdu;
  }

  /** Whether P-DATA may be sent: Evt9 has an entry for this state. */
  get canSendData(): boolean {
    return STATE_TABLE['p-data-request'][this.#state] !== undefined;
  }

  /** Evt1 and Evt2 (the transport is connected already), or Evt5. */
  open(request?: AssociateRqPdu): void {
    if (request === undefined) {
      this.#handle('transport-indication');
    } else {
      this.#handle('associate-request');
      this.#handle('transport-connected', { pdu: request });
    }
    this.#transport.start({
      onChunk: (chunk) => this.#chunk(chunk),
      onClosed: (error) => this.#handle('transport-closed', { error }),
    });
  }

  /** A message has arrived completely: the peer is not idle. */
  noteMessage(): void {
    if (!this.#hasEnded) this.#idle.start();
  }

  accept(pdu: AssociateAcPdu): void {
    this.#handle('associate-accept', { pdu });
  }

  reject(reason: RejectReason): void {
    const pdu: AssociateRjPdu = {
      type: 'associate-rj',
      result: reason.resultCode,
      source: reason.sourceCode,
      reason: reason.reasonCode,
    };
    this.#handle('associate-reject', { pdu });
  }

  requestRelease(): void {
    this.#handle('release-request');
  }

  answerRelease(): void {
    this.#handle('release-response');
  }

  /** Ends the association; `error` is passed to `onEnd`. After an early byte the socket is closed instead. */
  abort(error: DimseError): void {
    if (this.#hasEnded) return;
    if (this.#transport.isCommitted) {
      this.#end(error);
      this.#close();
      return;
    }
    if (error.abort !== undefined && error.abort.sourceCode !== 0 && STATE_TABLE['abort-request'][this.#state]) {
      this.#handle('invalid-pdu-received', { error });
      return;
    }
    this.#handle('abort-request', { error });
  }

  #chunk(chunk: Buffer): void {
    try {
      this.#receivedBytes += chunk.length;
      this.#stream.push(chunk);
      if (!this.#hasEnded) this.#user.onProgress();
    } catch (thrown) {
      this.#failed(thrown);
    }
  }

  #failed(thrown: unknown): void {
    const error =
      thrown instanceof DimseError
        ? thrown
        : new DimseError('handler-failed', 'a handler of this association threw an error', { cause: thrown });
    if (this.#transport.isCommitted) this.abort(error);
    else this.#handle('invalid-pdu-received', { error });
  }

  #received(type: number, body: Buffer): void {
    this.#observeReceived(type, body.length);
    const pdu = decodePdu(type, body);
    switch (pdu.type) {
      case 'associate-rq':
        return this.#handle('associate-rq-received', { pdu });
      case 'associate-ac':
        return this.#handle('associate-ac-received', { pdu });
      case 'associate-rj':
        return this.#handle('associate-rj-received', { pdu });
      case 'release-rq':
        return this.#handle('release-rq-received');
      case 'release-rp':
        return this.#handle('release-rp-received');
      case 'abort':
        return this.#handle('abort-received', { pdu });
      default:
        return this.#handle('invalid-pdu-received');
    }
  }

  #receivedData(contextId: number, control: number, piece: Buffer, isEnd: boolean): void {
    const transition = STATE_TABLE['p-data-received'][this.#state];
    if (transition?.action === 'DT-2' || transition?.action === 'AR-6') {
      this.#user.onPDataPiece(contextId, control, piece, isEnd);
      return;
    }
    this.#handle('p-data-received');
  }

  #handle(event: Event, payload: Payload = {}): void {
    const transition = STATE_TABLE[event][this.#state];
    if (transition === undefined) return;
    const from = this.#state;
    const [next, other] = transition.next;
    this.#state = (
      event === 'release-rq-received' && other !== undefined && !this.#isRequestor ? other : next
    ) as State;
    this.#options.observer?.({ type: 'state', event, from, to: this.#state });
    this.#act(transition.action, event, payload);
  }

  get #isRequestor(): boolean {
    return this.#options.role === 'requestor';
  }

  #act(action: Action, event: Event, { pdu, error }: Payload): void {
    switch (action) {
      case 'AE-1': // The transport is connected already.
      case 'DT-1':
      case 'DT-2':
      case 'AR-6':
      case 'AR-7': // P-DATA does not pass through here, see `#receivedData` and `canSendData`.
      case 'AA-6':
        return;
      case 'AE-2':
        return this.#send(pdu);
      case 'AE-3':
        this.#idle.start();
        return this.#user.onAssociateAc(pdu as AssociateAcPdu);
      case 'AE-4': {
        const { result, source, reason } = pdu as AssociateRjPdu;
        this.#end(rejected(describeRejection(result, source, reason), this.#transport.peer));
        return this.#close();
      }
      case 'AE-5':
        return this.#startArtim();
      case 'AE-6':
        this.#stopArtim();
        return this.#user.onAssociateRq(pdu as AssociateRqPdu);
      case 'AE-7':
        this.#idle.start();
        return this.#send(pdu);
      case 'AE-8': {
        this.#send(pdu);
        const { result, source, reason } = pdu as AssociateRjPdu;
        this.#end(rejected(describeRejection(result, source, reason), 'this end'));
        return this.#awaitClose();
      }
      case 'AR-1':
        return this.#send({ type: 'release-rq' });
      case 'AR-2':
        return this.#user.onReleaseRq();
      case 'AR-3':
        this.#end(undefined);
        return this.#close();
      case 'AR-4':
        this.#send({ type: 'release-rp' });
        this.#end(undefined);
        return this.#awaitClose();
      case 'AR-5':
        this.#stopArtim();
        return this.#transport.destroy();
      case 'AR-8':
        return this.#user.onReleaseRq();
      case 'AR-9':
        return this.#send({ type: 'release-rp' });
      case 'AR-10':
        // The peer has confirmed; our own response, which is still due, ends the collision.
        return this.#handle('release-response');
      case 'AA-1':
        this.#sendAbort(ABORTS.user);
        this.#end(error ?? unexpected(event));
        return this.#awaitClose();
      case 'AA-2':
        this.#end(
          error ??
            new DimseError(
              'connection-closed',
              `${this.#transport.peer}: connection closed before an association was established`,
            ),
        );
        return this.#close();
      case 'AA-3': {
        const { source, reason } = pdu as { source: number; reason: number };
        this.#end(aborted(describeAbort(source, reason), this.#transport.peer));
        return this.#close();
      }
      case 'AA-4':
      case 'AA-5':
        this.#end(error ?? new DimseError('connection-closed', `${this.#transport.peer} closed the connection`));
        return this.#close();
      case 'AA-7':
        return this.#transport.destroy();
      case 'AA-8': {
        const cause = error ?? unexpected(event);
        this.#sendAbort(cause.abort ?? ABORTS['not-specified']);
        this.#end(cause);
        return this.#awaitClose();
      }
      default:
        action satisfies never;
    }
  }

  #send(pdu: Pdu | undefined): void {
    if (pdu === undefined) return;
    // After an early byte only P-DATA could follow: the close of the socket signals the end.
    if (this.#transport.isCommitted) return this.#transport.destroy();
    const bytes = encodePdu(pdu);
    this.#options.observer?.({
      type: 'pdu-sent',
      pdu: pduName(bytes.readUInt8(0)),
      lengthBytes: bytes.length - 6,
    });
    this.#transport.write(bytes);
  }

  #sendAbort(reason: AbortReason): void {
    this.#send({ type: 'abort', source: reason.sourceCode, reason: reason.reasonCode });
  }

  #observeReceived(type: number, lengthBytes: number): void {
    this.#options.observer?.({ type: 'pdu-received', pdu: pduName(type), lengthBytes });
  }

  #end(error: DimseError | undefined): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#idle.stop();
    this.#user.onEnd(error);
  }

  /** Sta13: the peer should close. Further data are read and dropped, because a reset could overtake our last PDU. */
  #awaitClose(): void {
    this.#stream.stop();
    if (this.#transport.isClosed) return;
    this.#transport.end();
    this.#startArtim();
    this.#artim?.unref();
    this.#transport.socket.unref();
  }

  #close(): void {
    this.#stopArtim();
    this.#stream.stop();
    this.#state = 'Sta1';
    if (this.#transport.isClosed) return this.#transport.destroy();
    // The end notifies a TLS peer; pending bytes are not waited for.
    this.#transport.end();
    this.#transport.destroy();
  }

  #startArtim(): void {
    clearTimeout(this.#artim);
    this.#artim = setTimeout(() => this.#handle('artim-expired'), this.#options.artimTimeoutMs);
  }

  #stopArtim(): void {
    clearTimeout(this.#artim);
  }

  #idled(): void {
    const { idleTimeoutMs, minBytesPerSecond } = this.#options;
    const trickle = minBytesPerSecond > 0 ? `, or less than ${minBytesPerSecond} bytes a second` : '';
    this.abort(
      new DimseError('idle-timeout', `${this.#transport.peer}: no message received for ${idleTimeoutMs} ms${trickle}`),
    );
  }
}
