import type { AssociationCore } from '../association/association-core.ts';
import type { AcceptedContext } from '../association/contexts.ts';
import { COMMAND_ELEMENT, HAS_DATA_SET, NO_DATA_SET, encodeCommandSet } from '../dimse/command-set.ts';
import type { CommandFields, CommandSet } from '../dimse/command-set.ts';

const PENDING = 0xff00;

/** Writes the response to a request of the peer, between two messages of ours. `fields` may be in any order. */
export function respond(
  core: AssociationCore,
  context: AcceptedContext,
  request: CommandSet,
  status: number,
  fields: CommandFields,
  dataSet?: Buffer,
): void {
  if (status !== PENDING) core.endPerforming();
  if (core.hasEnded) return;
  const all: CommandFields = [
    ...fields,
    [COMMAND_ELEMENT.commandField, request.commandField | 0x8000],
    [COMMAND_ELEMENT.messageIdBeingRespondedTo, request.require(COMMAND_ELEMENT.messageId)],
    [COMMAND_ELEMENT.commandDataSetType, dataSet === undefined ? NO_DATA_SET : HAS_DATA_SET],
    [COMMAND_ELEMENT.status, status],
  ];
  const sorted = [...all].sort(([a], [b]) => a - b);
  core.queue.control(() => core.writeResponse(context.id, encodeCommandSet(sorted), dataSet));
}

/** The SOP class of a request, which its responses repeat. */
export function classFields(command: CommandSet): CommandFields {
  return [[COMMAND_ELEMENT.affectedSopClassUid, command.text(COMMAND_ELEMENT.affectedSopClassUid)]];
}
