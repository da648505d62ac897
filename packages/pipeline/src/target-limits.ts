import type { TargetConfig } from '@dicom-dispatch/core';
import type { Redis } from '@dicom-dispatch/runtime';
import type { RedisKeys } from '@dicom-dispatch/state/keys';
import { z } from 'zod';
import type { OpenQueues } from './queues/open-queues.ts';
import { wakeWorkers } from './queues/wake-workers.ts';

/**
 * Limits of a target over all dispatchers. BullMQ stores them with the queue and checks them whenever a worker requests a
 * job, so a change applies immediately. This module sets them, from: the configuration; an operator, until the next reload;
 * for the concurrency also a receiver that accepts fewer (`learnt`).
 */
export interface LimitsContext {
  readonly redis: Redis;
  readonly queues: OpenQueues;
  readonly keys: RedisKeys;
}

/** Values that an operator has set instead of the configured ones. */
export interface OperatorLimits {
  readonly concurrency?: number;
  /** Null: no limit. */
  readonly deliveriesPerMinute?: number | null;
}

type ConfiguredLimits = Pick<TargetConfig, 'concurrency' | 'rateLimit'>;

const minuteMs = 60_000;
const noLimit = 'none';
export const learntLimit = z.object({ concurrency: z.int(), at: z.number() });

/** Sets the number of parallel deliveries, immediately, until the next reload. */
export async function setConcurrency(context: LimitsContext, target: string, concurrency: number): Promise<void> {
  const { redis, keys } = context;
  await redis.hset(keys.limits, concurrencyField(target), concurrency);
  await redis.hdel(keys.learnt, target);
  await writeConcurrency(context, target, concurrency);
}

/** Sets how many deliveries start per minute, immediately, until the next reload. @param rate - undefined: no limit */
export async function setRate(context: LimitsContext, target: string, rate: number | undefined): Promise<void> {
  await context.redis.hset(context.keys.limits, rateField(target), rate ?? noLimit);
  await writeRate(context, target, rate);
}

/** What an operator has set. */
export async function readOperatorLimits(context: LimitsContext, target: string): Promise<OperatorLimits> {
  const [concurrency, rate] = await context.redis.hmget(
    context.keys.limits,
    concurrencyField(target),
    rateField(target),
  );
  return {
    ...(concurrency && { concurrency: Number(concurrency) }),
    ...(rate && { deliveriesPerMinute: rate === noLimit ? null : Number(rate) }),
  };
}

/** Ends all limits that operators have set: the configuration was loaded again. */
export async function endOperatorLimits({ redis, keys }: Omit<LimitsContext, 'queues'>): Promise<void> {
  await redis.del(keys.limits);
}

/** Applies the limits of a target. If the configuration has changed them, limits of an operator or a receiver end. */
export async function applyLimits(context: LimitsContext, target: string, configured: ConfiguredLimits): Promise<void> {
  const { redis, keys } = context;
  const rate = configured.rateLimit?.deliveriesPerMinute;
  const text = `${configured.concurrency} ${rate ?? noLimit}`;
  if ((await redis.hget(keys.configuredLimits, target)) !== text) {
    await redis.hdel(keys.limits, concurrencyField(target), rateField(target));
    await redis.hdel(keys.learnt, target);
    await redis.hset(keys.configuredLimits, target, text);
  }
  const set = await readOperatorLimits(context, target);
  const learnt = learntLimit.safeParse(JSON.parse((await redis.hget(keys.learnt, target)) ?? 'null'));
  const wanted = set.concurrency ?? configured.concurrency;
  await writeConcurrency(context, target, learnt.success ? Math.min(wanted, learnt.data.concurrency) : wanted);
  await writeRate(
    context,
    target,
    set.deliveriesPerMinute === undefined ? rate : (set.deliveriesPerMinute ?? undefined),
  );
}

async function writeConcurrency({ redis, queues }: LimitsContext, target: string, concurrency: number): Promise<void> {
  const queue = queues.target(target);
  await queue.setGlobalConcurrency(concurrency);
  await wakeWorkers(redis, queue);
}

async function writeRate({ redis, queues }: LimitsContext, target: string, rate: number | undefined): Promise<void> {
  const queue = queues.target(target);
  if (rate === undefined) await queue.removeGlobalRateLimit();
  else await queue.setGlobalRateLimit(rate, minuteMs);
  await wakeWorkers(redis, queue);
}

const concurrencyField = (target: string): string => `${target} concurrency`;
const rateField = (target: string): string => `${target} rate`;
