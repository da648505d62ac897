import { randomUUID } from 'node:crypto';
import { OperationError, type PipelineContext } from '@dicom-dispatch/pipeline';
import {
  scanNames,
  settlePriors,
  writeKeys,
  writeStudies,
  type KeyEntry,
  type StudyEntry,
} from '@dicom-dispatch/state/backup';
import { currentFormat } from '@dicom-dispatch/state/keys';
import { redisNow } from '@dicom-dispatch/state/redis';
import { readProcesses } from '../health/look-at-services.ts';
import { BackupFileError, type BackupCounts, type BackupHead } from './backup-lines.ts';
import { checkBackup, readBackup } from './read-backup.ts';

export interface RestoreOptions {
  /** Removes existing data under the prefix first. */
  readonly replace: boolean;
  /** Called periodically with the number of restored studies. */
  readonly onProgress?: (studies: number) => void;
}

/** Which version of a configuration in Redis. */
export interface VersionName {
  readonly number: string;
  /** ms since 1970 */
  readonly at: number;
}

export interface RestoredBackup extends BackupHead, BackupCounts {
  /** There was another configuration in Redis: it was kept, and that of the backup was not restored. */
  readonly kept?: { readonly inRedis: VersionName; readonly ofBackup: VersionName } | undefined;
  /** Keys of damaged records, which were restored as they are. */
  readonly damaged: readonly string[];
}

/** Texts in one round trip. */
const textsAtOnce = 20_000;

/**
 * Restores a backup into Redis and marks the data as those of an earlier time: routers complete them from their notes, or
 * continue where the backup ends, and sweep (docs/decisions/0015-lost-redis.md). Reconciliation adds the jobs. No service
 * starts until everything is restored; an interrupted restore can be repeated.
 *
 * A configuration in Redis (`configuration: redis`) that differs from that of the backup is kept, with its versions, unless
 * `replace` is set: it may be the newest one of other hosts.
 *
 * @throws BackupFileError before anything is changed, if the file is damaged or its data are newer than this version
 * @throws OperationError `conflict` if services run, or if Redis has data, without `replace` and an interrupted restore
 */
export async function restoreBackup(
  context: PipelineContext,
  file: string,
  { replace, onProgress }: RestoreOptions,
): Promise<RestoredBackup> {
  const { redis, keys, config, queues } = context;
  const { prefix } = config().redis;
  const backup = await checkBackup(file);
  if (backup.format > currentFormat) {
    throw new BackupFileError(
      `its data has format ${backup.format}, this version supports up to ${currentFormat}: restore it with version ${backup.version} or newer`,
    );
  }
  await refuseRunning(context);
  const isInterrupted = (await redis.get(keys.restoring)) !== null;
  if (await hasData(context)) {
    if (!replace && !isInterrupted) {
      throw new OperationError(
        'conflict',
        `Redis has data under ${prefix}: make a backup of it, then restore with --replace, which removes it`,
      );
    }
    await redis.set(keys.restoring, file);
    await removeAll(context, replace);
  }
  await redis.set(keys.restoring, file);
  const now = await redisNow(redis, prefix);
  const waiting: { keys: KeyEntry[]; studies: StudyEntry[]; size: number } = { keys: [], studies: [], size: 0 };
  const priors: string[] = [];
  const damaged: string[] = [];
  const configuration: KeyEntry[] = [];
  let studies = 0;
  const flush = async (): Promise<void> => {
    await writeKeys(redis, prefix, waiting.keys, now);
    damaged.push(...(await writeStudies(redis, prefix, waiting.studies, now)));
    studies += waiting.studies.length;
    if (waiting.studies.length > 0) onProgress?.(studies);
    Object.assign(waiting, { keys: [], studies: [], size: 0 });
  };
  for await (const part of readBackup(file)) {
    if (part.kind === 'key' && part.key.name.startsWith('priors:')) priors.push(part.key.name);
    if (part.kind === 'key') (isConfiguration(part.key.name) ? configuration : waiting.keys).push(part.key);
    else if (part.kind === 'study') waiting.studies.push(part.study);
    waiting.size += part.kind === 'key' ? sizeOf(part.key) : part.kind === 'study' ? sizeOf(...part.study.keys) : 0;
    if (waiting.size >= textsAtOnce) await flush();
  }
  await flush();
  const kept = replace ? undefined : await otherConfiguration(context, configuration);
  if (!kept) await writeKeys(redis, prefix, configuration, now);
  damaged.push(...(await settlePriors(redis, prefix, priors, { now, madeAt: backup.madeAt })));
  for (const target of backup.pausedTargets) {
    if (config().targets[target]) await queues.target(target).pause();
  }
  const lost = JSON.stringify({ kind: 'older', at: now, by: 'dispatch restore' });
  await redis
    .multi()
    .hsetnx(keys.generation, 'id', randomUUID())
    .hset(keys.generation, 'lost', lost)
    .hdel(keys.generation, 'asks', 'answer', 'report')
    .del(keys.restoring)
    .exec();
  return { ...backup, kept, damaged };
}

