import type { AssociationCore } from '../association/association-core.ts';
import { COMMAND_ELEMENT, COMMAND_FIELD, HAS_DATA_SET, NO_DATA_SET, encodeCommandSet } from '../dimse/command-set.ts';
import { describeStatus } from '../dimse/status.ts';
import type { DimseStatus } from '../dimse/status.ts';
import { DimseError } from '../errors/dimse-error.ts';
import { encodeInput } from './data-set-input.ts';
import type { DataSetInput, EncodedDataSet } from './data-set-input.ts';
import { needContext } from './need-context.ts';
import { requestOnce } from './request.ts';

export interface ActionRequest {
  readonly sopClassUid: string;
  readonly sopInstanceUid: string;
  readonly actionTypeId: number;
  readonly dataSet?: DataSetInput | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface EventReportRequest {
  readonly sopClassUid: string;
  readonly sopInstanceUid: string;
  readonly eventTypeId: number;
  readonly dataSet?: DataSetInput | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface NResult extends DimseStatus {
  readonly dataSet: EncodedDataSet | undefined;
  readonly errorComment: string | undefined;
}

/** PS3.7 section 10.1.4. */
export function nAction(core: AssociationCore, request: ActionRequest): Promise<NResult> {
  const context = needContext(core, request.sopClassUid);
  const dataSet = request.dataSet && encodeInput(request.dataSet, context.transferSyntax);
  const encode = (messageId: number): Buffer =>
    encodeCommandSet([
      [COMMAND_ELEMENT.requestedSopClassUid, request.sopClassUid],
      [COMMAND_ELEMENT.commandField, COMMAND_FIELD.actionRq],
      [COMMAND_ELEMENT.messageId, messageId],
      [COMMAND_ELEMENT.commandDataSetType, dataSet === undefined ? NO_DATA_SET : HAS_DATA_SET],
      [COMMAND_ELEMENT.requestedSopInstanceUid, request.sopInstanceUid],
      [COMMAND_ELEMENT.actionTypeId, request.actionTypeId],
    ]);
  return requestOnce(
    core,
    { context, commandField: COMMAND_FIELD.actionRq, encode, dataSet },
    request.signal,
    (command, bytes) => ({
      ...describeStatus(command.require(COMMAND_ELEMENT.status), 'action'),
      dataSet: bytes && { transferSyntaxUid: context.transferSyntax, bytes },
      errorComment: command.text(COMMAND_ELEMENT.errorComment),
    }),
  );
}

/** PS3.7 section 10.1.1. Sent by the SCP of a class: as acceptor, or as requestor with that role selected. */
export function nEventReport(core: AssociationCore, request: EventReportRequest): Promise<NResult> {
  const context = core.contexts.accepted.find(
    (candidate) => candidate.abstractSyntax === request.sopClassUid && candidate.isScp,
  );
  if (context === undefined) {
    throw new DimseError(
      'no-presentation-context',
      `no accepted presentation context for ${request.sopClassUid} with the local SCP role`,
    );
  }
  const dataSet = request.dataSet && encodeInput(request.dataSet, context.transferSyntax);
  const encode = (messageId: number): Buffer =>
    encodeCommandSet([
      [COMMAND_ELEMENT.affectedSopClassUid, request.sopClassUid],
      [COMMAND_ELEMENT.commandField, COMMAND_FIELD.eventReportRq],
      [COMMAND_ELEMENT.messageId, messageId],
      [COMMAND_ELEMENT.commandDataSetType, dataSet === undefined ? NO_DATA_SET : HAS_DATA_SET],
      [COMMAND_ELEMENT.affectedSopInstanceUid, request.sopInstanceUid],
      [COMMAND_ELEMENT.eventTypeId, request.eventTypeId],
    ]);
  return requestOnce(
    core,
    { context, commandField: COMMAND_FIELD.eventReportRq, encode, dataSet },
    request.signal,
    (command, bytes) => ({
      ...describeStatus(command.require(COMMAND_ELEMENT.status), 'event-report'),
      dataSet: bytes && { transferSyntaxUid: context.transferSyntax, bytes },
      errorComment: command.text(COMMAND_ELEMENT.errorComment),
    }),
  );
}
