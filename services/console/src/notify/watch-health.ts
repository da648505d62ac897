import { healthTable, type HealthFinding, type HealthKind } from '@dicom-dispatch/operations';
import type { PipelineContext } from '@dicom-dispatch/pipeline';
import type { News, Notification } from './notification.ts';

/** A condition that ends within this time, such as the restart of a service, is not reported. */
const minDurationMs = 60_000;

/** Reported as states of their target: see watch-targets. */
const isOfTarget = (kind: HealthKind): boolean => kind.startsWith('target-');
const isOfSource = (kind: HealthKind): boolean => kind.startsWith('source-') || kind === 'feed-stuck';

/**
 * Critical findings about sources and the whole system that have lasted for a minute, and the ends of reported ones; the state is
 * stored in Redis. A source has one state for all its findings: it is down from the first finding to the end of the last. While a
 * part of the health cannot be read, no end is reported.
 */
export async function watchHealth(
  operations: PipelineContext,
  read: () => Promise<readonly HealthFinding[]>,
): Promise<News> {
  const { redis } = operations;
  const key = `${operations.config().redis.prefix}:notify:health`;
  const [before, findings] = await Promise.all([redis.hgetall(key), read()]);
  const begun: Record<string, number | string> = {};
  const over: string[] = [];
  const notifications: Notification[] = [];
  const remember = async (): Promise<void> => {
    if (over.length > 0) await redis.hdel(key, ...over);
    if (Object.keys(begun).length > 0) await redis.hset(key, begun);
  };
  if (findings.some(({ kind }) => kind === 'redis-away')) return { notifications, remember };
  const now = Date.now();
  // The most severe one of each state: they are sorted by severity.
  const present = new Map<string, HealthFinding>();
  for (const one of findings) {
    if (one.severity !== 'critical' || isOfTarget(one.kind)) continue;
    const state = stateOf(one);
    if (!present.has(state)) present.set(state, one);
  }
  for (const [state, { kind, subject, words, remedy, path }] of present) {
    const seenAt = Number(before[`seen ${state}`] ?? now);
    if (before[`seen ${state}`] === undefined) begun[`seen ${state}`] = now;
    if (before[`told ${state}`] !== undefined || now - seenAt < minDurationMs) continue;
    begun[`told ${state}`] = kind;
    notifications.push({
      id: `${state} ${seenAt}`,
      kind: isOfSource(kind) ? 'source-down' : 'problem',
      at: seenAt,
      target: '',
      ...(isOfSource(kind) && { source: subject }),
      code: kind,
      message: words,
      remedy,
      path,
    });
  }
  if (findings.some(({ kind }) => kind === 'unread')) return { notifications, remember };
  // Nothing is known of a disabled source: it is not reported as available again.
  const disabled = new Set(findings.filter(({ kind }) => kind === 'source-off').map(stateOf));
  for (const [name, at] of Object.entries(before)) {
    const state = name.slice('seen '.length);
    if (!name.startsWith('seen ') || present.has(state)) continue;
    over.push(name, `told ${state}`);
    if (disabled.has(state)) continue;
    const kind = before[`told ${state}`];
    // Not reported, or a kind of an earlier version.
    if (kind === undefined || !Object.hasOwn(healthTable, kind)) continue;
    const known = kind as HealthKind;
    notifications.push({
      id: `${state} over ${at}`,
      kind: isOfSource(known) ? 'source-up' : 'problem-over',
      at: now,
      target: '',
      ...(isOfSource(known) && { source: state.slice('source '.length) }),
      code: known,
      message: healthTable[known].title,
      since: Number(at),
    });
  }
  return { notifications, remember };
}

function stateOf({ kind, subject }: HealthFinding): string {
  return isOfSource(kind) ? `source ${subject}` : `${kind} ${subject}`;
}
