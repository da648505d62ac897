import type { AssociationCore } from '../association/association-core.ts';
import { COMMAND_ELEMENT, COMMAND_FIELD, NO_DATA_SET, encodeCommandSet } from '../dimse/command-set.ts';
import { describeStatus } from '../dimse/status.ts';
import type { DimseStatus } from '../dimse/status.ts';
import { UID } from '../uids.ts';
import { needContext } from './need-context.ts';
import { requestOnce } from './request.ts';

/** C-ECHO: PS3.7 section 9.1.5, PS3.4 annex A. */
export function echo(core: AssociationCore, signal: AbortSignal | undefined): Promise<DimseStatus> {
  const context = needContext(core, UID.verification);
  const encode = (messageId: number): Buffer =>
    encodeCommandSet([
      [COMMAND_ELEMENT.affectedSopClassUid, UID.verification],
      [COMMAND_ELEMENT.commandField, COMMAND_FIELD.echoRq],
      [COMMAND_ELEMENT.messageId, messageId],
      [COMMAND_ELEMENT.commandDataSetType, NO_DATA_SET],
    ]);
  return requestOnce(
    core,
    { context, commandField: COMMAND_FIELD.echoRq, encode, dataSet: undefined },
    signal,
    (command) => describeStatus(command.require(COMMAND_ELEMENT.status), 'echo'),
  );
}
