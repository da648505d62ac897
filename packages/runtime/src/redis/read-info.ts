import type { Redis } from 'ioredis';

/**
 * A section of Redis' INFO, by field; undefined if the ACL user lacks the permission. In a Cluster it is that of the member
 * with our keys.
 *
 * @param prefix - the first part of all our keys
 */
export async function readInfo(
  redis: Redis,
  prefix: string,
  section: string,
): Promise<ReadonlyMap<string, string> | undefined> {
  try {
    // A script with one of our keys runs on the member with our keys.
    const text = await redis.eval(`return redis.call('INFO', ARGV[1])`, 1, `${prefix}:info`, section);
    return parseInfo(String(text));
  } catch (error) {
    if (isForbidden(error)) return undefined;
    throw error;
  }
}

/** Redis' own error messages in a script: Redis 7.0 "can't run this command", later ones and Valkey "ACL failure". */
const forbidden = /NOPERM|can't run this command|ACL failure in script|unknown command|not allowed/i;

/** Whether the ACL of this user forbids the command. */
export function isForbidden(error: unknown): boolean {
  return error instanceof Error && forbidden.test(error.message);
}

export function parseInfo(text: string): Map<string, string> {
  return new Map(
    text.split('\r\n').flatMap((line): [string, string][] => {
      const colon = line.indexOf(':');
      return colon > 0 ? [[line.slice(0, colon), line.slice(colon + 1)]] : [];
    }),
  );
}
