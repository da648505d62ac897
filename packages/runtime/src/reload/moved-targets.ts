import type { Config } from '@dicom-dispatch/core';
import { describeMove, TargetPlaces } from '@dicom-dispatch/state/target-places';
import type { Redis } from '../redis/connect-redis.ts';

/** Required decisions when this configuration is in use: targets with another address than before. */
export async function movedTargets(redis: Redis, config: Pick<Config, 'targets' | 'redis'>): Promise<string[]> {
  const places = new TargetPlaces(redis, config.redis.prefix);
  const verdicts = await Promise.all(
    Object.entries(config.targets).map(async ([name, target]) => {
      const verdict = await places.look(name, target);
      return verdict.kind === 'undecided' ? [describeMove(name, verdict)] : [];
    }),
  );
  return verdicts.flat();
}
