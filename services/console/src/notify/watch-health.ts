import { healthTable, type HealthFinding, type HealthKind } from '@dicom-dispatch/operations';
import type { PipelineContext } from '@dicom-dispatch/pipeline';
import type { News, Notification } from './notification.ts';

/** What is over again within this time, such as the restart of a service, is not reported. */
const minDurationMs = 60_000;

/** Reported as states of their target: see watch-targets. */
const isOfTarget = (kind: HealthKind): boolean => kind.startsWith('target-');
const isOfSource = (kind: HealthKind): boolean => kind.startsWith('source-') || kind === 'feed-stuck';

/**
 * Critical findings about sources and the whole system that have lasted for a minute, and those that are over; remembered in
 * Redis. While the health cannot be read nothing is known to be over.
 */
export async function watchHealth(
  operations: PipelineContext,
  read: () => Promise<readonly HealthFinding[]>,
): Promise<News> {
  const { redis } = operations;
  const key = `${operations.config().redis.prefix}:notify:health`;
  const [before, findings] = await Promise.all([redis.hgetall(key), read()]);
  const begun: Record<string, number> = {};
  const over: string[] = [];
  const notifications: Notification[] = [];
  if (findings.some(({ kind }) => kind === 'unread' || kind === 'redis-away')) {
    return { notifications, remember: async () => {} };
  }
  const now = Date.now();
  const present = new Map(
    findings
      .filter(({ kind, severity }) => severity === 'critical' && !isOfTarget(kind))
      .map((one) => [`${one.kind} ${one.subject}`, one]),
  );
  for (const [field, { kind, subject, words, remedy, path }] of present) {
    const seenAt = Number(before[`seen ${field}`] ?? now);
    if (before[`seen ${field}`] === undefined) begun[`seen ${field}`] = now;
    if (before[`told ${field}`] !== undefined || now - seenAt < minDurationMs) continue;
    begun[`told ${field}`] = now;
    notifications.push({
      id: `${field} ${seenAt}`,
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
  for (const [name, at] of Object.entries(before)) {
    const field = name.slice('seen '.length);
    if (!name.startsWith('seen ') || present.has(field)) continue;
    over.push(name, `told ${field}`);
    const [kind = '', subject = ''] = field.split(' ') as [HealthKind?, string?];
    // A kind of an earlier version says nothing any more.
    if (before[`told ${field}`] === undefined || kind === '' || !Object.hasOwn(healthTable, kind)) continue;
    notifications.push({
      id: `${field} over ${at}`,
      kind: isOfSource(kind) ? 'source-up' : 'problem-over',
      at: now,
      target: '',
      ...(isOfSource(kind) && { source: subject }),
      code: kind,
      message: healthTable[kind].title,
      since: Number(at),
    });
  }
  return {
    notifications,
    async remember() {
      if (over.length > 0) await redis.hdel(key, ...over);
      if (Object.keys(begun).length > 0) await redis.hset(key, begun);
    },
  };
}
