import type { AssociationCore } from '../association/association-core.ts';
import type { Association } from '../association/association.ts';
import type { AcceptedContext } from '../association/contexts.ts';
import { COMMAND_ELEMENT, COMMAND_FIELD } from '../dimse/command-set.ts';
import type { CommandFields, CommandSet } from '../dimse/command-set.ts';
import type { DataSetSink } from '../dimse/message-assembler.ts';
import type { ByteSource } from '../part10/byte-source.ts';
import { CollectingSink } from './collecting-sink.ts';
import { encodeInput } from './data-set-input.ts';
import type { DataSetInput, EncodedDataSet } from './data-set-input.ts';
import { classFields, respond } from './respond.ts';
import type { StoreResult } from './store-options.ts';
import { encodeFailedList } from './uid-list.ts';

/** A C-FIND, C-GET or C-MOVE of the peer. */
export interface IncomingQuery {
  readonly sopClassUid: string;
  readonly identifier: EncodedDataSet;
  /** Aborts when the peer cancels, or the association ends. */
  readonly signal: AbortSignal;
  readonly association: Association;
}

export interface IncomingMove extends IncomingQuery {
  readonly destinationAeTitle: string;
}

/** The matches. The final status is 0000, FE00 after a cancel of the peer, or C000 if the iteration throws an error. */
export type FindAnswer = Iterable<DataSetInput> | AsyncIterable<DataSetInput>;

/** Part 10 files to send. */
export interface GetAnswer {
  readonly count: number;
  readonly instances: Iterable<ByteSource> | AsyncIterable<ByteSource>;
}

/**
 * As `GetAnswer`, with the association to send the files over, which is released at the end. For an unknown destination the
 * handler returns undefined: the status is then A801.
 */
export interface MoveAnswer extends GetAnswer {
  readonly destination: Association;
}

export interface QueryHandlers {
  readonly find?: ((query: IncomingQuery) => FindAnswer) | undefined;
  readonly get?: ((query: IncomingQuery) => Promise<GetAnswer> | GetAnswer) | undefined;
  readonly move?: ((query: IncomingMove) => Promise<MoveAnswer | undefined> | MoveAnswer | undefined) | undefined;
  readonly onHandlerError?: ((error: unknown) => void) | undefined;
}

const PENDING = 0xff00;
const CANCELLED = 0xfe00;
const UNABLE_TO_PROCESS = 0xc000;
const DESTINATION_UNKNOWN = 0xa801;
const SOME_FAILED = 0xb000;
const ALL_FAILED = 0xa702;

/** Performs the queries of a peer on one association; each can be cancelled by its message id. */
export class IncomingQueries {
  readonly #core: AssociationCore;
  readonly #association: Association;
  readonly #handlers: QueryHandlers;
  readonly #running = new Map<number, AbortController>();

  constructor(core: AssociationCore, association: Association, handlers: QueryHandlers) {
    this.#core = core;
    this.#association = association;
    this.#handlers = handlers;
    core.whenEnded((error) => {
      for (const running of this.#running.values()) running.abort(error);
    });
  }

  /** C-CANCEL-RQ. */
  cancel(command: CommandSet): void {
    this.#running.get(command.require(COMMAND_ELEMENT.messageIdBeingRespondedTo))?.abort();
  }

  /** Handles a request; undefined if there is no handler for it. */
  take(context: AcceptedContext, command: CommandSet): DataSetSink | undefined {
    const { find, get, move } = this.#handlers;
    const { commandField } = command;
    const perform =
      commandField === COMMAND_FIELD.findRq && find !== undefined
        ? (query: IncomingQuery) => this.#find(find, context, command, query)
        : commandField === COMMAND_FIELD.getRq && get !== undefined
          ? (query: IncomingQuery) => this.#get(get, context, command, query)
          : commandField === COMMAND_FIELD.moveRq && move !== undefined
            ? (query: IncomingQuery) => this.#move(move, context, command, query)
            : undefined;
    if (perform === undefined || !command.hasDataSet) return undefined;
    return new CollectingSink(this.#core.options.maxDataSetBytes, (bytes) => {
      void this.#run(context, command, bytes, perform);
    });
  }

