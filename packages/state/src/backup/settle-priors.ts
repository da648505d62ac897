import { redisKeys } from '../keys/redis-keys.ts';
import type { PriorsStep } from '../priors/index.ts';
import type { RedisClient } from '../redis/redis-client.ts';
import { run } from './write-entries.ts';

const atOnce = 500;
/**
 * In steps that were older than this when the backup began, a missing delivery counts as sent: its record was removed.
 */
const recentMs = 86_400_000;

/**
 * Makes restored steps of priors consistent with the existing deliveries, and adds open ones to their index. A step
 * whose study has no delivery is removed: it starts again when the study is routed again. A prior that was sent by a
 * missing delivery is sent again.
 *
 * @param names - keys of steps without the prefix
 * @param times - ms since 1970: now, and when the backup began
 * @returns keys with a damaged step, which stays as it is
 */
export async function settlePriors(
  redis: RedisClient,
  prefix: string,
  names: readonly string[],
  { now, madeAt }: { readonly now: number; readonly madeAt: number },
): Promise<string[]> {
  const { index } = redisKeys(prefix);
  const damaged = new Set<string>();
  for (let from = 0; from < names.length; from += atOnce) {
    const found = await readSteps(
      redis,
      names.slice(from, from + atOnce).map((name) => `${prefix}:${name}`),
      damaged,
    );
    const there = await deliveriesThere(
      redis,
      prefix,
      found.flatMap(({ step }) => [step.deliveryId, ...step.chosen.flatMap(({ deliveryId }) => deliveryId ?? [])]),
    );
    const pipeline = redis.pipeline();
    for (const { key, step } of found) {
      const { id, source, orthancStudyId, openedAt } = step;
      if (!there.has(step.deliveryId)) {
        pipeline.hdel(key, id, `${id} lock`, `${id} without`);
        continue;
      }
      const settled = openedAt < madeAt - recentMs ? step : toBeSent(step, there);
      if (settled !== step) pipeline.hset(key, id, JSON.stringify(settled));
      if (settled.state !== 'done') pipeline.zadd(index('priors'), now, `${source} ${orthancStudyId} ${id}`);
    }
    await run(pipeline);
  }
  return [...damaged];
}

/** Fields with a space contain details of a step. Keys of damaged steps are added to `damaged`. */
async function readSteps(
  redis: RedisClient,
  keys: readonly string[],
  damaged: Set<string>,
): Promise<{ readonly key: string; readonly step: PriorsStep }[]> {
  const pipeline = redis.pipeline();
  for (const key of keys) pipeline.hgetall(key);
  const hashes = (await run(pipeline)) as Record<string, string>[];
  return keys.flatMap((key, at) =>
    Object.entries(hashes[at] ?? {}).flatMap(([field, text]) => {
      if (field.includes(' ')) return [];
      const step = readStep(text);
      if (!step) damaged.add(key);
      return step ? [{ key, step }] : [];
    }),
  );
}

/** @returns undefined if it is damaged */
function readStep(text: string): PriorsStep | undefined {
  try {
    const step = JSON.parse(text) as Partial<PriorsStep> | null;
    return typeof step?.deliveryId === 'string' && Array.isArray(step.chosen) ? (step as PriorsStep) : undefined;
  } catch {
    return undefined;
  }
}

async function deliveriesThere(redis: RedisClient, prefix: string, ids: readonly string[]): Promise<Set<string>> {
  const all = [...new Set(ids)];
  const pipeline = redis.pipeline();
  for (const id of all) pipeline.exists(redisKeys(prefix).delivery(id));
  const answers = await run(pipeline);
  return new Set(all.filter((_, at) => answers[at] === 1));
}

/** Makes sent priors without a delivery `chosen` again; returns the same step if there are none. */
function toBeSent(step: PriorsStep, there: ReadonlySet<string>): PriorsStep {
  const isLost = ({ state, deliveryId }: PriorsStep['chosen'][number]): boolean =>
    state === 'sent' && deliveryId !== undefined && !there.has(deliveryId);
  if (!step.chosen.some(isLost)) return step;
  const { nextAttemptAt: _, ...rest } = step;
  const chosen = step.chosen.map((prior) => {
    if (!isLost(prior)) return prior;
    const { deliveryId: __, ...others } = prior;
    return { ...others, state: 'chosen' as const };
  });
  return { ...rest, state: 'sending', attempts: 0, chosen };
}
