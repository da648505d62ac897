import type { AssociationCore, RequestHandler } from '../association/association-core.ts';
import type { Association } from '../association/association.ts';
import { isUid } from '../association/contexts.ts';
import type { AcceptedContext } from '../association/contexts.ts';
import { COMMAND_ELEMENT, COMMAND_FIELD } from '../dimse/command-set.ts';
import type { CommandSet } from '../dimse/command-set.ts';
import type { DataSetSink } from '../dimse/message-assembler.ts';
import { DimseError } from '../errors/dimse-error.ts';
import { encodeFileMeta } from '../part10/encode-file-meta.ts';
import { ByteQueue } from './byte-queue.ts';
import { CollectingSink } from './collecting-sink.ts';
import { encodeInput } from './data-set-input.ts';
import { IncomingQueries } from './incoming-query.ts';
import type { QueryHandlers } from './incoming-query.ts';
import { classFields, respond } from './respond.ts';
import type { DataSetInput, EncodedDataSet } from './data-set-input.ts';

/** A C-STORE of the peer. Its data set arrives as it is read; while it is not read, the peer is held back. */
export interface IncomingInstance {
  readonly sopClassUid: string;
  /** Digits and dots, at most 64: anything else was rejected with 0117. */
  readonly sopInstanceUid: string;
  readonly transferSyntaxUid: string;
  readonly moveOriginatorAeTitle: string | undefined;
  readonly association: Association;
  /** Aborts if the association ends before the data set does. */
  readonly signal: AbortSignal;
  /** The received data set, to be read once. */
  readonly dataSet: AsyncIterable<Buffer>;
  /** The same, as a Part 10 file. */
  part10(): AsyncIterable<Buffer>;
}

/** A status, or one with a comment for the peer (at most 64 characters, never patient data). */
export type StoreAnswer = number | { readonly status: number; readonly errorComment?: string | undefined };

/** An N-ACTION or N-EVENT-REPORT of the peer. */
export interface IncomingNRequest {
  readonly sopClassUid: string;
  readonly sopInstanceUid: string;
  /** Action Type ID (0000,1008) or Event Type ID (0000,1002). */
  readonly typeId: number;
  readonly dataSet: EncodedDataSet | undefined;
  readonly association: Association;
}

export interface NAnswer {
  readonly status: number;
  readonly dataSet?: DataSetInput | undefined;
}

/** Handlers for requests of the peer. Without a handler they are rejected; a C-ECHO is always answered. */
export interface IncomingHandlers extends QueryHandlers {
  /** The response is sent when the data set has arrived completely. After an error its status is 0110, processing failure. */
  readonly store?: ((instance: IncomingInstance) => Promise<StoreAnswer> | StoreAnswer) | undefined;
  readonly echo?: ((association: Association) => Promise<number> | number) | undefined;
  readonly action?: ((request: IncomingNRequest) => Promise<NAnswer> | NAnswer) | undefined;
  readonly eventReport?: ((request: IncomingNRequest) => Promise<NAnswer> | NAnswer) | undefined;
  /** Called with errors thrown by handlers, and of the C-STOREs for `get` and `move`. The peer receives only a status. */
  readonly onHandlerError?: ((error: unknown) => void) | undefined;
}

const PROCESSING_FAILURE = 0x0110;
const SOP_CLASS_NOT_SUPPORTED = 0x0122;
const INVALID_SOP_INSTANCE = 0x0117;
const UNRECOGNIZED_OPERATION = 0x0211;
/** Data set bytes that may wait for a handler. */
const STORE_BUFFER_BYTES = 1024 * 1024;

/** Converts requests of the peer to calls of handlers, and their results to responses. */
export function incomingRequests(
  core: AssociationCore,
  association: Association,
  handlers: IncomingHandlers,
): RequestHandler {
  const queries = new IncomingQueries(core, association, handlers);
  return (context, command) => {
    if (command.commandField === COMMAND_FIELD.cancelRq) {
      // A cancel has no separate response.
      queries.cancel(command);
      return undefined;
    }
    if (!command.hasDataSet) {
      core.beginPerforming();
      return take(core, association, handlers, queries, context, command);
    }
    const sink = take(core, association, handlers, queries, context, command);
    return {
      write: (piece) => sink?.write(piece),
      end() {
        // Only now: until the request is complete we wait for the peer.
        core.beginPerforming();
        sink?.end();
      },
    };
  };
}

function take(
  core: AssociationCore,
  association: Association,
  handlers: IncomingHandlers,
  queries: IncomingQueries,
  context: AcceptedContext,
  command: CommandSet,
): DataSetSink | undefined {
  switch (command.commandField) {
    case COMMAND_FIELD.echoRq:
      return onEcho(core, association, handlers, context, command);
    case COMMAND_FIELD.storeRq:
      return onStore(core, association, handlers, context, command);
    case COMMAND_FIELD.actionRq:
      return onNRequest(core, association, handlers, context, command);
    case COMMAND_FIELD.eventReportRq:
      return onNRequest(core, association, handlers, context, command);
    default:
      return (
        queries.take(context, command) ??
        answerAfterDataSet(command, () => respond(core, context, command, UNRECOGNIZED_OPERATION, classFields(command)))
      );
  }
}

