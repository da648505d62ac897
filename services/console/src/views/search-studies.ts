import { isUid } from '@dicom-dispatch/core';
import { searchKeysOf } from '@dicom-dispatch/pipeline';
import { hashesOfText, isDamaged, type StudyRecord } from '@dicom-dispatch/state/records';
import { maxFound } from '../source/source-lookup.ts';
import type { StudyQuery } from './list-studies.ts';
import type { StudyList, StudySummary } from './schemas.ts';
import { keyOf, summarize, withoutIds } from './summarize-studies.ts';
import type { ViewContext } from './view-context.ts';

/** Maximum number of studies found by a keyed hash, for example those of one patient. */
const maxByHash = 200;

/**
 * Studies that match a text. The sources are searched, and the records by UIDs and by keyed hashes of accession number, Patient ID
 * and series UIDs. So a study is also found after it has left its source, and while its source is unavailable.
 */
export async function searchStudies(
  context: ViewContext,
  search: string,
  query: StudyQuery,
): Promise<Omit<StudyList, 'total'>> {
  const { records } = context.operations;
  if (/^d-[0-9a-f]{20}$/.test(search)) {
    const delivery = await records.delivery(search);
    const study = delivery && (await records.study(delivery));
    return {
      studies: study ? await summarize(context, [study], undefined, query.labelWait) : [],
      silentSources: [],
      notSearched: [],
    };
  }
  const sources = Object.keys(context.config().sources);
  const { found, silent, cut } = await context.lookup.search(search);
  const routed = new Map<string, StudyRecord>();
  const labels = new Map(found.flatMap((one) => (one.label ? [[keyOf(one), one.label]] : [])));
  const bySource = await Promise.all(
    sources.map((source) => {
      const ids = found.filter((one) => one.source === source).map((one) => one.orthancStudyId);
      return records.studiesById(source, [...ids, search]);
    }),
  );
  const keys = searchKeysOf(context.config());
  const byUid = isUid(search) ? await records.findOfUid(search) : [];
  const byHash = await records.studiesOfHashes(hashesOfText(keys, search), maxByHash);
  const known = byHash.toSorted((one, other) => other.routedAt - one.routedAt);
  for (const study of [...bySource.flat(), ...byUid, ...known]) {
    if (study && !isDamaged(study)) routed.set(keyOf(study), study);
  }
  const inSource = await lookInSources(context, [...routed.values()], new Set(found.map((one) => keyOf(one))), silent);
  const summaries = (await summarize(context, [...routed.values()], labels, query.labelWait)).map((study) => ({
    ...study,
    inSource: inSource.get(keyOf(study)) ?? 'unknown',
  }));
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
        inSource: 'yes',
        ...(label && { label: withoutIds(label) }),
        deliveries: [],
      };
    });
  const wanted = [...summaries, ...unrouted].filter((study) => isWanted(study, query));
  const studies = wanted.slice(0, query.limit);
  const more = [
    ...cut.map((source) => `${source} has more than ${maxFound} studies that match: enter more of the text.`),
    ...(byHash.length < maxByHash
      ? []
      : [`No more than ${maxByHash} studies with one number are searched: choose a period or a source.`]),
    ...(wanted.length > studies.length ? [`${wanted.length - studies.length} more are found than are listed.`] : []),
  ];
  return {
    studies,
    silentSources: [...silent],
    notSearched: [...notSearched(silent, keys.length > 0, studies.length > 0), ...more],
  };
}

type InSource = NonNullable<StudySummary['inSource']>;

/** Whether sources have these studies now: a search finds only the first hundred, so the others are looked up. */
async function lookInSources(
  context: ViewContext,
  studies: readonly StudyRecord[],
  found: ReadonlySet<string>,
  silent: readonly string[],
): Promise<Map<string, InSource>> {
  const answers = new Map(studies.map((study): [string, InSource] => [keyOf(study), 'yes']));
  const missing = studies.filter((study) => !found.has(keyOf(study)));
  await Promise.all(
    [...Map.groupBy(missing, ({ source }) => source)].map(async ([source, list]) => {
      const ids = list.map(({ orthancStudyId }) => orthancStudyId);
      const present = silent.includes(source) ? undefined : await context.lookup.present(source, ids);
      for (const study of list) {
        answers.set(keyOf(study), !present ? 'unknown' : present.has(study.orthancStudyId) ? 'yes' : 'no');
      }
    }),
  );
  return answers;
}

function notSearched(silent: readonly string[], hasKey: boolean, hasFound: boolean): string[] {
  const by = hasKey ? 'whole accession number, Patient ID or UID' : 'Study Instance UID';
  const notes = silent.map(
    (source) =>
      `${source} does not answer. Its studies that were routed are found by ${by}; not searched are names, descriptions, and studies that were never routed.`,
  );
  if (hasKey || hasFound) return notes;
  return [
    ...notes,
    'Studies that have left their source are found by Study Instance UID only: set records.searchKey to find them by accession number and Patient ID, too.',
  ];
}

function isWanted(study: StudySummary, { source, rule, since, until, state, target }: StudyQuery): boolean {
  return (
    (source === undefined || study.source === source) &&
    (rule === undefined || study.rules.includes(rule)) &&
    (since === undefined || (study.routedAt ?? 0) >= since) &&
    (until === undefined || (study.routedAt ?? 0) < until) &&
    ((state === undefined && target === undefined) ||
      study.deliveries.some((one) => isInState(one, state) && (target === undefined || one.target === target)))
  );
}

function isInState({ state, held }: StudySummary['deliveries'][number], wanted: StudyQuery['state']): boolean {
  return wanted === undefined || (wanted === 'held' ? held : state === wanted);
}
