import { formatDuration } from '@dicom-dispatch/core';
import { readTargets, type TargetState } from '@dicom-dispatch/operations';
import { type PipelineContext } from '@dicom-dispatch/pipeline';
import type { News, Notification } from './notification.ts';

/** A backlog is cleared when the oldest delivery has waited for less than this part of the limit. */
const clearedBelow = 0.8;

/** Circuits that opened or closed, and backlogs that became too old or were cleared, since the last check; the state is in Redis. */
export async function watchTargets(operations: PipelineContext, backlogOlderThanMs: number): Promise<News> {
  const { redis } = operations;
  const key = `${operations.config().redis.prefix}:notify:targets`;
  const before = await redis.hgetall(key);
  const begun: Record<string, number> = {};
  const over: string[] = [];
  const notifications: Notification[] = [];
  for (const target of await readTargets(operations)) {
    circuitNews(target);
    backlogNews(target);
  }
  return {
    notifications,
    async remember() {
      if (over.length > 0) await redis.hdel(key, ...over);
      if (Object.keys(begun).length > 0) await redis.hset(key, begun);
    },
  };

  function circuitNews({ name, circuit }: TargetState): void {
    const field = `circuit ${name}`;
    const isOpen = circuit.state !== 'closed';
    if (isOpen === (before[field] !== undefined)) return;
    if (!isOpen) {
      over.push(field);
      notifications.push({
        id: `${field} closed ${before[field]}`,
        kind: 'circuit-closed',
        at: Date.now(),
        target: name,
        since: Number(before[field]),
      });
      return;
    }
    const at = circuit.openedAt ?? Date.now();
    begun[field] = at;
    const { error } = circuit;
    notifications.push({
      id: `${field} opened ${at}`,
      kind: 'circuit-opened',
      at,
      target: name,
      ...(error && { stage: error.stage, code: error.code, message: error.message, remedy: error.remedy }),
    });
  }

  function backlogNews({ name, oldestWaitingAt }: TargetState): void {
    if (backlogOlderThanMs === 0) return;
    const field = `backlog ${name}`;
    const ageMs = oldestWaitingAt === undefined ? 0 : Date.now() - oldestWaitingAt;
    // If deliveries start one by one, the age of the oldest varies around the limit: the backlog is cleared well below it.
    const wasOld = before[field] !== undefined;
    const isOld = ageMs > backlogOlderThanMs * (wasOld ? clearedBelow : 1);
    if (isOld === wasOld) return;
    if (!isOld) {
      over.push(field);
      notifications.push({
        id: `${field} cleared ${before[field]}`,
        kind: 'backlog-cleared',
        at: Date.now(),
        target: name,
        since: Number(before[field]),
      });
      return;
    }
    begun[field] = Date.now();
    notifications.push({
      id: `${field} ${oldestWaitingAt}`,
      kind: 'backlog-old',
      at: Date.now(),
      target: name,
      message: `the oldest delivery has waited for ${formatDuration(ageMs)}`,
    });
  }
}
