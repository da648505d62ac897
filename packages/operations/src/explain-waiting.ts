import type { DeliveryRecord } from '@dicom-dispatch/state/records';
import { formatDuration } from '@dicom-dispatch/core';
import { describeMove } from '@dicom-dispatch/state/target-places';
import { redisNow } from '@dicom-dispatch/state/redis';
import type { Queue } from 'bullmq';
import { jobPlace, type PipelineContext } from '@dicom-dispatch/pipeline';
import { readPause } from './change-target.ts';
import { heldAmong } from './hold-delivery.ts';
import { listWorkers } from './list-workers.ts';

export type WaitingReason =
  | 'ended'
  | 'under-way'
  | 'held'
  | 'target-unknown'
  | 'target-off'
  | 'target-moved'
  | 'paused'
  | 'circuit-open'
  | 'schedule'
  | 'back-off'
  | 'turn'
  | 'arrival'
  | 'priors'
  | 'no-dispatcher'
  | 'rate-limit'
  | 'concurrency'
  | 'job-missing'
  | 'next';

export interface Explanation {
  readonly reason: WaitingReason;
  /** One sentence for an operator, without patient data. */
  readonly text: string;
  /** When this may change automatically (ms since 1970). */
  readonly until: number | undefined;
}

/** Reads each value once, by its name. */
export type AskOnce = <T>(name: string, ask: () => Promise<T>) => Promise<T>;

/** Shared by the explanations of one list, which need the current state of the same targets. */
export function askOnce(): AskOnce {
  const answers = new Map<string, Promise<unknown>>();
  return <T>(name: string, ask: () => Promise<T>) => {
    const known = answers.get(name) ?? ask();
    answers.set(name, known);
    return known as Promise<T>;
  };
}

/**
 * Why a delivery has not arrived yet, in one sentence.
 *
 * @param once - shared by the deliveries of one list
 */
export async function explainWaiting(
  context: PipelineContext,
  record: DeliveryRecord,
  once: AskOnce = askOnce(),
): Promise<Explanation> {
  if (record.state === 'active') {
    const { confirmed, total, stage, worker } = record;
    return explain(
      'under-way',
      `It is under way in stage ${stage ?? 'resolve'}: ${confirmed} of ${total} instances are confirmed${worker ? `, by ${worker}` : ''}.`,
    );
  }
  if (record.state !== 'waiting') return explain('ended', endText(record));
  if ((await heldAmong(context, [record.deliveryId])).has(record.deliveryId)) {
    return explain('held', 'It is held until somebody releases it.');
  }
  const target = context.config().targets[record.target];
  if (!target)
    return explain(
      'target-unknown',
      `The target ${record.target} is no longer in the configuration: move its deliveries to another target, or drop them.`,
    );
  if (!target.enabled) return explain('target-off', `The target ${record.target} is disabled in the configuration.`);
  const ofTarget: AskOnce = (name, ask) => once(`${name} ${record.target}`, ask);
  const verdict = await ofTarget('place', () => context.places.look(record.target, target));
  if (verdict.kind === 'undecided') return explain('target-moved', `${describeMove(record.target, verdict)}.`);
  const queue = context.queues.target(record.target);
  if (await ofTarget('is paused', () => queue.isPaused())) {
    const pause = await ofTarget('pause', () => readPause(context, record.target));
    return explain('paused', `The target ${record.target} is paused by ${pause?.by ?? 'an operator'}.`);
  }
  const circuit = await ofTarget('circuit', () => context.circuits.state(record.target));
  const now = await once('now', () => redisNow(context.redis, context.config().redis.prefix));
  if (circuit.state !== 'closed') {
    const why = circuit.error?.message ?? 'it could not be reached';
    const when = circuit.state === 'probing' ? 'is under way' : `is ${inTime(circuit.retryInMs)}`;
    return explain(
      'circuit-open',
      `The target ${record.target} cannot be used (${why}); the next attempt ${when}.`,
      circuit.nextProbeAt,
    );
  }
  const place = await jobPlace(context.redis, queue, record.deliveryId);
  if (place.state !== 'ready' && place.state !== 'active' && place.state !== 'stalled' && place.state !== 'delayed') {
    return explain(
      'job-missing',
      record.replaces === undefined
        ? 'Its job is no longer in the queue. It is added again within minutes; a retry adds it at once.'
        : 'It takes over another delivery, and gets its job when that one has ended.',
    );
  }
  const due = record.nextAttemptAt;
  return due !== undefined && due > now
    ? explainDelay(context, record, due, due - now)
    : explainQueue(context, record, queue, ofTarget);
}

