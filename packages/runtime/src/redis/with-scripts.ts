import { mastersOf, type Redis } from './connect-redis.ts';

/**
 * Does something that runs scripts inside a transaction. Redis forgets scripts (`SCRIPT FLUSH`, and by itself since 7.4); a script that runs
 * alone is sent again by ioredis, one inside of MULTI never is on the same connection. Here all that the connection knows are loaded
 * again, and the act is done once more: it has to bear that a part of it was done.
 */
export async function withScripts<T>(redis: Redis, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
  }
  const scripts = Object.values(redis.scriptsSet as Readonly<Record<string, { readonly lua: string }>>);
  for (const { redis: master } of mastersOf(redis)) {
    await Promise.all(scripts.map(({ lua }) => master.script('LOAD', lua)));
  }
  return act();
}
