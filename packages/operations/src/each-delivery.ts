import type { DeliveryRecord, DeliveryState } from '@dicom-dispatch/cache/records';
import type { Stage } from '@dicom-dispatch/core';
import type { OperationsContext } from './context.ts';

/** Which deliveries are meant. What is not given does not matter. */
export interface DeliverySelection {
  readonly state?: DeliveryState | undefined;
  readonly target?: string | undefined;
  /** Where the last failed attempt ended. */
  readonly stage?: Stage | undefined;
  /** Code of the last error. */
  readonly code?: string | undefined;
  readonly rule?: string | undefined;
  readonly source?: string | undefined;
  /** Changed at or after, and before (ms since 1970). */
  readonly since?: number | undefined;
  readonly until?: number | undefined;
}

/**
 * All deliveries that are meant, the latest change first. One that changes meanwhile may be missed or come late.
 *
 * @param pageSize - how many are read at once: few for who takes only the first
 */
export async function* eachDelivery(
  context: OperationsContext,
  selection: DeliverySelection,
  pageSize = 500,
): AsyncGenerator<DeliveryRecord> {
  const { state, target, since } = selection;
  let before = selection.until;
  let limit = pageSize;
  let seen = new Set<string>();
  for (;;) {
    const page = await context.records.deliveries({
      limit,
      ...(state !== undefined && { state }),
      ...(target !== undefined && { target }),
      ...(before !== undefined && { before }),
    });
    const fresh = page.filter((record) => !seen.has(record.deliveryId));
    for (const record of fresh) {
      if (since !== undefined && record.updatedAt < since) return;
      if (isMeant(record, selection)) yield record;
    }
    const last = page.at(-1);
    if (!last || page.length < limit) return;
    // Several may have changed in the same millisecond as the last one: that millisecond is asked for again.
    limit = fresh.length === 0 ? limit * 2 : pageSize;
    before = last.updatedAt + 1;
    seen = new Set(page.filter((record) => record.updatedAt === last.updatedAt).map((record) => record.deliveryId));
  }
}

function isMeant(record: DeliveryRecord, { stage, code, rule, source }: DeliverySelection): boolean {
  if (stage !== undefined && record.failStage !== stage) return false;
  if (code !== undefined && record.error?.code !== code) return false;
  if (rule !== undefined && !record.rules.includes(rule)) return false;
  return source === undefined || record.source === source;
}
