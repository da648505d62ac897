import type { AssociationCore } from '../association/association-core.ts';
import type { AcceptedContext } from '../association/contexts.ts';
import type { Operation } from '../association/operation-queue.ts';
import { COMMAND_ELEMENT } from '../dimse/command-set.ts';
import type { CommandSet } from '../dimse/command-set.ts';
import { CANCELLED, isPending } from '../dimse/status.ts';
import type { DataSetSink } from '../dimse/message-assembler.ts';
import { DimseError } from '../errors/dimse-error.ts';
import { CollectingSink } from './collecting-sink.ts';
import { hex, unexpectedResponse } from './unexpected-response.ts';

export interface RequestParts {
  readonly context: AcceptedContext;
  /** Command Field (0000,0100) of the request. */
  readonly commandField: number;
  /** Kind of a response that is not the last; default `sign-of-life`. */
  readonly notLast?: 'match' | 'sign-of-life' | undefined;
  /** Set for C-GET. */
  readonly isServedByRequests?: boolean | undefined;
  readonly encode: (messageId: number) => Buffer;
  readonly dataSet: Buffer | undefined;
  /** Called with each response and its data set; returns whether it was the last. */
  readonly onResponse: (command: CommandSet, dataSet: Buffer | undefined) => boolean;
  readonly onFail: (error: DimseError) => void;
}

/** A request that is held completely in memory, with one response or several: all except C-STORE. */
export class RequestOperation implements Operation {
  readonly isReady = true;
  /** Set if only its end is awaited, to preserve the order: further responses do not extend the timeout. */
  isGivenUp = false;
  readonly #core: AssociationCore;
  readonly #parts: RequestParts;
  #messageId = 0;
  #isSettled = false;

  constructor(core: AssociationCore, parts: RequestParts) {
    this.#core = core;
    this.#parts = parts;
  }

  get responseField(): number {
    return this.#parts.commandField | 0x8000;
  }

  get contextId(): number {
    return this.#parts.context.id;
  }

  get isServedByRequests(): boolean {
    return this.#parts.isServedByRequests === true && !this.isGivenUp;
  }

  get isSettled(): boolean {
    return this.#isSettled;
  }

  /** 0 until it has been sent. */
  get messageId(): number {
    return this.#messageId;
  }

  prepare(): void {}

  start(messageId: number): undefined {
    this.#messageId = messageId;
    this.#core.writeMessage(this.#parts.context.id, this.#parts.encode(messageId), this.#parts.dataSet);
  }

  onResponse(command: CommandSet): DataSetSink | undefined {
    if (!command.hasDataSet) {
      this.#deliver(command, undefined);
      return undefined;
    }
    return new CollectingSink(this.#core.options.maxDataSetBytes, (dataSet) => this.#deliver(command, dataSet));
  }

  #deliver(command: CommandSet, dataSet: Buffer | undefined): void {
    const isLast = this.#parts.onResponse(command, dataSet);
    if (!isLast) {
      if (!this.isGivenUp) this.#core.queue.notLast(this.#parts.notLast ?? 'sign-of-life');
      return;
    }
    this.#isSettled = true;
    this.#core.queue.finish(this.#messageId);
  }

  fail(error: DimseError): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#parts.onFail(error);
  }
}

/** Sends a request that has one response. @returns the result of `read` @throws DimseError `cancelled`, or why the association ended */
export function requestOnce<T>(
  core: AssociationCore,
  parts: Pick<RequestParts, 'context' | 'commandField' | 'encode' | 'dataSet'>,
  signal: AbortSignal | undefined,
  read: (command: CommandSet, dataSet: Buffer | undefined) => T,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => {
      // The peer still responds to a request that was sent; the response then has no effect on the rejected promise.
      reject(cancelled(signal));
      if (operation.messageId === 0) {
        operation.fail(cancelled(signal));
        core.queue.remove(operation);
      }
    };
    const operation = new RequestOperation(core, {
      ...parts,
      onResponse(command, dataSet) {
        const status = command.require(COMMAND_ELEMENT.status);
        if (isPending(status) || status === CANCELLED) {
          throw unexpectedResponse(`status ${hex(status)} to a request that has one response`);
        }
        signal?.removeEventListener('abort', onAbort);
        resolve(read(command, dataSet));
        return true;
      },
      onFail(error) {
        signal?.removeEventListener('abort', onAbort);
        reject(error);
      },
    });
    if (signal?.aborted === true) {
      reject(cancelled(signal));
      return;
    }
    signal?.addEventListener('abort', onAbort, { once: true });
    core.queue.add(operation);
  });
}

export function cancelled(signal: AbortSignal | undefined): DimseError {
  return new DimseError('cancelled', 'the operation was cancelled', { cause: signal?.reason });
}
