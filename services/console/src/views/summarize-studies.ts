import { askOnce } from '@dicom-dispatch/operations';
import type { StudyKey, StudyRecord } from '@dicom-dispatch/state/records';
import type { StudyLabel } from '../source/source-lookup.ts';
import type { StudySummary } from './schemas.ts';
import { toExplained } from './list-deliveries.ts';
import type { ViewContext } from './view-context.ts';

/** How long to wait for labels; a source that does not return them in time is added to `silent`, and not queried again. */
export interface LabelWait {
  readonly ms: number;
  readonly silent: Set<string>;
}

/** Studies with the latest delivery to each target. */
export async function summarize(
  context: ViewContext,
  studies: readonly StudyRecord[],
  known: ReadonlyMap<string, StudyLabel> = new Map(),
  wait?: LabelWait,
): Promise<StudySummary[]> {
  const labels = await labelsOf(context, studies, known, wait);
  const once = askOnce();
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
        deliveries: (await toExplained(context.operations, [...latest.values()], once)).sort((one, other) =>
          one.target.localeCompare(other.target),
        ),
      };
    }),
  );
}

export function keyOf({ source, orthancStudyId }: StudyKey): string {
  return `${source} ${orthancStudyId}`;
}

/** Labels by source and Orthanc id. Queries each source once; studies that cannot be read now have no label. */
export async function labelsOf(
  context: ViewContext,
  studies: readonly StudyKey[],
  known: ReadonlyMap<string, StudyLabel> = new Map(),
  wait: LabelWait = { ms: labelWaitMs, silent: new Set() },
): Promise<Map<string, StudyLabel>> {
  const labels = new Map(known);
  const missing = studies.filter((study) => !labels.has(keyOf(study)));
  const sources = Map.groupBy(missing, (study) => study.source);
  await Promise.all(
    [...sources].map(async ([source, list]) => {
      if (wait.silent.has(source)) return;
      const ids = list.map(({ orthancStudyId }) => orthancStudyId);
      const found = await within(
        wait.ms,
        context.lookup.labels(source, ids).catch(() => new Map<string, StudyLabel>()),
      );
      for (const study of list) {
        const label = found?.get(study.orthancStudyId);
        if (label) labels.set(keyOf(study), label);
      }
      if (!found) wait.silent.add(source);
    }),
  );
  return labels;
}

/** Adds to `silent` the sources that have not returned labels of studies, unless all of these studies are deleted there. */
export async function noteSilent(
  context: ViewContext,
  studies: readonly StudyKey[],
  hasLabel: (study: StudyKey) => boolean,
  { ms, silent }: LabelWait,
): Promise<void> {
  if (!context.lookup.showsPatientData) return;
  const bare = studies.filter((study) => !silent.has(study.source) && !hasLabel(study));
  await Promise.all(
    [...Map.groupBy(bare, ({ source }) => source)].map(async ([source, list]) => {
      const ids = list.map(({ orthancStudyId }) => orthancStudyId);
      const present = await within(ms, context.lookup.present(source, ids));
      if (present?.size !== 0) silent.add(source);
    }),
  );
}

/** After this time a page is shown without names. */
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
