import type { CacheConfig } from '@dicom-dispatch/core';
import type { CacheFolder } from './cache-folder.ts';
import type { CacheStore } from './cache-store.ts';
import type { CacheWarning, PutOptions } from './cache-types.ts';
import { policyFor } from './policy.ts';
import { invalidateScript } from './cache-scripts.ts';
import { addressOf } from './cache-store.ts';
import { removeFiles } from './maintenance.ts';

/** Objects that the parts of one cache share. */
export interface CacheParts {
  readonly config: CacheConfig;
  readonly store: CacheStore;
  readonly folder: CacheFolder | undefined;
  /** Keys for confidential data: the first encrypts new data, all of them decrypt existing data. */
  readonly key: readonly Buffer[] | undefined;
  readonly maxValueBytes: number;
  readonly fileAboveBytes: number;
  readonly computeLeaseMs: number;
  readonly warn: (warning: CacheWarning) => void;
  /** Types for which it was reported that confidential results are not stored. */
  readonly reportedTypes: Set<string>;
}

/** Whether such a result is stored at all. */
export function keeps(
  parts: CacheParts,
  type: string,
  { use, confidential, inRedis }: Pick<PutOptions, 'use' | 'confidential' | 'inRedis'>,
): boolean {
  if (!parts.config.enabled) return false;
  if (use === undefined && policyFor(parts.config, type).retention === 'transient') return false;
  const canBeKept =
    confidential !== true || parts.key !== undefined || (parts.folder !== undefined && inRedis !== true);
  if (!canBeKept && !parts.reportedTypes.has(type)) {
    parts.reportedTypes.add(type);
    const message = `confidential results of type ${type} are not kept: configure a secret for the cache`;
    parts.warn({ code: 'not-confidential', type, message });
  }
  return canBeKept;
}

export function tooLarge(parts: CacheParts, type: string): 'dropped' {
  const message = parts.folder
    ? `a result of type ${type} is too large to be held in memory: read it as a stream`
    : `a result of type ${type} is too large for Redis: configure a folder for the cache`;
  parts.warn({ code: 'too-large', type, message });
  return 'dropped';
}

export function folderFailed(parts: CacheParts, cause: unknown): void {
  const code = (cause as NodeJS.ErrnoException | undefined)?.code ?? 'an error';
  parts.warn({ code: 'folder-failed', message: `the folder of the cache failed with ${code}`, cause });
}

/** Reads a result that begins with a count and the names of orphaned files. @returns the count */
export async function settleRemoval(parts: CacheParts, answer: unknown): Promise<number> {
  if (!Array.isArray(answer)) return 0;
  await removeFiles(parts.folder, answer[1] as string[]);
  return Number(answer[0]);
}

export async function invalidate(parts: CacheParts, type: string, key: string): Promise<boolean> {
  return (await settleRemoval(parts, await parts.store.run(invalidateScript, [addressOf(type, key)]))) > 0;
}

/** Removes a result that could not be read, with a warning. */
export async function reportCorrupt(
  parts: CacheParts,
  type: string,
  key: string,
): Promise<{ readonly state: 'corrupt' }> {
  parts.warn({
    code: 'corrupt-value',
    type,
    message: `a cached result of type ${type} was damaged; it is computed again`,
  });
  await invalidate(parts, type, key);
  return { state: 'corrupt' };
}
