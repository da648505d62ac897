import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { redisNow } from '../redis/redis-time.ts';
import { defineScript } from '../redis/script.ts';
import { distributeLookups } from './distribute-lookups.ts';
import { keyStudiesByOrthancId } from './key-studies-by-orthanc-id.ts';
import { markPossibleLosses } from './mark-possible-losses.ts';
import { packSharedUids } from './pack-shared-uids.ts';
import { redisKeys } from './redis-keys.ts';
import { shortenRecords } from './shorten-records.ts';
import type { StepContext } from './step-context.ts';

/** A step that brings the data of an older version into the format `to`. Running it again must change nothing. */
export interface Migration {
  readonly to: number;
  /** One line for the log. */
  readonly what: string;
  run(redis: Redis, prefix: string, context?: StepContext): Promise<void>;
}

/** In ascending order. The last one is the format of this version. */
export const migrations: readonly Migration[] = [
  {
    to: 1,
    what: 'write the version of the format',
    async run() {},
  },
  {
    to: 2,
    what: "know studies by Orthanc's id instead of their Study Instance UID",
    run: keyStudiesByOrthancId,
  },
  {
    to: 3,
    what: 'fold the ledgers of finished deliveries, little by little in the background',
    // Ledgers in hashes can still be read; a previous version would ignore folded ones.
    async run(redis, prefix) {
      await redis.set(redisKeys(prefix).ledgerFolding, '', 'NX');
    },
  },
  {
    to: 4,
    what: 'pack the index of SOP Instance UIDs, and mark deliveries of which the target may have lost an instance',
    async run(redis, prefix, context) {
      await packSharedUids(redis, prefix, context);
      await markPossibleLosses(redis, prefix, context);
    },
  },
  {
    to: 5,
    what: 'write folded ledgers in a smaller form',
    // Folded ledgers are read as before; a previous version cannot read new ones.
    async run() {},
  },
  {
    to: 6,
    what: 'write the records of studies and deliveries in a smaller form',
    run: shortenRecords,
  },
  {
    to: 7,
    what: 'distribute the indexes of Study Instance UIDs and of search hashes over small hashes',
    run: distributeLookups,
  },
  {
    to: 8,
    what: 'write folded ledgers and the timelines of ended deliveries in a smaller form',
    // Former ones are read as before, and rewritten when they change; a previous version cannot read new ones.
    async run() {},
  },
];

export interface FormatOptions {
  readonly migrations?: readonly Migration[];
  /** Called before each step. */
  readonly onStep?: (step: Migration) => void;
  /** Called once with the key of each record that cannot be converted, for at most 100 of them. */
  readonly onDamaged?: (key: string) => void;
  /** Called once if there are more. */
  readonly onMoreDamaged?: () => void;
}

export interface FormatState {
  readonly version: number;
  /** Version found; undefined in an empty Redis or one from before there were versions. */
  readonly found: number | undefined;
}

const lockMs = 60_000;
const maxNamed = 100;
const lookMs = 100;

/** The data in Redis cannot be used by this version of dicom-dispatch: a newer one has written them, or they are not all there. */
export class FormatError extends Error {
  override readonly name = 'FormatError';
}

/**
 * Begins a step: an older version sees its format from now on, and rejects the data. The format only ever rises.
 *
 * KEYS: lock, format, pending. ARGV: token, format of the step, duration of the lock. Returns whether the lock is held.
 */
const beginScript = defineScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if tonumber(redis.call('GET', KEYS[2]) or 0) < tonumber(ARGV[2]) then redis.call('SET', KEYS[2], ARGV[2]) end
redis.call('SET', KEYS[3], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
`);

/** KEYS: lock, pending. ARGV: token. Returns whether the lock was held until the end of the step. */
const completeScript = defineScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[2])
return 1
`);

/** KEYS: lock. ARGV: token, duration. Returns whether the lock is held. */
const renewScript = defineScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
`);

/** KEYS: lock. ARGV: token. */
const releaseScript = defineScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
`);

/** The lock expired during a step, e.g. because the process was suspended: another process may be migrating. */
class LockLostError extends Error {
  override readonly name = 'LockLostError';
}

/**
 * Migrates the data in Redis to the format of this version, once for all processes that start together. A step that was
 * interrupted is run again.
 *
 * @throws FormatError if a newer version has written the data, which an older one could damage; while services of an
 *   older version run; while a backup is being restored
 */
export async function openFormat(redis: Redis, prefix: string, options: FormatOptions = {}): Promise<FormatState> {
  const steps = options.migrations ?? migrations;
  const version = steps.at(-1)?.to ?? 0;
  const { formatLock } = redisKeys(prefix);
  const token = `${process.pid} ${performance.now()} ${Math.random()}`;
  const { found } = await readFormat(redis, prefix, version);
  for (;;) {
    if ((await readFormat(redis, prefix, version)).found === version) return { version, found };
    await refuseOlderServices(redis, prefix, version);
    if ((await redis.set(formatLock, token, 'PX', lockMs, 'NX')) !== 'OK') {
      await sleep(lookMs);
      continue;
    }
    try {
      await migrate(redis, prefix, token, { ...options, migrations: steps });
    } catch (error) {
      if (!(error instanceof LockLostError)) throw error;
    } finally {
      await releaseScript.run(redis, [formatLock], [token]);
    }
  }
}

