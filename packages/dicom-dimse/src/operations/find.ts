import type { AssociationCore } from '../association/association-core.ts';
import { COMMAND_ELEMENT, COMMAND_FIELD, HAS_DATA_SET, PRIORITY, encodeCommandSet } from '../dimse/command-set.ts';
import type { Priority } from '../dimse/command-set.ts';
import { describeStatus } from '../dimse/status.ts';
import type { DimseStatus } from '../dimse/status.ts';
import { DimseError } from '../errors/dimse-error.ts';
import { ABORTS } from '../pdu/reasons.ts';
import { sendCancel } from './cancel.ts';
import { encodeInput } from './data-set-input.ts';
import type { DataSetInput, EncodedDataSet } from './data-set-input.ts';
import { needContext } from './need-context.ts';
import { RequestOperation, cancelled } from './request.ts';

export interface FindRequest {
  /** The information model, e.g. `UID.studyRootFind`. */
  readonly sopClassUid: string;
  readonly identifier: DataSetInput;
  readonly priority?: Priority | undefined;
  /** Sends a C-CANCEL; the loop then throws `cancelled` once the peer has confirmed. */
  readonly signal?: AbortSignal | undefined;
  /** If the peer sends more, the association is aborted with `limit-exceeded`. Default 1,000,000. */
  readonly maxMatches?: number | undefined;
}

export interface FindMatch extends EncodedDataSet {
  /** Pending, with or without optional keys: FF00 or FF01. */
  readonly status: DimseStatus;
}

/** Matches that may wait for the caller before reading from the peer is paused. */
const MAX_WAITING = 256;
const DEFAULT_MAX_MATCHES = 1_000_000;

/** C-FIND: PS3.7 section 9.1.2, PS3.4 annex C. The generator returns the final status. */
export async function* find(core: AssociationCore, request: FindRequest): AsyncGenerator<FindMatch, DimseStatus, void> {
  const context = needContext(core, request.sopClassUid);
  const dataSet = encodeInput(request.identifier, context.transferSyntax);
  const isCancelled = (): boolean => request.signal?.aborted === true;
  if (isCancelled()) throw cancelled(request.signal);

  const waiting: FindMatch[] = [];
  let final: DimseStatus | undefined;
  let failure: DimseError | undefined;
  let isPaused = false;
  let matches = 0;
  const maxMatches = request.maxMatches ?? DEFAULT_MAX_MATCHES;
  let isLeft = false;
  let wake: () => void = () => {};

  const operation = new RequestOperation(core, {
    context,
    commandField: COMMAND_FIELD.findRq,
    notLast: 'match',
    dataSet,
    encode: (messageId) =>
      encodeCommandSet([
        [COMMAND_ELEMENT.affectedSopClassUid, request.sopClassUid],
        [COMMAND_ELEMENT.commandField, COMMAND_FIELD.findRq],
        [COMMAND_ELEMENT.messageId, messageId],
        [COMMAND_ELEMENT.priority, PRIORITY[request.priority ?? 'medium']],
        [COMMAND_ELEMENT.commandDataSetType, HAS_DATA_SET],
      ]),
    onResponse(command, bytes) {
      const status = describeStatus(command.require(COMMAND_ELEMENT.status), 'find');
      if (status.class !== 'pending') {
        final = status;
      } else if (!isLeft) {
        matches += 1;
        if (matches > maxMatches) throw tooMany(maxMatches);
        waiting.push({ status, transferSyntaxUid: context.transferSyntax, bytes: bytes ?? Buffer.alloc(0) });
        if (waiting.length >= MAX_WAITING && !isPaused) {
          isPaused = true;
          core.transport.pause();
        }
      }
      wake();
      return final !== undefined;
    },
    onFail(error) {
      failure = error;
      wake();
    },
  });
  const resume = (): void => {
    if (isPaused) core.transport.resume();
    isPaused = false;
  };
  const leave = (): void => {
    if (isLeft || final !== undefined || failure !== undefined) return;
    isLeft = true;
    operation.isGivenUp = true;
    waiting.length = 0;
    resume();
    if (operation.messageId > 0) {
      sendCancel(core, context, operation.messageId);
    } else {
      operation.fail(cancelled(request.signal));
      core.queue.remove(operation);
    }
  };

  request.signal?.addEventListener('abort', leave, { once: true });
  core.queue.add(operation);
  try {
    for (;;) {
      for (let match = waiting.shift(); match !== undefined; match = waiting.shift()) {
        if (waiting.length < MAX_WAITING / 2) resume();
        yield match;
      }
      if (isCancelled() && (final ?? failure) !== undefined) throw cancelled(request.signal);
      if (failure !== undefined) throw failure;
      if (final !== undefined) return final;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  } finally {
    request.signal?.removeEventListener('abort', leave);
    leave();
    resume();
  }
}

function tooMany(maxMatches: number): DimseError {
  return new DimseError('limit-exceeded', `received more than ${maxMatches} matches for one C-FIND (maxMatches)`, {
    abort: ABORTS['not-specified'],
  });
}
