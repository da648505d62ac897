import { listWorkers } from '@dicom-dispatch/operations';
import type { DeliveryRecord } from '@dicom-dispatch/state/records';
import type { ViewContext } from './view-context.ts';
import type { Worker } from './schemas.ts';
import { toDeliveries } from './to-delivery.ts';

/** The dispatchers that live, each with what it does now. */
export async function showWorkers(context: ViewContext): Promise<Worker[]> {
  const { operations } = context;
  const workers = await listWorkers(operations);
  return Promise.all(
    workers.map(async ({ active, ...worker }) => {
      const found = await Promise.all(active.map((id) => operations.records.delivery(id)));
      const records = found.filter((record): record is DeliveryRecord => record !== undefined);
      return Object.assign(worker, { active: await toDeliveries(operations, records) });
    }),
  );
}
