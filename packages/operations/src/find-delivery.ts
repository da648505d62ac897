import type { DeliveryRecord } from '@dicom-dispatch/state/records';
import type { PipelineContext } from '@dicom-dispatch/pipeline';
import { OperationError } from '@dicom-dispatch/pipeline';

/** @throws OperationError `not-found` */
export async function findDelivery(context: PipelineContext, deliveryId: string): Promise<DeliveryRecord> {
  const record = await context.records.delivery(deliveryId);
  if (!record) throw noDelivery(deliveryId);
  return record;
}

export function noDelivery(deliveryId: string): OperationError {
  return new OperationError(
    'not-found',
    `there is no delivery ${deliveryId}: its record may have been removed, because its study left the source long ago (records.keep)`,
  );
}
