import type { DeliveryRecord, DeliverySelection, Place } from '@dicom-dispatch/state/records';
import type { PipelineContext } from '@dicom-dispatch/pipeline';

export type { DeliverySelection } from '@dicom-dispatch/state/records';

const atOnce = 500;

/** All matching deliveries, latest change first. One that changes meanwhile may be missing or appear later. */
export async function* eachDelivery(
  context: Pick<PipelineContext, 'records'>,
  selection: DeliverySelection,
): AsyncGenerator<DeliveryRecord, void, undefined> {
  let after: Place | undefined;
  do {
    const { records, next } = await context.records.deliveries({ ...selection, limit: atOnce, after });
    yield* records;
    after = next;
  } while (after);
}
