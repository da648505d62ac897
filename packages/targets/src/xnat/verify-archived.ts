import type { DeliveryRun, ManifestInstance } from '@dicom-dispatch/target-kit';
import { addCounts, compareCount, countInstances, type SessionCount } from './count-instances.ts';
import { missingInArchive } from './errors.ts';
import type { XnatPlace } from './import-instance.ts';
import type { XnatTarget } from './schema.ts';
import type { XnatLogin } from './xnat-login.ts';

/**
 * Checks the confirmations of earlier deliveries whose sessions this delivery does not archive. They were given for the prearchive,
 * and the earlier delivery may have failed before it archived its session. Those that the archive does not list are removed, for
 * whole series.
 *
 * @throws {DispatchError} `verify-missing`, after removing the confirmations of missing instances
 */
export async function verifyArchived(run: DeliveryRun<XnatTarget>, login: XnatLogin, place: XnatPlace): Promise<void> {
  const pending = new Set(run.pending.map(({ sourceId }) => sourceId));
  const confirmed = accepted(run).filter(({ sourceId }) => !pending.has(sourceId));
  if (confirmed.length === 0) return;
  const count = (await countInstances(login, archivePath(place), run.signal)) ?? nothing;
  const { missing, short } = compareCount(confirmed, count);
  if (missing === 0) return;
  for (const instance of short) await run.revoke(instance);
  throw missingInArchive(missing);
}

/**
 * Whether the archive lists all of the given instances.
 *
 * @param more - counted elsewhere: sessions of the study that are still in the prearchive
 */
export async function hasArchived(
  login: XnatLogin,
  place: XnatPlace,
  instances: readonly ManifestInstance[],
  signal: AbortSignal,
  more: SessionCount = nothing,
): Promise<boolean> {
  const archived = await countInstances(login, archivePath(place), signal);
  return archived !== undefined && compareCount(instances, addCounts(archived, more)).missing === 0;
}

/** The manifest without quarantined instances. */
export function accepted(
  { manifest, quarantined = [] }: DeliveryRun<XnatTarget>,
  refused: readonly ManifestInstance[] = quarantined,
): readonly ManifestInstance[] {
  const ids = new Set(refused.map(({ sourceId }) => sourceId));
  return manifest.filter(({ sourceId }) => !ids.has(sourceId));
}

const nothing: SessionCount = { bySeries: new Map(), total: 0 };

function archivePath({ project, subject, session }: XnatPlace): string {
  const [p, s, e] = [project, subject, session].map(encodeURIComponent);
  return `/projects/${p}/subjects/${s}/experiments/${e}`;
}
