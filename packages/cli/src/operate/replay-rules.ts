import { replayRules, type ReplayedStudy, type ReplayOutcome } from '@dicom-dispatch/operations';
import { formatTable, utcTime } from './print-table.ts';
import { withSystem } from './with-system.ts';

export interface RulesReplayOptions {
  readonly config: string;
  readonly json?: boolean;
  /** ms since 1970 */
  readonly since: number;
  /** ms since 1970 */
  readonly until?: number;
  readonly source?: string;
}

interface Changes {
  added: number;
  removed: number;
}

const maxShown = 100;

/** Result of the current rules for studies that were routed before. Nothing is sent. */
export async function replayNow(options: RulesReplayOptions): Promise<void> {
  const { since, until, source } = options;
  await withSystem(options.config, async (system) => {
    const counts: Record<ReplayOutcome, number> = { same: 0, differs: 0, gone: 0, unread: 0 };
    const byTarget: Record<string, Changes> = {};
    const studies: ReplayedStudy[] = [];
    const open = (name: string) => system.lookup.client(name);
    for await (const study of replayRules(system.operations, open, { since, until, source })) {
      counts[study.outcome] += 1;
      studies.push(study);
      for (const name of study.added) (byTarget[name] ??= { added: 0, removed: 0 }).added += 1;
      for (const name of study.removed) (byTarget[name] ??= { added: 0, removed: 0 }).removed += 1;
    }
    const order: readonly ReplayOutcome[] = ['differs', 'unread', 'gone', 'same'];
    studies.sort((a, b) => order.indexOf(a.outcome) - order.indexOf(b.outcome) || b.routedAt - a.routedAt);
    console.log(
      options.json === true
        ? JSON.stringify({ since, ...(until !== undefined && { until }), counts, byTarget, studies }, undefined, 2)
        : format(counts, byTarget, studies),
    );
  });
}

function format(
  counts: Readonly<Record<ReplayOutcome, number>>,
  byTarget: Readonly<Record<string, Changes>>,
  studies: readonly ReplayedStudy[],
): string {
  const changed = studies.filter(({ outcome }) => outcome !== 'same');
  const shown = changed.slice(0, maxShown);
  const names = Object.keys(byTarget).sort();
  return [
    `${studies.length} studies: ${counts.same} would go to the same targets, ${counts.differs} would not; ${counts.gone} are no longer in their source, ${counts.unread} could not be read`,
    ...(names.length === 0
      ? []
      : [
          '',
          formatTable(
            ['target', 'added', 'removed'],
            names.map((name) => [name, byTarget[name]?.added ?? 0, byTarget[name]?.removed ?? 0]),
          ),
        ]),
    ...(shown.length === 0
      ? []
      : [
          '',
          formatTable(
            ['routed', 'study', 'source', 'went to', 'would go to', 'rules now'],
            shown.map((one) => [
              utcTime(one.routedAt),
              one.studyInstanceUid,
              one.source,
              one.before.map((name) => (one.removed.includes(name) ? `-${name}` : name)).join(', ') || '-',
              one.detail ?? (one.after.map((name) => (one.added.includes(name) ? `+${name}` : name)).join(', ') || '-'),
              [...one.rulesAfter, ...one.waiting.map((rule) => `${rule} (waits)`)].join(', ') || '-',
            ]),
          ),
        ]),
    ...(changed.length > shown.length ? [`${changed.length - shown.length} more: --json shows all`] : []),
  ].join('\n');
}
