import type { DeliveryRecord, DeliverySelection, Place } from '@dicom-dispatch/cache/records';
import type { OperationsContext } from './context.ts';

export type { DeliverySelection } from '@dicom-dispatch/cache/records';

const atOnce = 500;

/** All deliveries that are meant, the latest change first. One that changes meanwhile may be missed or come late. */
export async function* eachDelivery(
  context: Pick<OperationsContext, 'records'>,
  selection: DeliverySelection,
): AsyncGenerator<DeliveryRecord, void, undefined> {
  let after: Place | undefined;
  do {
    const { records, next } = await context.records.deliveries({ ...selection, limit: atOnce, after });
    yield* records;
    after = next;
  } while (after);
}