/** @throws LockLostError if another process may be migrating */
async function migrate(
  redis: Redis,
  prefix: string,
  token: string,
  { migrations: steps, onStep, ...reports }: FormatOptions & { readonly migrations: readonly Migration[] },
): Promise<void> {
  const { format, formatLock, formatPending } = redisKeys(prefix);
  const version = steps.at(-1)?.to ?? 0;
  async function held(answer: Promise<unknown>): Promise<void> {
    if ((await answer) !== 1) throw new LockLostError('the lock of the migration has expired');
  }
  // Another process may have migrated, or may have been started, since the format was read without the lock.
  const { found = 0 } = await readFormat(redis, prefix, version);
  await refuseOlderServices(redis, prefix, version);
  const context: StepContext = {
    renew: () => held(renewScript.run(redis, [formatLock], [token, lockMs])),
    onDamaged: reportDamaged(reports),
  };
  for (const step of steps) {
    if (step.to <= found) continue;
    onStep?.(step);
    await held(beginScript.run(redis, [formatLock, format, formatPending], [token, step.to, lockMs]));
    // One that was started since the last look has seen the former format; from now on none can. Nothing has been converted yet.
    await refuseOlderServices(redis, prefix, version);
    await step.run(redis, prefix, context);
    await held(completeScript.run(redis, [formatLock, formatPending], [token]));
  }
}

/** Several steps find the same damaged record, and a scan may return it twice: each is named once. */
function reportDamaged({
  onDamaged,
  onMoreDamaged,
}: Pick<FormatOptions, 'onDamaged' | 'onMoreDamaged'>): StepContext['onDamaged'] {
  const named = new Set<string>();
  let areMore = false;
  return (key) => {
    if (named.has(key) || areMore) return;
    if (named.size < maxNamed) {
      named.add(key);
      onDamaged?.(key);
    } else {
      areMore = true;
      onMoreDamaged?.();
    }
  };
}

/** How long a process that does not beat any more counts as running. */
const runsForMs = 20_000;

/** Running services of an older version could not read migrated data. */
async function refuseOlderServices(redis: Redis, prefix: string, version: number): Promise<void> {
  const keys = redisKeys(prefix);
  const since = (await redisNow(redis, prefix)) - runsForMs;
  const ids = await redis.zrangebyscore(keys.processes, since, '+inf');
  const texts = ids.length > 0 ? await redis.mget(ids.map((id) => keys.process(id))) : [];
  const older = texts.flatMap((text) => {
    const { services = [], host, pid, format = 0 } = JSON.parse(text ?? '{}') as AboutProcess;
    return text && format < version ? [`${services.join(' and ')} on ${host} (process ${pid})`] : [];
  });
  if (older.length === 0) return;
  throw new FormatError(
    `services of an older version run: ${older.join(', ')}. Stop them first: this version migrates the data in Redis to format ${version}, which the older version cannot read`,
  );
}

/** The data of a process (`RedisWatch`) that are used here. */
interface AboutProcess {
  readonly services?: readonly string[];
  readonly host?: string;
  readonly pid?: number;
  readonly format?: number;
}

/** The format of this version. */
export const currentFormat = migrations.at(-1)?.to ?? 0;

/**
 * For commands, which do not migrate: checks whether this version can read the data in Redis. Changes nothing.
 *
 * @throws FormatError if the data have another format or are being migrated, or a backup is only partly restored
 */
export async function checkFormat(redis: Redis, prefix: string): Promise<void> {
  const { found, pending } = await readFormat(redis, prefix, currentFormat);
  if (pending !== undefined) {
    throw new FormatError(
      `the data in Redis are being migrated to format ${pending}, or this was interrupted: start the services of this version, which complete it, and wait until they are ready`,
    );
  }
  if (found === undefined || found === currentFormat) return;
  throw new FormatError(
    `the data in Redis has format ${found}, this version writes ${currentFormat}: use the command line of the version whose services are running, or start the services of this version, which migrate the data`,
  );
}

interface FoundFormat {
  /** The format that all data have at least. */
  readonly found: number | undefined;
  /** The step that has begun and has not ended. */
  readonly pending: number | undefined;
}

async function readFormat(redis: Redis, prefix: string, version: number): Promise<FoundFormat> {
  const keys = redisKeys(prefix);
  const [text, pendingText, restoring] = await redis.mget(keys.format, keys.formatPending, keys.restoring);
  if (restoring) {
    throw new FormatError(
      `the backup ${restoring} is being restored, or its restore was interrupted: wait until it ends, or run the same "dispatch restore" again`,
    );
  }
  const format = text ? Number(text) : undefined;
  const pending = pendingText ? Number(pendingText) : undefined;
  const highest = Math.max(format ?? 0, pending ?? 0);
  if (highest > version) {
    throw new FormatError(
      `the data in Redis has format ${highest}, this version supports up to ${version}: start the newer version again, or restore a backup from before the upgrade`,
    );
  }
  const found = format === undefined || pending === undefined ? format : Math.min(format, pending - 1);
  return { found, pending };
}
