import type { AssociationCore } from '../association/association-core.ts';
import type { AcceptedContext } from '../association/contexts.ts';
import { COMMAND_ELEMENT, COMMAND_FIELD, NO_DATA_SET, encodeCommandSet } from '../dimse/command-set.ts';

/** C-CANCEL of a C-FIND, C-GET or C-MOVE (PS3.7 section 9.3.2.3). It has no separate response. */
export function sendCancel(core: AssociationCore, context: AcceptedContext, messageId: number): void {
  if (core.hasEnded) return;
  core.queue.control(() =>
    core.writeMessage(
      context.id,
      encodeCommandSet([
        [COMMAND_ELEMENT.commandField, COMMAND_FIELD.cancelRq],
        [COMMAND_ELEMENT.messageIdBeingRespondedTo, messageId],
        [COMMAND_ELEMENT.commandDataSetType, NO_DATA_SET],
      ]),
    ),
  );
}
