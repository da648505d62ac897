import { DimseError } from '../errors/dimse-error.ts';
import { invalidPdu } from '../pdu/byte-reader.ts';
import { ABORTS } from '../pdu/reasons.ts';
import { decodeCommandSet } from './command-set.ts';
import type { CommandSet } from './command-set.ts';

/** Receives the data set of a message as it arrives. */
export interface DataSetSink {
  write(piece: Buffer): void;
  end(): void;
}

export interface MessageUser {
  /** The command set of a message is complete. If a data set follows, the result receives it. */
  onCommand(contextId: number, command: CommandSet): DataSetSink | undefined;
}

/** Longer command sets are rejected. Real ones have a few hundred bytes; the longest contain a list of attribute tags. */
export const MAX_COMMAND_BYTES = 64 * 1024;

const COMMAND_BIT = 1;
const LAST_BIT = 2;

/** Puts messages together from presentation data values: PS3.7 section 6.3.1, PS3.8 annex E. */
export class MessageAssembler {
  readonly #user: MessageUser;
  #contextId = 0;
  #phase: 'none' | 'command' | 'data-set' = 'none';
  #command: Buffer[] = [];
  #commandBytes = 0;
  #sink: DataSetSink | undefined;

  constructor(user: MessageUser) {
    this.#user = user;
  }

  get isMidMessage(): boolean {
    return this.#phase !== 'none';
  }

  onPiece(contextId: number, control: number, piece: Buffer, isEndOfValue: boolean): void {
    if (this.#phase !== 'none' && contextId !== this.#contextId) {
      throw invalidPdu(`a fragment for context ${contextId} inside a message on context ${this.#contextId}`);
    }
    const isLast = (control & LAST_BIT) !== 0 && isEndOfValue;
    if ((control & COMMAND_BIT) !== 0) this.#commandPiece(contextId, piece, isLast);
    else this.#dataSetPiece(piece, isLast);
  }

  #commandPiece(contextId: number, piece: Buffer, isLast: boolean): void {
    if (this.#phase === 'data-set') throw outOfOrder('a command fragment inside a data set');
    this.#phase = 'command';
    this.#contextId = contextId;
    this.#commandBytes += piece.length;
    if (this.#commandBytes > MAX_COMMAND_BYTES) {
      throw new DimseError('limit-exceeded', `received a command set of more than ${MAX_COMMAND_BYTES} bytes`, {
        abort: ABORTS['invalid-pdu-parameter-value'],
      });
    }
    if (piece.length > 0) this.#command.push(piece);
    if (!isLast) {
      if (this.#command.length > 64) this.#command = [Buffer.concat(this.#command)];
      return;
    }
    const [only] = this.#command;
    const bytes = this.#command.length === 1 && only !== undefined ? only : Buffer.concat(this.#command);
    this.#command = [];
    this.#commandBytes = 0;
    const command = decodeCommandSet(bytes);
    this.#phase = command.hasDataSet ? 'data-set' : 'none';
    this.#sink = this.#user.onCommand(contextId, command);
  }

  #dataSetPiece(piece: Buffer, isLast: boolean): void {
    if (this.#phase !== 'data-set') throw outOfOrder('a data set fragment without a command');
    if (piece.length > 0) this.#sink?.write(piece);
    if (!isLast) return;
    const sink = this.#sink;
    this.#phase = 'none';
    this.#sink = undefined;
    sink?.end();
  }
}

function outOfOrder(what: string): DimseError {
  return new DimseError('protocol-error', `the peer sent ${what}`, { abort: ABORTS['unexpected-pdu-parameter'] });
}
