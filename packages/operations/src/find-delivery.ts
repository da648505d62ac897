import type { DeliveryRecord } from '@dicom-dispatch/cache/records';
import type { OperationsContext } from './context.ts';
import { OperationError } from './operation-error.ts';

/** @throws OperationError `not-found` */
export async function findDelivery(context: OperationsContext, deliveryId: string): Promise<DeliveryRecord> {
  const record = await context.records.delivery(deliveryId);
  if (!record) throw noDelivery(deliveryId);
  return record;
}

export function noDelivery(deliveryId: string): OperationError {
  return new OperationError(
    'not-found',
    `there is no delivery ${deliveryId}: perhaps its study was forgotten, as studies are that left their source long ago (records.keep)`,
  );
}