  async #run(
    context: AcceptedContext,
    command: CommandSet,
    bytes: Buffer,
    perform: (query: IncomingQuery) => Promise<Final>,
  ): Promise<void> {
    const messageId = command.require(COMMAND_ELEMENT.messageId);
    const running = new AbortController();
    this.#running.set(messageId, running);
    let final: Final;
    try {
      final = await perform({
        sopClassUid: command.text(COMMAND_ELEMENT.affectedSopClassUid) ?? context.abstractSyntax,
        identifier: { transferSyntaxUid: context.transferSyntax, bytes },
        signal: running.signal,
        association: this.#association,
      });
    } catch (error) {
      this.#handlers.onHandlerError?.(error);
      final = { status: UNABLE_TO_PROCESS, fields: [], dataSet: undefined };
    }
    this.#running.delete(messageId);
    respond(this.#core, context, command, final.status, [...classFields(command), ...final.fields], final.dataSet);
  }

  async #find(
    find: NonNullable<QueryHandlers['find']>,
    context: AcceptedContext,
    command: CommandSet,
    query: IncomingQuery,
  ): Promise<Final> {
    const { transport } = this.#core;
    for await (const match of find(query)) {
      if (query.signal.aborted) return { status: CANCELLED, fields: [], dataSet: undefined };
      const bytes = encodeInput(match, context.transferSyntax);
      respond(this.#core, context, command, PENDING, classFields(command), bytes);
      if (transport.needsDrain) await transport.whenDrained();
    }
    return { status: query.signal.aborted ? CANCELLED : 0, fields: [], dataSet: undefined };
  }

  async #get(
    get: NonNullable<QueryHandlers['get']>,
    context: AcceptedContext,
    command: CommandSet,
    query: IncomingQuery,
  ): Promise<Final> {
    const answer = await get(query);
    return this.#send(answer, context, command, query, (source) => this.#association.store(source));
  }

  async #move(
    move: NonNullable<QueryHandlers['move']>,
    context: AcceptedContext,
    command: CommandSet,
    query: IncomingQuery,
  ): Promise<Final> {
    const destinationAeTitle = command.text(COMMAND_ELEMENT.moveDestination) ?? '';
    const answer = await move({ ...query, destinationAeTitle });
    if (answer === undefined) return { status: DESTINATION_UNKNOWN, fields: [], dataSet: undefined };
    const moveOriginator = {
      aeTitle: this.#association.peer.aeTitle,
      messageId: command.require(COMMAND_ELEMENT.messageId),
    };
    try {
      return await this.#send(answer, context, command, query, (source) =>
        answer.destination.store(source, { moveOriginator }),
      );
    } finally {
      await answer.destination.release();
    }
  }

  /** The sub-operations of PS3.7 sections 9.1.3 and 9.1.4, one after the other, with a response after each. */
  async #send(
    answer: GetAnswer,
    context: AcceptedContext,
    command: CommandSet,
    query: IncomingQuery,
    store: (source: ByteSource) => Promise<StoreResult>,
  ): Promise<Final> {
    const counts = { completed: 0, failed: 0, warning: 0 };
    const failedUids: string[] = [];
    const fields = (): CommandFields => [
      [
        COMMAND_ELEMENT.remainingSubOperations,
        Math.max(0, answer.count - counts.completed - counts.failed - counts.warning),
      ],
      [COMMAND_ELEMENT.completedSubOperations, counts.completed],
      [COMMAND_ELEMENT.failedSubOperations, counts.failed],
      [COMMAND_ELEMENT.warningSubOperations, counts.warning],
    ];
    for await (const source of answer.instances) {
      if (query.signal.aborted) break;
      const result = await store(source).catch((error: unknown) => {
        this.#handlers.onHandlerError?.(error);
        return undefined;
      });
      if (result?.class === 'success') counts.completed += 1;
      else if (result?.class === 'warning') counts.warning += 1;
      else counts.failed += 1;
      if (result?.class === 'failure') failedUids.push(result.affectedSopInstanceUid);
      respond(this.#core, context, command, PENDING, [...classFields(command), ...fields()]);
    }
    const dataSet = encodeFailedList(failedUids, context.transferSyntax);
    if (query.signal.aborted) return { status: CANCELLED, fields: fields(), dataSet };
    // A final response has the number of remaining sub-operations only after a cancel.
    const [, ...done] = fields();
    const isClean = counts.failed + counts.warning === 0;
    const status = isClean ? 0 : counts.completed + counts.warning === 0 ? ALL_FAILED : SOME_FAILED;
    return { status, fields: done, dataSet };
  }
}

interface Final {
  readonly status: number;
  readonly fields: CommandFields;
  readonly dataSet: Buffer | undefined;
}
