import { redisKeys } from '@dicom-dispatch/state/keys';
import { z } from 'zod';
import { oneProblem } from '../config/config-error.ts';
import type { Redis } from '../redis/connect-redis.ts';
import { configDigest, type ConfigVersion } from './current-config.ts';
import type { SealKey } from './seal.ts';

/** The format of written data; a newer one is rejected. */
export const redisConfigFormat = 1;
/** Maximum number of versions in Redis; older ones are removed. */
export const maxRedisVersions = 200;

/** On a host without a key the import creates a new one. */
const importAgain = 'import the configuration again with "dispatch config import --replace FILE"';

/** A version as it is in Redis and in the copy on a disk. */
export interface RedisVersion extends ConfigVersion {
  /** Id of a history, created by its first import. Versions of another history belong to another configuration. */
  readonly lineage: string;
  /** Signature of all other fields with the key of the installation. */
  readonly signed: string;
}

export const redisVersion = z.object({
  format: z.coerce.number().int(),
  lineage: z.string(),
  number: z.coerce.number().int().min(1),
  at: z.coerce.number(),
  author: z.string(),
  reason: z.string(),
  digest: z.string(),
  text: z.string(),
  signed: z.string(),
});

/** The signed data: with write access to Redis, but without the key, nobody can replace the text. */
export function signedText(version: Omit<RedisVersion, 'signed' | 'text'>): string {
  const { lineage, number, at, author, reason, digest } = version;
  return JSON.stringify([redisConfigFormat, lineage, number, at, author, reason, digest]);
}

/**
 * Reads a version from its fields.
 *
 * @param where - location of the version, for error messages
 * @throws ConfigError when it is of a newer format, damaged, or signed with another key
 */
export async function readRedisVersion(
  fields: Readonly<Record<string, unknown>>,
  key: SealKey,
  where: string,
): Promise<RedisVersion> {
  const format = Number(fields['format']);
  if (format > redisConfigFormat) {
    throw oneProblem(
      where,
      `has format ${format}, this version of dicom-dispatch knows up to ${redisConfigFormat}: update it on this host`,
    );
  }
  const { data: version } = redisVersion.safeParse(fields);
  if (!version || configDigest(version.text) !== version.digest) throw oneProblem(where, `is damaged: ${importAgain}`);
  let isSigned: boolean;
  try {
    isSigned = await key.isSigned(signedText(version), version.signed);
  } catch (error) {
    throw oneProblem(where, `${(error as Error).message}; if no host has it any more, ${importAgain}`);
  }
  if (isSigned) return version;
  throw oneProblem(
    where,
    `is not signed with the key ${key.path}: copy the key from the host that imported the configuration; if that is this host, somebody else has written it: look who can write to Redis, then ${importAgain}`,
  );
}

/** Identifies a version in Redis as stored; empty: there is none. */
export type RedisPlace = Readonly<Record<'digest' | 'number', string>>;

/**
 * If an identical version is stored, this script has written it, and was sent again because the connection was lost
 * before the response.
 */
const replaceScript = `
if redis.call('HGET', KEYS[1], 'signed') == ARGV[3] then return 1 end
local now = redis.call('HMGET', KEYS[1], 'digest', 'number')
if (now[1] or '') ~= ARGV[1] or (now[2] or '') ~= ARGV[2] then return 0 end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('HSET', KEYS[1], 'signed', unpack(ARGV, 3))
redis.call('HSET', KEYS[2], 'signed', unpack(ARGV, 3))
redis.call('DEL', KEYS[3])
return 1
`;

/**
 * Makes a version the configuration, if the replaced one has not changed.
 *
 * @param now - the replaced version
 * @returns whether it was done, now or before
 */
export async function replaceRedisVersion(
  redis: Redis,
  prefix: string,
  now: RedisPlace,
  { signed, ...next }: RedisVersion,
): Promise<boolean> {
  const keys = redisKeys(prefix);
  const fields = Object.entries({ format: redisConfigFormat, ...next }).flat();
  const oldest = keys.configurationVersion(Math.max(0, next.number - maxRedisVersions));
  const done = await redis.eval(
    replaceScript,
    3,
    keys.configuration,
    keys.configurationVersion(next.number),
    oldest,
    now.digest,
    now.number,
    signed,
    ...fields,
  );
  return done === 1;
}
