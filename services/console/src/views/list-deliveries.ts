import { askOnce, type AskOnce, explainWaiting, heldAmong } from '@dicom-dispatch/operations';
import type { PipelineContext } from '@dicom-dispatch/pipeline';
import { type DeliveryRecord, type DeliverySelection, placeOf, placeText } from '@dicom-dispatch/state/records';
import type { Delivery, DeliveryDetail, DeliveryList } from './schemas.ts';
import type { ViewContext } from './view-context.ts';

export async function toDeliveries(
  operations: PipelineContext,
  records: readonly DeliveryRecord[],
): Promise<Delivery[]> {
  const held = await heldAmong(
    operations,
    records.filter(({ state }) => state === 'waiting').map(({ deliveryId }) => deliveryId),
  );
  return records.map((record) => toDelivery(record, held.has(record.deliveryId)));
}

/** Deliveries for lists; waiting ones with the reason. */
export async function toExplained(
  operations: PipelineContext,
  records: readonly DeliveryRecord[],
  once: AskOnce = askOnce(),
): Promise<Delivery[]> {
  const deliveries = await toDeliveries(operations, records);
  return Promise.all(
    records.map(async (record, index) => {
      const delivery = deliveries[index] ?? toDelivery(record, false);
      if (record.state !== 'waiting') return delivery;
      return { ...delivery, why: (await explainWaiting(operations, record, once)).text };
    }),
  );
}

export async function toDeliveryDetail(operations: PipelineContext, record: DeliveryRecord): Promise<DeliveryDetail> {
  const [[delivery], explanation, events] = await Promise.all([
    toDeliveries(operations, [record]),
    explainWaiting(operations, record),
    operations.records.events(record.deliveryId),
  ]);
  return { ...(delivery ?? toDelivery(record, false)), explanation, events };
}

function toDelivery(record: DeliveryRecord, held: boolean): Delivery {
  const { contentHash: _, studyTaskId: __, epoch: ___, instanceCount: ____, ...rest } = record;
  return { ...rest, rules: [...record.rules], modalities: [...record.modalities], held };
}

/** Matching deliveries, latest change first. */
export async function listDeliveries(
  context: ViewContext,
  query: DeliverySelection & {
    readonly cursor?: string | undefined;
    readonly limit: number;
    /** After this time the results so far are returned. Default: no limit. */
    readonly budgetMs?: number;
  },
): Promise<DeliveryList> {
  const { cursor, ...selection } = query;
  const after = cursor === undefined ? undefined : placeOf(cursor);
  const { records, next, searchedTo } = await context.operations.records.deliveries({ ...selection, after });
  return {
    deliveries: await toExplained(context.operations, records),
    ...(next && { next: placeText(next) }),
    ...(searchedTo !== undefined && { searchedTo }),
  };
}
