import { randomUUID } from 'node:crypto';
import { isOpen, type TargetConfig } from '@dicom-dispatch/core';
import { redisNow } from '@dicom-dispatch/state/redis';
import {
  noCounts,
  TargetAudits,
  type AuditScope,
  type AuditWish,
  type TargetAudit,
} from '@dicom-dispatch/state/target-audits';
import type { DispatcherContext } from '../dispatcher-context.ts';
import { runAudit } from './run-audit.ts';
import { sendMissing } from './send-missing.ts';

const lookEveryMs = 1_000;
const renewEveryMs = 15_000;
const bySchedule = 'schedule';

/**
 * Executes the audits that operators or the configuration request, each in one of all dispatchers. If that dispatcher stops
 * renewing its lease, another one takes the audit over within about a minute.
 */
export function startAudits(context: DispatcherContext): { stop(): Promise<void> } {
  const { redis, log } = context;
  const audits = new TargetAudits(redis, context.config.redis.prefix);
  const stopping = new AbortController();
  const running = new Map<string, Promise<void>>();
  let looking: Promise<void> | undefined;
  const timer = setInterval(() => {
    looking ??= look().finally(() => (looking = undefined));
  }, lookEveryMs);
  timer.unref();
  return {
    async stop() {
      clearInterval(timer);
      stopping.abort(new Error('the dispatcher is stopping'));
      await looking;
      await Promise.all(running.values());
    },
  };

  async function look(): Promise<void> {
    if (redis.status !== 'ready') return;
    try {
      const targets = Object.entries(context.config.targets);
      const [asked, all] = [await audits.asked(), await audits.all()];
      const now = await redisNow(redis, context.config.redis.prefix);
      for (const [name, target] of targets) {
        if (running.has(name)) continue;
        const task = taskOf(target, asked.get(name), all.get(name), now);
        if (task && !stopping.signal.aborted)
          running.set(
            name,
            lead(name, task).finally(() => running.delete(name)),
          );
      }
    } catch (error) {
      log.warn({ err: error }, 'requested audits could not be read; trying again');
    }
  }

  /** Runs the task if no other dispatcher runs it. */
  async function lead(name: string, task: Task): Promise<void> {
    const token = `${context.worker} ${randomUUID()}`;
    try {
      if (!(await audits.lease(name, token))) return;
      const lost = new AbortController();
      const renewing = setInterval(() => {
        audits.renew(name, token).then(
          (isOurs) => isOurs || lost.abort(new Error('another dispatcher has the audit')),
          () => {},
        );
      }, renewEveryMs);
      try {
        await work(name, task, token, AbortSignal.any([stopping.signal, lost.signal]));
      } finally {
        clearInterval(renewing);
        await audits.release(name, token);
      }
    } catch (error) {
      if (!stopping.signal.aborted) log.warn({ err: error, target: name }, 'target audit failed; trying again');
    }
  }

  async function work(name: string, task: Task, token: string, signal: AbortSignal): Promise<void> {
    // What another dispatcher has done meanwhile is not done again.
    const known = await audits.read(name);
    if (task.kind !== 'wish' && known?.startedAt !== task.last?.startedAt) return;
    if (task.kind === 'resume' && known?.state !== 'running') return;
    const mayGoOn = (audit: TargetAudit): boolean =>
      audit.by !== bySchedule || isInWindow(context.config.targets[name], Date.now());
    const go = (audit: TargetAudit) =>
      runAudit({ context, audits, token, signal, mayGoOn: () => mayGoOn(audit) }, audit);
    if (task.kind === 'resume' && known) return go(known);
    if (task.kind === 'scheduled') return begin(bySchedule, task.scope);
    if (task.kind !== 'wish') return;
    await audits.take(name, task.wish);
    switch (task.wish.kind) {
      case 'start':
        return begin(task.wish.by, task.wish.scope);
      case 'stop':
        if (known?.state === 'running') await end(known);
        return;
      case 'send':
        if (known) await sendMissing({ context, audits, token, signal, mayGoOn: () => true }, known, task.wish);
    }

    async function begin(by: string, scope: AuditScope): Promise<void> {
      const startedAt = await redisNow(redis, context.config.redis.prefix);
      const open = await audits.open(name);
      const audit: TargetAudit = {
        id: randomUUID(),
        target: name,
        by,
        scope,
        startedAt,
        state: 'running',
        counts: noCounts,
        open,
      };
      await audits.save(audit, token);
      log.info({ target: name, by }, 'target audit started');
      await go(audit);
    }

    async function end(audit: TargetAudit): Promise<void> {
      const endedAt = await redisNow(redis, context.config.redis.prefix);
      const open = await audits.open(name);
      await audits.save({ ...audit, state: 'stopped', endedAt, open }, token, [], { isEnd: true });
    }
  }
}

type Task =
  | { readonly kind: 'wish'; readonly wish: AuditWish; readonly last: TargetAudit | undefined }
  | { readonly kind: 'resume'; readonly last: TargetAudit }
  | { readonly kind: 'scheduled'; readonly scope: AuditScope; readonly last: TargetAudit | undefined };

/** The current work for a target, if any. */
function taskOf(
  target: TargetConfig,
  wish: AuditWish | undefined,
  last: TargetAudit | undefined,
  now: number,
): Task | undefined {
  if (wish) return { kind: 'wish', wish, last };
  const isInTime = isInWindow(target, now);
  if (last?.state === 'running') {
    const mayGoOn = (last.by !== bySchedule || isInTime) && (last.waitsUntil ?? 0) <= now;
    return mayGoOn ? { kind: 'resume', last } : undefined;
  }
  const { every, since, sample = 1, content = false } = target.audit ?? {};
  if (every === undefined || !target.enabled || !isInTime) return undefined;
  if (last && now - last.startedAt < every) return undefined;
  return { kind: 'scheduled', scope: { ...(since !== undefined && { since: now - since }), sample, content }, last };
}

function isInWindow(target: TargetConfig | undefined, now: number): boolean {
  return target?.audit?.schedule === undefined || isOpen(target.audit.schedule, now);
}
