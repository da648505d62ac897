import type { AssociationCore } from '../association/association-core.ts';
import { COMMAND_ELEMENT, COMMAND_FIELD, HAS_DATA_SET, PRIORITY, encodeCommandSet } from '../dimse/command-set.ts';
import type { CommandSet, Priority } from '../dimse/command-set.ts';
import { describeStatus } from '../dimse/status.ts';
import type { DimseStatus } from '../dimse/status.ts';
import { checkAeTitle } from '../association/negotiate.ts';
import { DimseError } from '../errors/dimse-error.ts';
import { sendCancel } from './cancel.ts';
import { encodeInput } from './data-set-input.ts';
import type { DataSetInput, EncodedDataSet } from './data-set-input.ts';
import { needContext } from './need-context.ts';
import { RequestOperation, cancelled } from './request.ts';

interface RetrieveRequest {
  /** The information model, e.g. `UID.studyRootGet` or `UID.studyRootMove`. */
  readonly sopClassUid: string;
  readonly identifier: DataSetInput;
  readonly priority?: Priority | undefined;
  /** Sends a C-CANCEL; the promise rejects with `cancelled` once the peer has ended the operation. */
  readonly signal?: AbortSignal | undefined;
  /** Called each time the peer reports progress. */
  readonly onProgress?: ((progress: RetrieveProgress) => void) | undefined;
  /** Number of arrived instances, if this association cannot determine it (C-MOVE). */
  readonly received?: (() => number) | undefined;
  /** A retrieval with only "pending" responses for longer than this, without progress, is aborted. Default 30 minutes. */
  readonly maxStallMs?: number | undefined;
}

const DEFAULT_MAX_STALL_MS = 30 * 60_000;

/** C-GET. The instances are passed to the `store` handler given to `connect`. */
export type GetRequest = RetrieveRequest;

export interface MoveRequest extends RetrieveRequest {
  /** The AE title of the destination, as configured at the peer. */
  readonly destinationAeTitle: string;
}

/** Numbers of sub-operations; undefined if the peer does not report them (PS3.7 tables 9.1-3 and 9.1-4). */
export interface RetrieveProgress {
  readonly remaining: number | undefined;
  readonly completed: number | undefined;
  readonly failed: number | undefined;
  readonly warning: number | undefined;
}

export interface RetrieveResult extends DimseStatus, RetrieveProgress {
  /** The final response's identifier: Failed SOP Instance UID List (0008,0058). */
  readonly dataSet: EncodedDataSet | undefined;
  readonly errorComment: string | undefined;
}

/** PS3.7 section 9.1.3. */
export function getInstances(core: AssociationCore, request: GetRequest): Promise<RetrieveResult> {
  return retrieve(core, 'get', request, undefined);
}

/** PS3.7 section 9.1.4. */
export function moveInstances(core: AssociationCore, request: MoveRequest): Promise<RetrieveResult> {
  checkAeTitle(request.destinationAeTitle, 'destinationAeTitle');
  return retrieve(core, 'move', request, request.destinationAeTitle);
}

function retrieve(
  core: AssociationCore,
  service: 'get' | 'move',
  request: RetrieveRequest,
  destination: string | undefined,
): Promise<RetrieveResult> {
  const context = needContext(core, request.sopClassUid);
  const dataSet = encodeInput(request.identifier, context.transferSyntax);
  const { signal } = request;
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(cancelled(signal));
      return;
    }
    const settle = (): void => signal?.removeEventListener('abort', onAbort);
    const stall = new Stall(request.maxStallMs ?? DEFAULT_MAX_STALL_MS);
    const operation = new RequestOperation(core, {
      context,
      commandField: service === 'get' ? COMMAND_FIELD.getRq : COMMAND_FIELD.moveRq,
      isServedByRequests: service === 'get',
      dataSet,
      encode: (messageId) =>
        encodeCommandSet([
          [COMMAND_ELEMENT.affectedSopClassUid, request.sopClassUid],
          [COMMAND_ELEMENT.commandField, service === 'get' ? COMMAND_FIELD.getRq : COMMAND_FIELD.moveRq],
          [COMMAND_ELEMENT.messageId, messageId],
          [COMMAND_ELEMENT.moveDestination, destination],
          [COMMAND_ELEMENT.priority, PRIORITY[request.priority ?? 'medium']],
          [COMMAND_ELEMENT.commandDataSetType, HAS_DATA_SET],
        ]),
      onResponse(command, bytes) {
        const status = describeStatus(command.require(COMMAND_ELEMENT.status), service);
        const progress = readProgress(command);
        request.onProgress?.(progress);
        if (status.class === 'pending') {
          stall.note(progress, core.movedBytes + (request.received?.() ?? 0));
          return false;
        }
        settle();
        if (signal?.aborted === true) reject(cancelled(signal));
        else {
          resolve({
            ...status,
            ...progress,
            dataSet: bytes && { transferSyntaxUid: context.transferSyntax, bytes },
            errorComment: command.text(COMMAND_ELEMENT.errorComment),
          });
        }
        return true;
      },
      onFail(error) {
        settle();
        reject(error);
      },
    });
    const onAbort = (): void => {
      operation.isGivenUp = true;
      if (operation.messageId > 0) {
        sendCancel(core, context, operation.messageId);
        return;
      }
      operation.fail(cancelled(signal));
      core.queue.remove(operation);
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    core.queue.add(operation);
  });
}

function readProgress(command: CommandSet): RetrieveProgress {
  return {
    remaining: command.uint16(COMMAND_ELEMENT.remainingSubOperations),
    completed: command.uint16(COMMAND_ELEMENT.completedSubOperations),
    failed: command.uint16(COMMAND_ELEMENT.failedSubOperations),
    warning: command.uint16(COMMAND_ELEMENT.warningSubOperations),
  };
}

/** Whether there is progress while a peer reports "pending", which it may do as long as it reads from a slow store. */
class Stall {
  readonly #maxStallMs: number;
  #since = performance.now();
  #done = -1;
  #remaining = Number.POSITIVE_INFINITY;
  #moved = -1;

  constructor(maxStallMs: number) {
    this.#maxStallMs = maxStallMs;
  }

  /** @throws DimseError `response-timeout` */
  note({ completed = 0, failed = 0, warning = 0, remaining }: RetrieveProgress, moved: number): void {
    const done = completed + failed + warning;
    const left = remaining ?? Number.POSITIVE_INFINITY;
    if (done > this.#done || left < this.#remaining || moved > this.#moved) this.#since = performance.now();
    this.#done = Math.max(this.#done, done);
    this.#remaining = Math.min(this.#remaining, left);
    this.#moved = moved;
    if (performance.now() - this.#since <= this.#maxStallMs) return;
    throw new DimseError('response-timeout', `nothing was retrieved for ${this.#maxStallMs} ms (maxStallMs)`);
  }
}
