import { readReceipt, type StudyReceipt } from '@dicom-dispatch/operations';
import { OperationError } from '@dicom-dispatch/pipeline';
import { findRecord } from './show-study.ts';
import type { ViewContext } from './view-context.ts';

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
