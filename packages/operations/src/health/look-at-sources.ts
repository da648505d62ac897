import { formatDuration } from '@dicom-dispatch/core';
import type { PipelineContext } from '@dicom-dispatch/pipeline';
import { skewLimitMs, skewWords } from '@dicom-dispatch/runtime';
import { listPutOff, readSourceStatus, type SourceStatus } from '@dicom-dispatch/state/feed';
import type { SourceState } from '../read-source.ts';
import { count, finding, type HealthFinding } from './finding.ts';
import type { HealthKind } from './health-kinds.ts';

/** Data of a source that was queried a moment ago. */
export type AskedSource = Pick<SourceState, 'name' | 'reachable' | 'detail'> &
  Partial<Pick<SourceState, 'remedy' | 'lag'>> & { readonly code?: string | undefined };

/** How long the cursor may stay at its position while there are changes. */
const stuckMs = 120_000;
/** A router that has made progress with a source within this time receives its responses. */
const answeredLatelyMs = 15_000;
/** How long a sweep may take for its next page, and how late the next sweep may be. */
const sweepMs = 600_000;
/** How long a clock jump is reported. */
const jumpMs = 3_600_000;

/**
 * @param asked - the source's response just now; undefined: only the data of its router count
 * @param hasRouter - whether any router runs: if none does, this is reported once
 */
export async function lookAtSource(
  context: PipelineContext,
  name: string,
  asked: AskedSource | undefined,
  { now, hasRouter }: { readonly now: number; readonly hasRouter: boolean },
): Promise<HealthFinding[]> {
  const { redis, keys, config } = context;
  if (config().sources[name]?.enabled === false) {
    const words = `the source ${name} is disabled in the configuration: its new studies and its batches wait`;
    return [finding('source-off', { subject: name, words })];
  }
  const { prefix } = config().redis;
  const [status, lease, putOff] = await Promise.all([
    readSourceStatus(redis, prefix, name),
    redis.get(keys.lease(name)),
    listPutOff(redis, prefix, name, 1_000),
  ]);
  const findings: HealthFinding[] = [];
  const add = (kind: HealthKind, words: string, more: { since?: number; remedy?: string | undefined } = {}): void => {
    if (!findings.some((one) => one.kind === kind)) findings.push(finding(kind, { subject: name, words, ...more }));
  };
  for (const [part, { since, message, code }] of Object.entries(status?.failing ?? {})) {
    const kind = kindOf(code);
    const words = kind === 'source-failing' ? `the source ${name}, ${part}: ${message}` : message;
    add(kind, words, { since });
  }
  if (asked && !asked.reachable && !answersRouter(status, now)) {
    add(kindOf(asked.code ?? 'source-unreachable'), asked.detail, { remedy: asked.remedy });
  }
  if (lease === null && hasRouter) add('source-not-followed', `no router follows the source ${name}`);
  if (status?.sameAs !== undefined) {
    add('source-same-database', `the source ${name} uses the same database as ${status.sameAs}, and is not followed`);
  }
  const { movedAt } = status ?? {};
  if ((asked?.lag ?? status?.lag ?? 0) > 0 && movedAt !== undefined && now - movedAt > stuckMs) {
    add('feed-stuck', `the change feed of ${name} is not progressing: ${asked?.lag ?? status?.lag} changes wait`, {
      since: movedAt,
    });
  }
  await lookAtSweep();
  // A study that was not tried yet is being read, or queued.
  const unread = putOff.studies.filter(({ tries }) => tries > 0);
  if (unread.length > 0) {
    const all = putOff.count - putOff.studies.length + unread.length;
    const reasons = [...new Set(unread.map(({ message }) => message))];
    const more = reasons.length > 1 ? ` (and ${count(reasons.length - 1, 'other reason', 'other reasons')})` : '';
    add(
      'study-put-off',
      `${count(all, 'study', 'studies')} of ${name} cannot be read, and ${all === 1 ? 'is' : 'are'} tried again later: ${reasons[0] ?? ''}${more}`,
      { since: Math.min(...unread.map(({ since }) => since)) },
    );
  }
  if (Math.abs(status?.skewMs ?? 0) > skewLimitMs) {
    add('source-clock-skew', `the clock of the source ${name} is ${skewWords(status?.skewMs ?? 0)}`);
  }
  const { jump } = status ?? {};
  if (jump && Math.abs(jump.ms) > skewLimitMs && now - jump.at < jumpMs) {
    const how = `${formatDuration(Math.abs(jump.ms))} ${jump.ms > 0 ? 'ahead' : 'back'}`;
    add('source-clock-jump', `the clock of the source ${name} was set ${how}`, { since: jump.at });
  }
  return findings;

  async function lookAtSweep(): Promise<void> {
    const source = config().sources[name];
    // A source without a leading router is reported elsewhere.
    if (!source || lease === null || status?.sameAs !== undefined) return;
    const { startedAt, endedAt, movedAt: sweptAt, waitedAt } = await redis.hgetall(keys.sweep(name));
    const began = Number(startedAt ?? 0);
    const ended = Number(endedAt ?? 0);
    // While the change feed catches up, the sweep waits and renews this time; if the router stops doing so, it becomes old.
    const waited = Number(waitedAt ?? 0);
    if (began > ended) {
      const last = Math.max(began, Number(sweptAt ?? 0), waited);
      if (now - last > sweepMs + source.sweep.pause) {
        add('sweep-unfinished', `the sweep of ${name} has made no progress for ${formatDuration(now - last)}`, {
          since: last,
        });
      }
    } else if (ended > 0 && source.sweep.every > 0 && now - Math.max(ended + source.sweep.every, waited) > sweepMs) {
      add('sweep-unfinished', `the last sweep of ${name} ended ${formatDuration(now - ended)} ago`, { since: ended });
    }
  }
}

function kindOf(code: string): HealthKind {
  if (code === 'source-unreachable') return 'source-silent';
  if (code === 'source-unauthorized') return 'source-refuses';
  return 'source-failing';
}

/** A busy source may be too slow for this query, but still serve its router. */
function answersRouter(status: SourceStatus | undefined, now: number): boolean {
  if (status?.movedAt === undefined) return false;
  return now - status.movedAt < answeredLatelyMs && status.failing.feed === undefined;
}