/**
 * Restores only the configuration of a backup into Redis, where `configuration: redis` stores it.
 *
 * @throws BackupFileError if the file is damaged, or has none
 */
export async function restoreConfiguration({ redis, config }: PipelineContext, file: string): Promise<void> {
  const { prefix } = config().redis;
  let found: KeyEntry | undefined;
  for await (const part of readBackup(file))
    if (part.kind === 'key' && part.key.name === 'configuration') found = part.key;
  if (!found) {
    throw new BackupFileError(
      'there is no configuration in it: bring one to Redis with "dispatch config import FILE" first',
    );
  }
  await writeKeys(redis, prefix, [found], await redisNow(redis, prefix));
}

/** The configuration in use and its versions. */
function isConfiguration(name: string): boolean {
  return name === 'configuration' || name.startsWith('configuration-version:');
}

/** The versions of the configuration in Redis and in the backup; undefined if they are the same, or one of them is missing. */
async function otherConfiguration(
  { redis, keys }: PipelineContext,
  entries: readonly KeyEntry[],
): Promise<RestoredBackup['kept']> {
  const values = entries.find(({ name }) => name === 'configuration')?.values;
  if (!values) return undefined;
  const field = (name: string): string => values.find((_, at) => at % 2 === 1 && values[at - 1] === name) ?? '';
  const [number, at, signed] = await redis.hmget(keys.configuration, 'number', 'at', 'signed');
  if (signed === null || signed === undefined || signed === field('signed')) return undefined;
  return {
    inRedis: { number: number ?? '', at: Number(at) },
    ofBackup: { number: field('number'), at: Number(field('at')) },
  };
}

/** @throws OperationError `conflict` */
async function refuseRunning(context: PipelineContext): Promise<void> {
  const now = await redisNow(context.redis, context.config().redis.prefix);
  const running = await readProcesses(context, now);
  if (running.length === 0) return;
  const names = running.map(({ services, host, pid }) => `${services.join(' and ')} on ${host} (process ${pid})`);
  throw new OperationError(
    'conflict',
    `services run: ${names.join(', ')}. Stop them first. A killed service counts as running for 20 s`,
  );
}

/** Whether Redis has data that a restore would have to remove. */
async function hasData({ redis, config }: PipelineContext): Promise<boolean> {
  for await (const names of scanNames(redis, config().redis.prefix))
    if (names.some((name) => !isIdle(name))) return true;
  return false;
}

/** What processes and commands leave behind in a Redis that they found empty; `meta` is BullMQ's. */
function isIdle(name: string): boolean {
  return /^(restoring|configuration.*|processes|generation.*|process:.*|cache:.*|sessions?.*|sign-in:.*|(study|target-[^:]+):meta)$/.test(
    name,
  );
}

/** @param configuration - whether to remove the configuration too */
async function removeAll({ redis, config, keys }: PipelineContext, configuration: boolean): Promise<void> {
  const { prefix } = config().redis;
  for await (const names of scanNames(redis, prefix)) {
    const all = names
      .filter((name) => configuration || !isConfiguration(name))
      .map((name) => `${prefix}:${name}`)
      .filter((key) => key !== keys.restoring);
    if (all.length > 0) await redis.unlink(...all);
  }
}

function sizeOf(...entries: readonly KeyEntry[]): number {
  return entries.reduce((sum, { values }) => sum + 1 + values.length, 0);
}
