import { formatDuration } from '@dicom-dispatch/core';
import {
  listDeliveries,
  listSources,
  listStudies,
  listTargets,
  showStudy,
  showWorkers,
  type Source,
} from '@dicom-dispatch/console/views';
import type { SelectionOptions } from '../commands/options.ts';
import { findStudy } from './find-study.ts';
import { formatDeliveries, formatStudies, formatStudy, formatTargets } from './format.ts';
import { ago, formatTable } from './print-table.ts';
import { show, type ShowOptions } from './show.ts';

type ListOptions = ShowOptions & SelectionOptions & { readonly limit: number };

export async function showStudies(search: string | undefined, options: ListOptions): Promise<void> {
  const { state, target, rule, source, since, until, limit } = options;
  const query = { search, state, target, rule, source, since, until, limit };
  await show(
    options,
    (system) => listStudies(system, query),
    ({ studies, total, notSearched }) =>
      [formatStudies(studies), `${studies.length} of ${total} studies`, ...notSearched].join('\n'),
  );
}

export async function showOneStudy(id: string, options: ShowOptions): Promise<void> {
  await show(
    options,
    async (system) => {
      const { source, orthancStudyId } = await findStudy(system, id);
      return showStudy(system, source, orthancStudyId);
    },
    formatStudy,
  );
}

export async function showDeliveries(options: ListOptions): Promise<void> {
  const { state, target, rule, source, since, until, limit, stage, code } = options;
  const query = { state, target, rule, source, since, until, limit, stage, code };
  await show(
    options,
    (system) => listDeliveries(system, query),
    ({ deliveries, next }) => `${formatDeliveries(deliveries)}${next === undefined ? '' : '\nthere are more: --limit'}`,
  );
}

export async function showTargets(options: ShowOptions): Promise<void> {
  await show(options, listTargets, formatTargets);
}

export async function showSources(options: ShowOptions): Promise<void> {
  await show(options, listSources, (sources) =>
    [
      formatTable(
        ['source', 'state', 'followed by', 'position', 'behind by', 'last sweep', 'put off'],
        sources.map((one) => [
          one.name,
          one.detail,
          one.leader ?? (one.enabled ? 'nobody' : 'disabled'),
          one.position ?? 0,
          one.lag ?? 0,
          ago(one.sweep?.endedAt),
          one.triedLater,
        ]),
      ),
      ...sources.filter(({ triedLater }) => triedLater > 0).map(formatPutOff),
    ].join('\n\n'),
  );
}

/** Studies that cannot be read, each with its reason and its next try. */
function formatPutOff({ name, triedLater, putOff }: Source): string {
  const rows = formatTable(
    [`postponed in ${name}`, 'since', 'tries', 'next try', 'reason'],
    putOff.map((one) => [one.orthancStudyId, ago(one.since), one.tries, inTime(one.dueAt), one.message]),
  );
  const more = triedLater > putOff.length ? `\n… and ${triedLater - putOff.length} more` : '';
  return `${rows}${more}\nTo read them now: dispatch source try ${name} [STUDY]`;
}

function inTime(at: number): string {
  const ms = at - Date.now();
  return ms <= 0 ? 'now' : `in ${formatDuration(ms)}`;
}

export async function showLivingWorkers(options: ShowOptions): Promise<void> {
  await show(options, showWorkers, (workers) =>
    formatTable(
      ['worker', 'host', 'pid', 'started', 'under way'],
      workers.map((one) => [
        one.id,
        one.host,
        String(one.pid),
        ago(one.startedAt),
        one.active.map(({ target, confirmed, total }) => `${target} ${confirmed}/${total}`).join(', ') || 'idle',
      ]),
    ),
  );
}