function onEcho(
  core: AssociationCore,
  association: Association,
  handlers: IncomingHandlers,
  context: AcceptedContext,
  command: CommandSet,
): DataSetSink | undefined {
  if (handlers.echo === undefined) {
    respond(core, context, command, 0, classFields(command));
    return undefined;
  }
  const { echo } = handlers;
  void answer(handlers, async () => echo(association)).then((status) =>
    respond(core, context, command, status ?? PROCESSING_FAILURE, classFields(command)),
  );
  return undefined;
}

function onStore(
  core: AssociationCore,
  association: Association,
  handlers: IncomingHandlers,
  context: AcceptedContext,
  command: CommandSet,
): DataSetSink | undefined {
  const { store } = handlers;
  if (store === undefined || !command.hasDataSet || !context.isScp) {
    return answerAfterDataSet(command, () =>
      respond(core, context, command, SOP_CLASS_NOT_SUPPORTED, classFields(command)),
    );
  }
  const sopInstanceUid = command.text(COMMAND_ELEMENT.affectedSopInstanceUid) ?? '';
  // Handlers may use the UID in file names.
  if (!isUid(sopInstanceUid)) {
    return answerAfterDataSet(command, () =>
      respond(core, context, command, INVALID_SOP_INSTANCE, classFields(command)),
    );
  }
  const queue = new ByteQueue(core.transport, STORE_BUFFER_BYTES);
  const ended = new AbortController();
  let isHere = false;
  void queue.complete.then(() => {
    isHere = true;
  });
  core.whenEnded((error) => {
    if (isHere) return;
    const cause = error ?? new DimseError('association-ended', 'the peer released the association during a data set');
    queue.fail(cause);
    ended.abort(cause);
  });
  const fields = {
    sopClassUid: context.abstractSyntax,
    sopInstanceUid,
    transferSyntaxUid: context.transferSyntax,
  };
  const instance: IncomingInstance = {
    ...fields,
    moveOriginatorAeTitle: command.text(COMMAND_ELEMENT.moveOriginatorAeTitle),
    association,
    signal: ended.signal,
    dataSet: queue,
    async *part10() {
      yield encodeFileMeta({ ...fields, sourceAeTitle: association.peer.aeTitle || undefined });
      yield* queue;
    },
  };
  void answer(handlers, async () => store(instance)).then(async (given) => {
    queue.discard();
    await queue.complete;
    const { status, errorComment } =
      given === undefined || typeof given === 'number'
        ? { status: given ?? PROCESSING_FAILURE, errorComment: undefined }
        : given;
    respond(core, context, command, status, [
      ...classFields(command),
      [COMMAND_ELEMENT.errorComment, errorComment?.slice(0, 64)],
      [COMMAND_ELEMENT.affectedSopInstanceUid, fields.sopInstanceUid],
    ]);
  });
  return queue;
}

function onNRequest(
  core: AssociationCore,
  association: Association,
  handlers: IncomingHandlers,
  context: AcceptedContext,
  command: CommandSet,
): DataSetSink | undefined {
  const isAction = command.commandField === COMMAND_FIELD.actionRq;
  const handler = isAction ? handlers.action : handlers.eventReport;
  const classElement = isAction ? COMMAND_ELEMENT.requestedSopClassUid : COMMAND_ELEMENT.affectedSopClassUid;
  const instanceElement = isAction ? COMMAND_ELEMENT.requestedSopInstanceUid : COMMAND_ELEMENT.affectedSopInstanceUid;
  const typeElement = isAction ? COMMAND_ELEMENT.actionTypeId : COMMAND_ELEMENT.eventTypeId;
  const sopClassUid = command.text(classElement) ?? context.abstractSyntax;
  const sopInstanceUid = command.text(instanceElement) ?? '';
  const typeId = command.uint16(typeElement) ?? 0;
  const reply = (status: number, dataSet?: Buffer): void =>
    respond(
      core,
      context,
      command,
      status,
      [
        [COMMAND_ELEMENT.affectedSopClassUid, sopClassUid],
        [COMMAND_ELEMENT.affectedSopInstanceUid, sopInstanceUid],
        [typeElement, typeId],
      ],
      dataSet,
    );
  if (handler === undefined) return answerAfterDataSet(command, () => reply(UNRECOGNIZED_OPERATION));
  const handle = (bytes: Buffer | undefined): void => {
    const dataSet = bytes && { transferSyntaxUid: context.transferSyntax, bytes };
    void answer(handlers, async () => handler({ sopClassUid, sopInstanceUid, typeId, dataSet, association })).then(
      (given) =>
        reply(
          given?.status ?? PROCESSING_FAILURE,
          given?.dataSet && encodeInput(given.dataSet, context.transferSyntax),
        ),
    );
  };
  if (command.hasDataSet) return new CollectingSink(core.options.maxDataSetBytes, handle);
  handle(undefined);
  return undefined;
}

/** Runs a handler; undefined if it threw an error. */
async function answer<T>(handlers: IncomingHandlers, run: () => Promise<T>): Promise<T | undefined> {
  try {
    return await run();
  } catch (error) {
    handlers.onHandlerError?.(error);
    return undefined;
  }
}

function answerAfterDataSet(command: CommandSet, send: () => void): DataSetSink | undefined {
  if (command.hasDataSet) return { write() {}, end: send };
  send();
  return undefined;
}
