import type { AssociationCore } from '../association/association-core.ts';
import { COMMAND_ELEMENT, COMMAND_FIELD, HAS_DATA_SET, PRIORITY, encodeCommandSet } from '../dimse/command-set.ts';
import type { CommandSet, Priority } from '../dimse/command-set.ts';
import { describeStatus } from '../dimse/status.ts';
import type { DimseStatus } from '../dimse/status.ts';
import { checkAeTitle } from '../association/negotiate.ts';
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
  /** Each time the peer tells how far it is. */
  readonly onProgress?: ((progress: RetrieveProgress) => void) | undefined;
}

/** C-GET. What arrives goes to the `store` handler given to `connect`. */
export type GetRequest = RetrieveRequest;

export interface MoveRequest extends RetrieveRequest {
  /** The AE title to send to, as the peer knows it. */
  readonly destinationAeTitle: string;
}

/** Numbers of sub-operations; undefined where the peer does not tell (PS3.7 tables 9.1-3 and 9.1-4). */
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
    const operation = new RequestOperation(core, {
      context,
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
        if (status.class === 'pending') return false;
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
