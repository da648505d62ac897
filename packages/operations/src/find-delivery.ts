import type { DeliveryRecord } from '@dicom-dispatch/cache/records';
import type { OperationsContext } from './context.ts';
import { OperationError } from './operation-error.ts';

/** @throws OperationError `not-found` */
export async function findDelivery(context: OperationsContext, deliveryId: string): Promise<DeliveryRecord> {
  const record = await context.records.delivery(deliveryId);
  if (!record) throw new OperationError('not-found', `there is no delivery ${deliveryId}`);
  return record;
}
