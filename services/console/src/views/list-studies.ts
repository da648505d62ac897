import {
  isDamaged,
  isMeant,
  placeOf,
  placeText,
  type DeliveryRecord,
  type Found,
  type Place,
  type SelectableState,
  type StudyRecord,
} from '@dicom-dispatch/state/records';
import { heldAmong } from '@dicom-dispatch/operations';
import { studyOf } from '@dicom-dispatch/pipeline';
import type { ViewContext } from './view-context.ts';
import { searchStudies } from './search-studies.ts';
import type { StudyList } from './schemas.ts';
import { summarize, type LabelWait } from './summarize-studies.ts';

export interface StudyQuery {
  readonly search?: string | undefined;
  readonly state?: SelectableState | undefined;
  readonly target?: string | undefined;
  readonly rule?: string | undefined;
  readonly source?: string | undefined;
  /** Routed at or after, and before (ms since 1970). */
  readonly since?: number | undefined;
  readonly until?: number | undefined;
  readonly cursor?: string | undefined;
  readonly limit: number;
  /** After this time the results so far are returned. Default: no limit. */
  readonly budgetMs?: number;
  /** Default: as long as a page waits. */
  readonly labelWait?: LabelWait;
}

/** How long a page searches before it shows the results so far. */
export const pageBudgetMs = 300;

/** Studies with the latest delivery to each target; without a search or a filter by state or target, by the time of routing. */
export async function listStudies(context: ViewContext, query: StudyQuery): Promise<StudyList> {
  const total = await context.operations.records.studyCount();
  const search = query.search?.trim() ?? '';
  if (search !== '') return { total, ...(await searchStudies(context, search, query)) };
  const { records, next, searchedTo } =
    query.state !== undefined || query.target !== undefined
      ? await studiesByDelivery(context, query)
      : await context.operations.records.studies({ ...query, after: cursorOf(query) });
  return {
    total,
    silentSources: [],
    notSearched: [],
    studies: await summarize(context, records, undefined, query.labelWait),
    ...(next && { next: placeText(next) }),
    ...(searchedTo !== undefined && { searchedTo }),
  };
}

function cursorOf({ cursor }: StudyQuery): Place | undefined {
  return cursor === undefined ? undefined : placeOf(cursor);
}

/** For filters by state or target: each study is at the position of its latest matching delivery, latest change first. */
async function studiesByDelivery(context: ViewContext, query: StudyQuery): Promise<Found<StudyRecord>> {
  const { records } = context.operations;
  const { state, target, rule, source, since, until, limit, budgetMs } = query;
  const selection = { state, target, rule, source };
  return records.pickDeliveries(
    // A study that was routed since then has changed since then.
    { ...selection, since, limit, budgetMs, after: cursorOf(query) },
    (deliveries) =>
      Promise.all(
        deliveries.map(async (delivery) => {
          if (!delivery) return undefined;
          const others = await records.deliveriesOf(delivery);
          const before = others.filter((other) => isMeant(other, selection) && isBefore(other, delivery));
          if (await isAnyMeant(context, before, state)) return undefined;
          const study = await studyWith(context, delivery, others);
          return study && isRoutedBetween(study, since, until) ? study : undefined;
        }),
      ),
  );
}

/**
 * The study of a delivery. If its record is damaged, what its deliveries show of it: an operator must find a failed delivery in
 * any case.
 */
async function studyWith(
  { operations }: ViewContext,
  delivery: DeliveryRecord,
  all: readonly DeliveryRecord[],
): Promise<StudyRecord | undefined> {
  try {
    return await operations.records.study(delivery);
  } catch (error) {
    if (!isDamaged(error)) throw error;
    return studyOf(delivery, [...new Set(all.map(({ target }) => target))]);
  }
}

/** Whether one of these deliveries is in the list; for the state `held`, it must be held. */
async function isAnyMeant(
  { operations }: ViewContext,
  deliveries: readonly DeliveryRecord[],
  state: SelectableState | undefined,
): Promise<boolean> {
  if (state !== 'held') return deliveries.length > 0;
  const ids = deliveries.map(({ deliveryId }) => deliveryId);
  return (await heldAmong(operations, ids)).size > 0;
}

/** Whether a delivery precedes another one in the list. */
function isBefore(one: DeliveryRecord, other: DeliveryRecord): boolean {
  if (one.updatedAt !== other.updatedAt) return one.updatedAt > other.updatedAt;
  return one.deliveryId > other.deliveryId;
}

function isRoutedBetween({ routedAt }: StudyRecord, since = 0, until = Number.POSITIVE_INFINITY): boolean {
  return routedAt >= since && routedAt < until;
}
