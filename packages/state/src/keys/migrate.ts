import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { redisNow } from '../redis/redis-time.ts';
import { distributeLookups } from './distribute-lookups.ts';
import { keyStudiesByOrthancId } from './key-studies-by-orthanc-id.ts';
import { markPossibleLosses } from './mark-possible-losses.ts';
import { packSharedUids } from './pack-shared-uids.ts';
import { redisKeys } from './redis-keys.ts';
import { shortenRecords } from './shorten-records.ts';

/** A step that brings the data of an older version into the format `to`. Running it again must change nothing. */
export interface Migration {
  readonly to: number;
  /** One line for the log. */
  readonly what: string;
  run(redis: Redis, prefix: string): Promise<void>;
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
    async run(redis, prefix) {
      await packSharedUids(redis, prefix);
      await markPossibleLosses(redis, prefix);
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
];

export interface FormatOptions {
  readonly migrations?: readonly Migration[];
  /** Called before each step. */
  readonly onStep?: (step: Migration) => void;
}

export interface FormatState {
  readonly version: number;
  /** Version found; undefined in an empty Redis or one from before there were versions. */
  readonly found: number | undefined;
}

const lockMs = 60_000;
const lookMs = 100;

/** The data in Redis cannot be used by this version of dicom-dispatch: a newer one has written them, or they are not all there. */
export class FormatError extends Error {
  override readonly name = 'FormatError';
}

/**
 * Migrates the data in Redis to the format of this version, once for all processes that start together.
 *
 * @throws FormatError if a newer version has written the data, which an older one could damage; while services of an
 *   older version run; while a backup is being restored
 */
export async function openFormat(redis: Redis, prefix: string, options: FormatOptions = {}): Promise<FormatState> {
  const steps = options.migrations ?? migrations;
  const version = steps.at(-1)?.to ?? 0;
  const keys = redisKeys(prefix);
  const token = `${process.pid} ${performance.now()} ${Math.random()}`;
  for (;;) {
    const found = await readFormat(redis, prefix, version);
    if (found === version) return { version, found };
    await refuseOlderServices(redis, prefix, version);
    if ((await redis.set(keys.formatLock, token, 'PX', lockMs, 'NX')) !== 'OK') {
      await sleep(lookMs);
      continue;
    }
    try {
      for (const step of steps) {
        if (step.to <= (found ?? 0)) continue;
        options.onStep?.(step);
        await redis.pexpire(keys.formatLock, lockMs);
        await step.run(redis, prefix);
        await redis.set(keys.format, step.to);
      }
    } finally {
      if ((await redis.get(keys.formatLock)) === token) await redis.del(keys.formatLock);
    }
    return { version, found };
  }
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
 * @throws FormatError if the data have another format, or a backup is only partly restored
 */
export async function checkFormat(redis: Redis, prefix: string): Promise<void> {
  const found = await readFormat(redis, prefix, currentFormat);
  if (found === undefined || found === currentFormat) return;
  throw new FormatError(
    `the data in Redis has format ${found}, this version writes ${currentFormat}: use the command line of the version whose services are running, or start the services of this version, which migrate the data`,
  );
}

async function readFormat(redis: Redis, prefix: string, version: number): Promise<number | undefined> {
  const keys = redisKeys(prefix);
  const [text, restoring] = await redis.mget(keys.format, keys.restoring);
  if (restoring) {
    throw new FormatError(
      `the backup ${restoring} is being restored, or its restore was interrupted: wait until it ends, or run the same "dispatch restore" again`,
    );
  }
  const found = text ? Number(text) : undefined;
  if (found !== undefined && found > version) {
    throw new FormatError(
      `the data in Redis has format ${found}, this version supports up to ${version}: start the newer version again, or restore a backup from before the upgrade`,
    );
  }
  return found;
}
