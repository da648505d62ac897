import type { PipelineContext } from '@dicom-dispatch/pipeline';
import { readReconcileReport } from '@dicom-dispatch/pipeline';
import { lossWords, skewLimitMs, skewWords, type AboutProcess } from '@dicom-dispatch/runtime';
import { lookAtGeneration } from '@dicom-dispatch/state/generation';
import { readSourceStatus } from '@dicom-dispatch/state/feed';
import { listWorkers } from './list-workers.ts';
import type { SourceState } from './read-source.ts';
import { readTargets } from './read-target.ts';

/** What can be wrong with the system as a whole. */
export const healthKinds = [
  'redis-lost',
  'no-dispatcher',
  'source-silent',
  'source-not-followed',
  'source-same-database',
  'source-failing',
  'feed-stuck',
  'sweep-unread',
  'study-put-off',
  'clock-skew',
  'source-clock-skew',
  'target-out-of-reach',
  'target-moved',
  'target-orphaned',
  'delivery-failed',
  'delivery-partial',
  'source-gone',
  'reconcile',
] as const;
export type HealthKind = (typeof healthKinds)[number];

/** Something that an operator has to look at. */
export interface HealthFinding {
  readonly kind: HealthKind;
  readonly severity: 'critical' | 'warning';
  /** Name of a source or target, or of a process; empty for the whole system. */
  readonly subject: string;
  /** By Redis TIME (ms since 1970), where it is known. */
  readonly since: number | undefined;
  readonly words: string;
}

/** What is known of a source that was asked a moment ago. */
export interface AskedSource extends Pick<SourceState, 'name' | 'reachable' | 'detail' | 'followed' | 'triedLater'> {
  readonly lag?: number | undefined;
  readonly sweep?: { readonly unread: number } | undefined;
}

/** How long the cursor may stand still while there are changes. */
const stuckMs = 120_000;

/**
 * All that is wrong now: `status`, metrics and alerts are made from this list and from nothing else.
 *
 * @param sources - as they were asked a moment ago
 */
export async function readHealth(context: PipelineContext, sources: readonly AskedSource[]): Promise<HealthFinding[]> {
  const { redis, keys, config, records } = context;
  const { prefix } = config().redis;
  const findings: HealthFinding[] = [];
  const add = (
    kind: HealthKind,
    severity: HealthFinding['severity'],
    subject: string,
    words: string,
    since?: number,
  ): void => void findings.push({ kind, severity, subject, since, words });

  const { now, loss, asks } = await lookAtGeneration(redis, prefix, undefined);
  if (loss) {
    const words = asks
      ? 'Redis lost its data, and no router has notes of them: dispatch recover'
      : lossWords[loss.kind];
    add('redis-lost', 'critical', '', words, loss.at);
  }
  const ids = await redis.zrangebyscore(keys.processes, now - 20_000, '+inf');
  for (const text of ids.length > 0 ? await redis.mget(ids.map((id) => keys.process(id))) : []) {
    if (text === null) continue;
    const { host, pid, skewMs } = JSON.parse(text) as AboutProcess;
    if (Math.abs(skewMs) <= skewLimitMs) continue;
    add('clock-skew', 'warning', `${host}:${pid}`, `the clock of ${host} (process ${pid}) is ${skewWords(skewMs)}`);
  }
  if ((await listWorkers(context)).length === 0) add('no-dispatcher', 'critical', '', 'no dispatcher is running');
  for (const source of sources) await lookAtSource(source);
  for (const { name, circuit, moved, orphaned, counts } of await readTargets(context)) {
    if (circuit.state !== 'closed') {
      const why = circuit.error?.message ?? '';
      add('target-out-of-reach', 'critical', name, `the target ${name} cannot be reached: ${why}`, circuit.openedAt);
    }
    if (moved) add('target-moved', 'warning', name, moved.text);
    if (orphaned) {
      add(
        'target-orphaned',
        'warning',
        name,
        `the target ${name} was removed, and ${counts.waiting + counts.active} deliveries wait for it: dispatch target move ${name} --to TARGET, or dispatch target drop ${name}`,
      );
    }
  }
  const counts = await records.counts();
  if (counts.failed > 0) {
    add('delivery-failed', 'warning', '', `${counts.failed} deliveries failed: dispatch deliveries --state failed`);
  }
  if (counts.partial > 0) {
    const words = `${counts.partial} deliveries arrived in part: dispatch deliveries --state partial`;
    add('delivery-partial', 'warning', '', words);
  }
  if (counts['source-gone'] > 0) {
    const words = `${counts['source-gone']} deliveries lost their study: dispatch deliveries --state source-gone`;
    add('source-gone', 'warning', '', words);
  }
  for (const { subject, text } of (await readReconcileReport(redis, prefix)).problems) {
    add('reconcile', 'warning', subject, text);
  }
  return findings;

  async function lookAtSource({
    name,
    reachable,
    detail,
    followed,
    lag,
    triedLater,
    sweep,
  }: AskedSource): Promise<void> {
    const status = await readSourceStatus(redis, prefix, name);
    if (!reachable) add('source-silent', 'critical', name, `the source ${name} does not answer: ${detail}`);
    if (!followed) add('source-not-followed', 'critical', name, `no router follows the source ${name}`);
    if (status?.sameAs !== undefined) {
      const words = `the source ${name} is on the same database as ${status.sameAs}, and is not followed: remove one`;
      add('source-same-database', 'critical', name, words);
    }
    for (const [part, { since, message }] of Object.entries(status?.failing ?? {})) {
      add('source-failing', 'critical', name, `the source ${name}, ${part}: ${message}`, since);
    }
    if ((lag ?? 0) > 0 && status?.movedAt !== undefined && now - status.movedAt > stuckMs) {
      const words = `the change feed of ${name} is not followed on: ${lag} changes wait`;
      add('feed-stuck', 'critical', name, words, status.movedAt);
    }
    if (triedLater > 0) {
      const words = `${triedLater} studies of ${name} cannot be read for reasons of their own, and are tried again later`;
      add('study-put-off', 'warning', name, words);
    }
    if ((sweep?.unread ?? 0) > 0 && triedLater > 0) {
      add('sweep-unread', 'warning', name, `the last sweep of ${name} could not read ${sweep?.unread} studies`);
    }
    if (Math.abs(status?.skewMs ?? 0) > skewLimitMs) {
      const words = `the clock of the source ${name} is ${skewWords(status?.skewMs ?? 0)}`;
      add('source-clock-skew', 'warning', name, words);
    }
  }
}