async function explainDelay(
  context: PipelineContext,
  record: DeliveryRecord,
  until: number,
  dueInMs: number,
): Promise<Explanation> {
  const when = inTime(dueInMs);
  const why = record.error ? ` (${record.error.stage}: ${record.error.message})` : '';
  switch (record.wake) {
    case 'schedule': {
      const text = await lastText(context, record);
      return explain(
        'schedule',
        `It waits because it is ${text ?? 'outside its schedule'}; it continues ${when}.`,
        until,
      );
    }
    case 'turn':
      return explain(
        'turn',
        `Another delivery of this study to ${record.target} is in progress; this one continues afterwards, or checks again ${when}.`,
        until,
      );
    case 'arrival': {
      const text =
        'The study is still being received, and all received instances are sent; the delivery continues with the next instances.';
      return explain('arrival', text, until);
    }
    case 'priors':
      return explain(
        'priors',
        `Earlier studies of the patient are sent first; this delivery continues when they have arrived, or ${when} at the latest.`,
        until,
      );
    case 'circuit':
      return explain('back-off', `${record.target} could not be used${why}; the delivery continues ${when}.`, until);
    default: {
      if (record.failures === 0) {
        return explain(
          'back-off',
          `The last attempt did not succeed${why} and does not count; the next one is ${when}.`,
          until,
        );
      }
      const attempts = context.config().targets[record.target]?.attempts ?? 1;
      return explain(
        'back-off',
        `Attempt ${record.failures} of ${attempts} failed${why}; the next one is ${when}.`,
        until,
      );
    }
  }
}

async function lastText(context: PipelineContext, { deliveryId }: DeliveryRecord): Promise<string | undefined> {
  return (await context.records.events(deliveryId)).findLast(({ kind }) => kind === 'waiting')?.text;
}

async function explainQueue(
  context: PipelineContext,
  record: DeliveryRecord,
  queue: Queue,
  ofTarget: AskOnce,
): Promise<Explanation> {
  const workers = await ofTarget('workers', () => listWorkers(context));
  if (workers.length === 0) return explain('no-dispatcher', 'No dispatcher is running: start one.');
  const limitMs = await ofTarget('rate', () => queue.getRateLimitTtl());
  if (limitMs > 0) {
    const until = Date.now() + limitMs;
    return explain(
      'rate-limit',
      `The rate limit of ${record.target} is reached; the delivery continues ${inTime(limitMs)}.`,
      until,
    );
  }
  const [counts, limit] = await ofTarget('counts', () =>
    Promise.all([queue.getJobCounts('active', 'waiting', 'prioritized'), queue.getGlobalConcurrency()]),
  );
  const before = await jobsBefore(context, record, queue);
  const active = counts['active'] ?? 0;
  const allowed = limit ?? context.config().targets[record.target]?.concurrency ?? 1;
  if (active >= allowed) {
    const learnt = await ofTarget('learnt', () => context.redis.hexists(context.keys.learnt, record.target));
    const isLearnt = learnt === 1;
    return explain(
      'concurrency',
      `${record.target} ${isLearnt ? 'refuses more than' : 'takes'} ${allowed} ${allowed === 1 ? 'delivery' : 'deliveries'} at a time, and ${active} ${active === 1 ? 'is' : 'are'} under way; ${before === 0 ? 'this one is next' : `${before} come before this one`}.`,
    );
  }
  return explain(
    'next',
    before === 0 ? 'It is next in the queue.' : `${before} deliveries come before it in the queue.`,
  );
}

/** How many jobs of the queue precede it; including those of a higher priority. */
async function jobsBefore(context: PipelineContext, record: DeliveryRecord, queue: Queue): Promise<number> {
  const rank = await context.redis.zrank(queue.toKey('prioritized'), record.deliveryId);
  return rank ?? 0;
}

function endText(record: DeliveryRecord): string {
  switch (record.state) {
    case 'delivered':
      return `It is delivered: the target has confirmed all ${record.total} instances.`;
    case 'partial':
      return `${record.confirmed} of ${record.total} instances are confirmed and ${record.quarantined} are quarantined: check the reasons, then retry.`;
    case 'source-gone':
      return 'The study left the source before it could be delivered.';
    case 'moved':
      return 'Another target has taken it over.';
    case 'resolved':
      return `It did not arrive, and ${record.resolution?.by ?? 'somebody'} has resolved it: ${record.resolution?.reason ?? ''}.`;
    case 'cancelled':
      return record.error?.code === 'not-wanted'
        ? `It was cancelled automatically: ${record.error.message}. ${record.error.remedy}`
        : 'An operator cancelled it.';
    default:
      return `It failed in stage ${record.failStage ?? 'unknown'}: ${record.error?.message ?? 'no reason is known'}. ${record.error?.remedy ?? ''}`.trim();
  }
}

function inTime(leftMs: number): string {
  return leftMs <= 0 ? 'due now' : `in ${formatDuration(leftMs)}`;
}

function explain(reason: WaitingReason, text: string, until?: number): Explanation {
  return { reason, text, until };
}
