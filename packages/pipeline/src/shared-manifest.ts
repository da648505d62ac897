import type { IntermediateCache } from '@dicom-dispatch/cache/intermediate';
import { contentHash, type ManifestInstance } from '@dicom-dispatch/core';

/** A study with its content at a point in time, as reported by its source. */
export interface StudyMoment {
  readonly source: string;
  readonly orthancStudyId: string;
  /** The expected content. */
  readonly contentHash: string;
  /** Orthanc's LastUpdate, read before the manifest: it changes with every instance that arrives. */
  readonly lastUpdate: string;
}

export interface SharedManifest {
  readonly instances: readonly ManifestInstance[];
  /** Whether it was read before, perhaps by another process: an instance may have been deleted since. */
  readonly isShared: boolean;
}

const type = 'manifest';

/**
 * The manifest of a study, read once for all targets and attempts. A cached manifest is returned only if it is of exactly
 * this time and has the expected content; otherwise it is removed, and the source is queried.
 *
 * @throws errors of `read`
 */
export async function shareManifest(
  cache: IntermediateCache,
  moment: StudyMoment,
  read: () => Promise<readonly ManifestInstance[]>,
  signal?: AbortSignal,
): Promise<SharedManifest> {
  const key = keyOf(moment);
  let own: readonly ManifestInstance[] | undefined;
  const compute = async (): Promise<readonly ManifestInstance[]> => (own = await read());
  const instances = await cache.getOrCompute(type, key, compute, signal && { signal });
  if (isWanted(instances, moment)) return { instances, isShared: own === undefined };
  await cache.invalidate(type, key);
  return { instances: own ?? (await read()), isShared: false };
}

/** Stores a manifest that was read anyway, for later deliveries. */
export async function keepManifest(
  cache: IntermediateCache,
  moment: StudyMoment,
  instances: readonly ManifestInstance[],
): Promise<void> {
  if (isWanted(instances, moment)) await cache.put(type, keyOf(moment), Buffer.from(JSON.stringify(instances)));
}

/** Call this if an instance of it has been deleted or replaced. */
export async function forgetManifest(cache: IntermediateCache, moment: StudyMoment): Promise<void> {
  await cache.invalidate(type, keyOf(moment));
}

function keyOf({ source, orthancStudyId, contentHash: content, lastUpdate }: StudyMoment): string {
  return `${source}/${orthancStudyId}/${content}/${lastUpdate}`;
}

function isWanted(instances: unknown, { contentHash: wanted }: StudyMoment): boolean {
  if (!Array.isArray(instances)) return false;
  const found = instances as readonly Partial<ManifestInstance>[];
  // Data of another version count as absent. A header that could not be read may be readable at the next attempt.
  const isWhole = found.every(
    (one) =>
      typeof one.sopInstanceUid === 'string' &&
      typeof one.version === 'string' &&
      typeof one.sourceId === 'string' &&
      typeof one.sizeBytes === 'number' &&
      one.sopClassUid !== undefined &&
      one.transferSyntaxUid !== undefined,
  );
  return isWhole && contentHash(instances as ManifestInstance[]) === wanted;
}
