import { createWriteStream } from 'node:fs';
import { open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createGzip, gunzipSync } from 'node:zlib';
import { OperationError, type PipelineContext } from '@dicom-dispatch/pipeline';
import { readKeys, readStudies, scanNames, type StudyEntry } from '@dicom-dispatch/state/backup';
import { backupOf, checkFormat, currentFormat } from '@dicom-dispatch/state/keys';
import { redisNow } from '@dicom-dispatch/state/redis';
import {
  endLine,
  headBeginning,
  headLine,
  keyLine,
  sections,
  SectionSum,
  studyLine,
  type BackupCounts,
  type Section,
} from './backup-lines.ts';

export interface MadeBackup extends BackupCounts {
  /** By the clock of Redis (ms since 1970). */
  readonly madeAt: number;
  readonly bytes: number;
  /** Keys of damaged records; the backup contains them as they are. */
  readonly damaged: readonly string[];
}

export interface BackupOptions {
  /** Of dicom-dispatch. */
  readonly version: string;
  /** Called periodically with the number of written studies. */
  readonly onProgress?: (studies: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * Writes all durable state into a file while everything runs: first, at one point in time, the positions in the sources and the
 * studies waiting to be routed; then the priors; then each study with its deliveries and confirmations, at one point in time
 * each; then the rest. A study that is routed meanwhile is therefore either in the file, or routed again after a restore
 * (docs/decisions/0023-backup.md).
 *
 * The file gets its name when it is complete and on disk.
 *
 * @throws OperationError `conflict` if Redis has no data, or has lost some, or if they are migrated meanwhile
 * @throws FormatError if the data are of another format, or are being migrated
 * @throws NodeJS.ErrnoException if the file cannot be written
 */
export async function makeBackup(context: PipelineContext, file: string, options: BackupOptions): Promise<MadeBackup> {
  const { redis, keys, config } = context;
  const { prefix } = config().redis;
  await checkFormat(redis, prefix);
  const madeAt = await redisNow(redis, prefix);
  const [format, lost] = await Promise.all([redis.get(keys.format), redis.hget(keys.generation, 'lost')]);
  if (format === null) {
    throw new OperationError('conflict', 'Redis has no dicom-dispatch data: there is nothing to back up');
  }
  if (lost !== null) {
    throw new OperationError(
      'conflict',
      'Redis has lost data that no router has recovered yet: keep the existing backups, and see "dispatch status"',
    );
  }
  const counts = { studies: 0, keys: 0, deliveries: {} as Record<string, number> };
  const damaged = new Set<string>();
  const temporary = `${file}.${process.pid}.part`;
  await removeLeftOvers(dirname(file));
  try {
    const out = createWriteStream(temporary, { flags: 'wx', mode: 0o600, flush: true });
    const lines = Readable.from(backupLines(context, madeAt, { counts, damaged }, options));
    await pipeline(lines, createGzip(), out, { signal: options.signal });
    await rename(temporary, file);
    await syncFolder(dirname(file));
    return { ...counts, madeAt, bytes: out.bytesWritten, damaged: [...damaged] };
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

const abandonedAfterMs = 3_600_000;

/**
 * Removes incomplete files of backups whose process was killed, with any name, since names often contain the date: only files
 * that begin as a backup and have not been written to for an hour. A file without any data is not removed.
 */
async function removeLeftOvers(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const path of names.filter((name) => /\.\d+\.part$/.test(name)).map((name) => join(folder, name))) {
    try {
      if (Date.now() - (await stat(path)).mtimeMs > abandonedAfterMs && (await isBackup(path))) await rm(path);
    } catch {
      // Another backup has removed it, or it belongs to somebody else.
    }
  }
}

/** Whether a file begins as a backup; it may end anywhere. */
async function isBackup(path: string): Promise<boolean> {
  await using file = await open(path);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(4_096), 0, 4_096, 0);
  const text = gunzipSync(buffer.subarray(0, bytesRead), { finishFlush: constants.Z_SYNC_FLUSH }).toString();
  return text.startsWith(headBeginning);
}

interface Counts extends BackupCounts {
  studies: number;
  keys: number;
  readonly deliveries: Record<string, number>;
}

/** The complete file, some lines at a time. Written items are counted in `counts`, keys of damaged records added to `damaged`. */
async function* backupLines(
  context: PipelineContext,
  madeAt: number,
  { counts, damaged }: { readonly counts: Counts; readonly damaged: Set<string> },
  { version, onProgress }: BackupOptions,
): AsyncGenerator<string, void, undefined> {
  const { redis, config } = context;
  const { prefix } = config().redis;
  const now = (): Promise<number> => redisNow(redis, prefix);
  yield `${headLine({ format: currentFormat, madeAt, version, prefix, pausedTargets: await pausedTargets(context) })}\n`;
  const parts: Record<Section, () => AsyncIterable<string[]>> = {
    async *first() {
      const names = new Set<string>();
      for await (const some of scanNames(redis, prefix)) {
        for (const name of some) if (backupOf(name) === 'first') names.add(name);
      }
      yield keyLines([...names]);
      for await (const some of scanNames(redis, prefix)) {
        yield keyLines(some.filter((name) => backupOf(name) === 'before'));
      }
    },
    async *studies() {
      for await (const studies of readStudies(redis, prefix, now, (key) => damaged.add(key))) {
        for (const study of studies) countDeliveries(study, counts.deliveries);
        counts.studies += studies.length;
        onProgress?.(counts.studies);
        yield studies.map(studyLine);
      }
    },
    async *last() {
      for await (const names of scanNames(redis, prefix)) {
        yield keyLines(names.filter((name) => backupOf(name) === 'last'));
      }
    },
  };
  async function keyLines(names: readonly string[]): Promise<string[]> {
    const entries = await readKeys(redis, prefix, names, await now());
    counts.keys += entries.length;
    return entries.map(keyLine);
  }
  for (const section of sections) {
    const sum = new SectionSum(section);
    for await (const lines of parts[section]()) {
      for (const line of lines) sum.add(line);
      if (lines.length > 0) yield `${lines.join('\n')}\n`;
    }
    yield `${sum.end()}\n`;
  }
  await refuseMigrated(context);
  yield `${endLine(counts)}\n`;
}

/** Without the services of this version, those of a newer one may have started and converted a part of what was read. */
async function refuseMigrated({ redis, keys }: PipelineContext): Promise<void> {
  const [format, pending, restoring] = await redis.mget(keys.format, keys.formatPending, keys.restoring);
  if (format === String(currentFormat) && pending === null && restoring === null) return;
  throw new OperationError(
    'conflict',
    `the data in Redis were migrated or replaced during the backup (format ${format ?? 'unknown'}, before ${currentFormat}): no backup was made. Make it again with the version whose services are running`,
  );
}

async function pausedTargets({ config, queues }: PipelineContext): Promise<string[]> {
  const names = Object.keys(config().targets);
  const arePaused = await Promise.all(names.map((name) => queues.target(name).isPaused()));
  return names.filter((_, at) => arePaused[at]);
}

function countDeliveries({ keys }: StudyEntry, counts: Record<string, number>): void {
  for (const { name, values } of keys) {
    if (!name.startsWith('delivery:')) continue;
    const at = values.findIndex((value, index) => index % 2 === 0 && value === 'state');
    const state = values[at + 1] ?? '';
    counts[state] = (counts[state] ?? 0) + 1;
  }
}

/** The new name is on the disk when this resolves. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
