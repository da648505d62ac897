import { eachDelivery, type DeliverySelection } from '@dicom-dispatch/operations';
import type { DeliveryRecord } from '@dicom-dispatch/cache/records';
import type { ViewContext } from './view-context.ts';
import type { DeliveryList } from './schemas.ts';
import { toDeliveries } from './to-delivery.ts';

const mostLooked = 20_000;

/** Deliveries that are meant, the latest change first. The cursor is the time of the last one. */
export async function listDeliveries(
  context: ViewContext,
  selection: DeliverySelection & { readonly cursor?: string | undefined; readonly limit: number },
): Promise<DeliveryList> {
  const { cursor, limit, ...filter } = selection;
  const found: DeliveryRecord[] = [];
  let next: string | undefined;
  let looked = 0;
  const until = cursor === undefined ? filter.until : Number(cursor);
  const isSifted =
    filter.rule !== undefined || filter.stage !== undefined || filter.code !== undefined || filter.source !== undefined;
  for await (const record of eachDelivery(context.operations, { ...filter, until }, isSifted ? 500 : limit + 1)) {
    looked += 1;
    // One more than the page holds, so that "next" is there only when something follows.
    if (found.length === limit || looked > mostLooked) {
      next = String((found.at(-1) ?? record).updatedAt);
      break;
    }
    found.push(record);
  }
  return { deliveries: await toDeliveries(context.operations, found), ...(next !== undefined && { next }) };
}
