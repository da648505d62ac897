import { placeOf, placeText, type DeliverySelection } from '@dicom-dispatch/state/records';
import type { ViewContext } from './view-context.ts';
import type { DeliveryList } from './schemas.ts';
import { toExplained } from './to-delivery.ts';

/** Deliveries that are meant, the latest change first. */
export async function listDeliveries(
  context: ViewContext,
  query: DeliverySelection & {
    readonly cursor?: string | undefined;
    readonly limit: number;
    /** After this long what was found so far is given. Default: no end. */
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
