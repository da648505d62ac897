import { ledgerKeyOf } from '@dicom-dispatch/core';
import { readReceipt, type StudyReceipt } from '@dicom-dispatch/operations';
import { OperationError, type PipelineContext } from '@dicom-dispatch/pipeline';
import type { DeliveryRecord } from '@dicom-dispatch/state/records';
import type { z } from 'zod';
import type { ledgerPage } from './schemas.ts';
import { findRecord } from './show-study.ts';
import type { ViewContext } from './view-context.ts';

/** Instances of a study that the target of a delivery has confirmed or rejected; quarantined ones first. */
export async function showInstances(
  operations: PipelineContext,
  record: DeliveryRecord,
  options: { readonly state?: 'delivered' | 'quarantined' | undefined; readonly limit: number },
): Promise<z.infer<typeof ledgerPage>> {
  const entries = [...(await operations.ledger.entries(ledgerKeyOf(record)))];
  const wanted = entries
    .filter(([, entry]) => options.state === undefined || entry.state === options.state)
    .sort(([, one], [, other]) => other.state.localeCompare(one.state) || one.at - other.at);
  return {
    delivered: entries.filter(([, entry]) => entry.state === 'delivered').length,
    quarantined: entries.filter(([, entry]) => entry.state === 'quarantined').length,
    instances: wanted.slice(0, options.limit).map(([sopInstanceUid, entry]) => {
      const note = entry.state === 'quarantined' ? entry.error : entry.warning;
      const { state, at, attempt, delivery } = entry;
      const shown = { sopInstanceUid, state, at, attempt, delivery };
      return note ? Object.assign(shown, { code: note.code, message: note.message }) : shown;
    }),
  };
}

/** @throws OperationError `not-found`, `conflict` for a UID of several studies */
export async function showReceipt(
  context: ViewContext,
  { source, study: id }: { readonly source: string; readonly study: string },
  target?: string,
): Promise<StudyReceipt> {
  const study = await findRecord(context, source, id);
  if (!study) throw new OperationError('not-found', `there is no study ${id} from ${source}, or it was never routed`);
  return readReceipt(context.operations, study, target);
}
