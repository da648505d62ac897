import {
  isMeant,
  placeOf,
  placeText,
  type DeliveryRecord,
  type DeliveryState,
  type Found,
  type Place,
  type StudyKey,
  type StudyRecord,
} from '@dicom-dispatch/state/records';
import { isUid } from '@dicom-dispatch/core';
import type { ViewContext } from './view-context.ts';
import type { StudyLabel } from '../source/source-lookup.ts';
import type { StudyList, StudySummary } from './schemas.ts';
import { toDeliveries } from './to-delivery.ts';

export interface StudyQuery {
  readonly search?: string | undefined;
  readonly state?: DeliveryState | undefined;
  readonly target?: string | undefined;
  readonly rule?: string | undefined;
  readonly source?: string | undefined;
  /** Routed at or after, and before (ms since 1970). */
  readonly since?: number | undefined;
  readonly until?: number | undefined;
  readonly cursor?: string | undefined;
  readonly limit: number;
  /** After this long what was found so far is given. Default: no end. */
  readonly budgetMs?: number;
}

/** How long a page searches before it shows what it has found so far. */
export const pageBudgetMs = 500;

/** Studies with the latest delivery to each target; without a search or filter by state, as they were routed. */
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
    studies: await summarize(context, records),
    ...(next && { next: placeText(next) }),
    ...(searchedTo !== undefined && { searchedTo }),
  };
}

function cursorOf({ cursor }: StudyQuery): Place | undefined {
  return cursor === undefined ? undefined : placeOf(cursor);
}

/** By what became of deliveries, the latest change first; each study where its latest delivery that matches stands. */
async function studiesByDelivery(context: ViewContext, query: StudyQuery): Promise<Found<StudyRecord>> {
  const { records } = context.operations;
  const { state, target, rule, source, since, until, limit, budgetMs } = query;
  const selection = { state, target, rule, source };
  return records.pickDeliveries(
    // What was routed since then has changed since then.
    { ...selection, since, limit, budgetMs, after: cursorOf(query) },
    (deliveries) =>
      Promise.all(
        deliveries.map(async (delivery) => {
          if (!delivery) return undefined;
          const others = await records.deliveriesOf(delivery);
          if (others.some((other) => isMeant(other, selection) && isBefore(other, delivery))) return undefined;
          const study = await records.study(delivery);
          return study && isRoutedBetween(study, since, until) ? study : undefined;
        }),
      ),
  );
}

/** Whether a delivery stands before another one in the list. */
function isBefore(one: DeliveryRecord, other: DeliveryRecord): boolean {
  if (one.updatedAt !== other.updatedAt) return one.updatedAt > other.updatedAt;
  return one.deliveryId > other.deliveryId;
}

function isRoutedBetween({ routedAt }: StudyRecord, since = 0, until = Number.POSITIVE_INFINITY): boolean {
  return routedAt >= since && routedAt < until;
}

async function searchStudies(
  context: ViewContext,
  search: string,
  query: StudyQuery,
): Promise<Omit<StudyList, 'total'>> {
  const { records } = context.operations;
  if (/^d-[0-9a-f]{20}$/.test(search)) {
    const delivery = await records.delivery(search);
    const study = delivery && (await records.study(delivery));
    return { studies: study ? await summarize(context, [study]) : [], silentSources: [] };
  }
  const sources = Object.keys(context.config().sources);
  const { found, silent } = await context.lookup.search(search);
  const routed = new Map<string, StudyRecord>();
  const labels = new Map(found.flatMap((one) => (one.label ? [[keyOf(one), one.label]] : [])));
  const bySource = await Promise.all(
    sources.map((source) => {
      const ids = found.filter((one) => one.source === source).map((one) => one.orthancStudyId);
      return records.studiesById(source, [...ids, search]);
    }),
  );
  // Studies that have left their source are found by what is known of them here.
  const byUid = isUid(search) ? await records.studiesOfUid(search) : [];
  for (const study of [...bySource.flat(), ...byUid]) if (study) routed.set(keyOf(study), study);
  const summaries = await summarize(context, [...routed.values()], labels);
  const unrouted = found
    .filter((one) => !routed.has(keyOf(one)))
    .map((one): StudySummary => {
      const { source, orthancStudyId, studyInstanceUid, label } = one;
      return {
        source,
        orthancStudyId,
        studyInstanceUid,
        routed: false,
        modalities: [],
        rules: [],
        ...(label && { label: withoutIds(label) }),
        deliveries: [],
      };
    });
  const isWanted = (study: StudySummary): boolean =>
    (query.source === undefined || study.source === query.source) &&
    (query.rule === undefined || study.rules.includes(query.rule)) &&
    (query.since === undefined || (study.routedAt ?? 0) >= query.since) &&
    ((query.state === undefined && query.target === undefined) ||
      study.deliveries.some(
        (one) =>
          (query.state === undefined || one.state === query.state) &&
          (query.target === undefined || one.target === query.target),
      ));
  return { studies: [...summaries, ...unrouted].filter(isWanted).slice(0, query.limit), silentSources: [...silent] };
}

async function summarize(
  context: ViewContext,
  studies: readonly StudyRecord[],
  known: ReadonlyMap<string, StudyLabel> = new Map(),
): Promise<StudySummary[]> {
  const labels = await labelsOf(context, studies, known);
  return Promise.all(
    studies.map(async (study): Promise<StudySummary> => {
      const all = await context.operations.records.deliveriesOf(study);
      const latest = new Map(all.toReversed().map((record) => [record.target, record]));
      const label = labels.get(keyOf(study));
      return {
        source: study.source,
        studyInstanceUid: study.studyInstanceUid,
        orthancStudyId: study.orthancStudyId,
        routed: true,
        instanceCount: study.instanceCount,
        modalities: [...study.modalities],
        rules: [...study.rules],
        routedAt: study.routedAt,
        ...(label && { label: withoutIds(label) }),
        deliveries: (await toDeliveries(context.operations, [...latest.values()])).sort((one, other) =>
          one.target.localeCompare(other.target),
        ),
      };
    }),
  );
}

function keyOf({ source, orthancStudyId }: StudyKey): string {
  return `${source} ${orthancStudyId}`;
}

/** By source and Orthanc's id. Asks each source once; what cannot be asked now has no label. */
export async function labelsOf(
  context: ViewContext,
  studies: readonly StudyKey[],
  known: ReadonlyMap<string, StudyLabel> = new Map(),
): Promise<Map<string, StudyLabel>> {
  const labels = new Map(known);
  const missing = studies.filter((study) => !labels.has(keyOf(study)));
  const sources = Map.groupBy(missing, (study) => study.source);
  await Promise.all(
    [...sources].map(async ([source, list]) => {
      const found = await within(
        labelWaitMs,
        context.lookup
          .labels(
            source,
            list.map(({ orthancStudyId }) => orthancStudyId),
          )
          .catch(() => new Map()),
      );
      for (const study of list) {
        const label = found?.get(study.orthancStudyId) as StudyLabel | undefined;
        if (label) labels.set(keyOf(study), label);
      }
    }),
  );
  return labels;
}

/** A page is shown without names rather than late. */
const labelWaitMs = 700;

async function within<T>(ms: number, promise: Promise<T>): Promise<T | undefined> {
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), ms);
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export function withoutIds(label: StudyLabel): Omit<StudyLabel, 'orthancStudyId' | 'studyInstanceUid'> {
  const { orthancStudyId: _, studyInstanceUid: __, ...rest } = label;
  return rest;
}
