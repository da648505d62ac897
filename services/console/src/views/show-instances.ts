import { ledgerKeyOf } from '@dicom-dispatch/core';
import type { DeliveryRecord } from '@dicom-dispatch/state/records';
import type { PipelineContext } from '@dicom-dispatch/pipeline';
import type { z } from 'zod';
import type { ledgerPage } from './schemas.ts';

/** What the target of a delivery has confirmed or refused of its study; the quarantined come first. */
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
