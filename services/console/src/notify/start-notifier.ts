import { redisKeys } from '@dicom-dispatch/state/keys';
import { OutgoingFailures } from '@dicom-dispatch/state/outgoing';
import { randomUUID } from 'node:crypto';
import type { EmailConfig, NotificationKind, NotificationsConfig } from '@dicom-dispatch/core';
import { closeWorker, workerOptions } from '@dicom-dispatch/runtime';
import { UnrecoverableError, Worker, type Job } from 'bullmq';
import type { ConsoleContext } from '../console-context.ts';
import type { StudyLabel } from '../source/source-lookup.ts';
import type { Notification } from './notification.ts';
import { notifyJob, notifyQueue, Outbox } from './outbox.ts';
import { receiversOf, type Receiver } from './receivers.ts';
import { watchDeliveries } from './watch-deliveries.ts';
import { watchHealth } from './watch-health.ts';
import { watchTargets } from './watch-targets.ts';
import { watchWeek } from './weekly-summary.ts';

/** Interval of checks, and duration of the lease of the console that checks. */
const lookMs = 2_000;
const leaseMs = 15_000;
const lockTimeMs = 30_000;
const empty: NotificationsConfig = { webhooks: {}, emails: {}, smtp: undefined, backlogOlderThan: 0 };

export interface Notifier {
  stop(): Promise<void>;
}

/**
 * Sends notifications. One console at a time checks for events; any of them sends, through a queue
 * with retries, so that nothing is lost if a receiver or a console is unavailable.
 */
export function startNotifier(context: ConsoleContext): Notifier {
  const { redis, operations, log } = context;
  const { prefix } = context.config().redis;
  const outbox = new Outbox(redis, prefix);
  const failures = new OutgoingFailures(redis, prefix);
  const token = randomUUID();
  const worker = new Worker(notifyQueue, (job: Job) => send(job), workerOptions(redis, prefix, 4, lockTimeMs));
  worker.on('error', () => {});
  worker.on('failed', (job, error) =>
    log.warn(
      { receiver: (job?.data as { receiver?: string } | undefined)?.receiver, reason: error.message },
      'a notification was not sent',
    ),
  );
  void worker.run().catch((error: unknown) => log.error({ err: error }, 'notifications ended'));
  /** Names of the receivers at the last check; undefined before the first. */
  let known: string | undefined;
  let isStopped = false;
  let timer = setTimeout(runOnce, 0);
  let looking: Promise<void> = Promise.resolve();

  return {
    async stop() {
      isStopped = true;
      clearTimeout(timer);
      await Promise.all([looking, closeWorker(worker, redis)]);
      await outbox.close();
    },
  };

  function runOnce(): void {
    looking = look()
      .catch((error: unknown) => log.debug({ err: error }, 'events could not be read'))
      .finally(() => {
        if (!isStopped) timer = setTimeout(runOnce, lookMs);
      });
  }

  async function look(): Promise<void> {
    if (redis.status !== 'ready') return;
    const all = receivers();
    const names = all.map(({ name }) => name);
    if (names.join() !== known) {
      // Failures of the audit log are managed by its forwarding.
      await failures.drop((name) => !name.startsWith('audit-') && !names.includes(name));
      known = names.join();
    }
    if (all.length === 0 || !(await lead())) return;
    const wanted = new Set(all.flatMap((receiver) => receiver.wanted.on)) as ReadonlySet<NotificationKind>;
    const looks = [
      await watchDeliveries(operations, wanted),
      await watchTargets(operations, settings().backlogOlderThan),
      await watchHealth(operations, context.health),
      ...(wanted.has('weekly-summary') ? [await watchWeek(operations)] : []),
    ];
    const news = looks.flatMap(({ notifications }) => notifications);
    for (const {
      name,
      wanted: { on, targets, digest },
    } of all) {
      const meant = news.filter(
        ({ kind, target }) =>
          kind !== 'test' && on.includes(kind) && (targets === undefined || targets.includes(target)),
      );
      await outbox.gather(name, meant, digest);
    }
    // Only now: after a crash before this, a console detects all events again, and the outbox ignores duplicates.
    for (const { remember } of looks) await remember();
    await outbox.forgetNotified();
  }

  /** Whether this console runs the checks. */
  async function lead(): Promise<boolean> {
    const key = redisKeys(prefix).notify('leader');
    if ((await redis.set(key, token, 'PX', leaseMs, 'NX')) === 'OK') return true;
    if ((await redis.get(key)) !== token) return false;
    await redis.pexpire(key, leaseMs);
    return true;
  }

  async function send(job: Job): Promise<void> {
    const { receiver: name, bundle } = notifyJob.parse(job.data);
    const receiver = receivers().find((one) => one.name === name);
    if (!receiver) throw new UnrecoverableError(`${name} is no longer configured`);
    const notifications = await outbox.take(name, bundle);
    try {
      if (notifications.length > 0) await receiver.send(job.id ?? '', notifications);
    } catch (error) {
      await failures.failed(name, error instanceof Error ? error.message : 'unknown error');
      throw error;
    }
    await outbox.done(name, bundle);
    if (notifications.length === 0) return;
    // An error here does not fail the job: the notifications would be sent again.
    await failures.succeeded(name).catch((error: unknown) => {
      log.warn({ receiver: name, err: error }, 'a noted failure was not cleared');
    });
  }

  function settings(): NotificationsConfig {
    return context.config().console.notifications ?? empty;
  }

  function receivers(): Receiver[] {
    return receiversOf(settings(), context.consoleUrl(), labels);
  }

  /** Patient data, only if enabled, read from the source now. */
  async function labels(
    { patientData }: Pick<EmailConfig, 'patientData'>,
    list: readonly Notification[],
  ): Promise<Map<string, StudyLabel>> {
    const found = new Map<string, StudyLabel>();
    if (!patientData) return found;
    const bySource = Map.groupBy(list.slice(0, 100), ({ source }) => source ?? '');
    for (const [source, ones] of bySource) {
      const ids = [...new Set(ones.flatMap(({ orthancStudyId }) => orthancStudyId ?? []))];
      if (source === '' || ids.length === 0) continue;
      for (const label of (
        await context.lookup.readLabels(source, ids).catch(() => new Map<string, StudyLabel>())
      ).values()) {
        found.set(`${source} ${label.orthancStudyId}`, label);
      }
    }
    return found;
  }
}
