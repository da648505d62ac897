import type { Config, Problem } from '@dicom-dispatch/core';
import { listWorkers } from '@dicom-dispatch/operations';
import { openPipeline } from '@dicom-dispatch/pipeline';
import { findEmbeddedRedis, movedTargets, namesRedis, openRedis, type Redis } from '@dicom-dispatch/runtime';
import { readFeedState, type FeedState } from '@dicom-dispatch/state/feed';

const connectWithinMs = 1_500;

/**
 * Warnings that require the running system: targets that have moved, a `startFrom` that is too late, a lower concurrency
 * of a target than the number of dispatchers. None if Redis does not respond.
 */
export async function liveWarnings(config: Config): Promise<Problem[]> {
  try {
    const place = namesRedis(config.redis) ? config.redis : await findEmbeddedRedis(config.redis.dataFolder);
    if (place === undefined) return [];
    const redis = await openRedis(place, 'cli', connectWithinMs);
    try {
      const moved = await movedTargets(redis, config);
      return [
        ...moved.map((message) => ({ path: ['targets'], message })),
        ...(await startFromWarnings(redis, config)),
        ...(await concurrencyWarnings(redis, config)),
      ];
    } finally {
      redis.disconnect();
    }
  } catch {
    return [];
  }
}

/** `startFrom` is only used when a source is followed for the first time. */
async function startFromWarnings(redis: Redis, config: Config): Promise<Problem[]> {
  const problems = await Promise.all(
    Object.entries(config.sources).map(async ([name, { startFrom }]): Promise<Problem[]> => {
      const state = await readFeedState(redis, config.redis.prefix, name);
      if (!state || isAsStarted(startFrom, state)) return [];
      const since = state.since === '' ? 'with everything' : `with studies since ${state.since}`;
      const message = `${startFrom} has no effect: following of this source started ${since}; send older studies by \`dispatch route\``;
      return [{ path: ['sources', name, 'startFrom'], message }];
    }),
  );
  return problems.flat();
}

function isAsStarted(startFrom: string, { since }: FeedState): boolean {
  if (startFrom === 'everything') return since === '';
  // `since` is the time of the first start.
  if (startFrom === 'now') return since !== '';
  return since.startsWith(startFrom.replaceAll('-', ''));
}

async function concurrencyWarnings(redis: Redis, config: Config): Promise<Problem[]> {
  const { length } = await listWorkers(openPipeline(config, redis));
  return Object.entries(config.targets).flatMap(([name, { enabled, concurrency }]) => {
    if (!enabled || concurrency >= length) return [];
    const message = `${concurrency} parallel deliveries over all dispatchers, and ${length} dispatchers are running: some of them get no delivery for this target`;
    return [{ path: ['targets', name, 'concurrency'], message }];
  });
}
