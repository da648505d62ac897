import { mastersOf, type Redis } from './connect-redis.ts';

/**
 * Runs a function that uses scripts inside a transaction. Redis may remove scripts (`SCRIPT FLUSH`, and automatically
 * since 7.4). ioredis sends a script again if it runs alone, but never inside of MULTI on the same connection. Here all
 * scripts that the connection knows are loaded again, and the function is repeated: it must tolerate that a part of it
 * was done.
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
