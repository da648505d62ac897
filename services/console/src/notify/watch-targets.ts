import { formatDuration } from '@dicom-dispatch/core';
import { readTargets, type OperationsContext, type TargetState } from '@dicom-dispatch/operations';
import type { Notification } from './notification.ts';

/** Circuits that opened or closed, and backlogs that grew too old, since the last look; remembered in Redis. */
export async function watchTargets(operations: OperationsContext, backlogOlderThanMs: number): Promise<Notification[]> {
  const key = `${operations.config().redis.prefix}:notify:targets`;
  const before = await operations.redis.hgetall(key);
  const found: Notification[] = [];
  for (const target of await readTargets(operations)) {
    found.push(...(await circuitNews(target)), ...(await backlogNews(target)));
  }
  return found;

  async function circuitNews({ name, circuit }: TargetState): Promise<Notification[]> {
    const field = `circuit ${name}`;
    const isOpen = circuit.state !== 'closed';
    if (isOpen === (before[field] !== undefined)) return [];
    if (!isOpen) {
      await operations.redis.hdel(key, field);
      return [{ kind: 'circuit-closed', at: Date.now(), target: name, message: 'the target can be used again' }];
    }
    await operations.redis.hset(key, field, circuit.openedAt ?? Date.now());
    const { error } = circuit;
    return [
      {
        kind: 'circuit-opened',
        at: circuit.openedAt ?? Date.now(),
        target: name,
        ...(error && { stage: error.stage, code: error.code, message: error.message, remedy: error.remedy }),
      },
    ];
  }

  async function backlogNews({ name, oldestWaitingAt }: TargetState): Promise<Notification[]> {
    if (backlogOlderThanMs === 0) return [];
    const field = `backlog ${name}`;
    const ageMs = oldestWaitingAt === undefined ? 0 : Date.now() - oldestWaitingAt;
    const isOld = ageMs > backlogOlderThanMs;
    if (isOld === (before[field] !== undefined)) return [];
    if (!isOld) {
      await operations.redis.hdel(key, field);
      return [];
    }
    await operations.redis.hset(key, field, Date.now());
    return [
      {
        kind: 'backlog-old',
        at: Date.now(),
        target: name,
        message: `the oldest delivery has waited for ${formatDuration(ageMs)}`,
      },
    ];
  }
}
