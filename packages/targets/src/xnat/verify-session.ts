import type { DeliveryRun, ManifestInstance } from '@dicom-dispatch/target-kit';
import { isArchived } from './archive-session.ts';
import { countInstances } from './count-instances.ts';
import { missingInSession } from './errors.ts';
import type { XnatPlace } from './import-instance.ts';
import type { XnatTarget } from './schema.ts';
import type { XnatLogin } from './xnat-login.ts';

/** Data that must survive attempts and restarts until the session is archived. */
export interface Unfiled {
  /** Sessions in the prearchive, without `/data`; one, unless XNAT divides the study. */
  readonly paths: readonly string[];
  /** Series Instance UID to the number of its instances that were sent with an earlier delivery, and are not in there. */
  readonly before: Readonly<Record<string, number>>;
  /** Set before archiving: if the session is missing then, it has been archived, though the response was lost. */
  readonly filing?: boolean;
}
export const unfiledKey = 'xnat-unfiled';

export interface Sent extends Unfiled {
  /** The session contains the complete study: an earlier archived one may be replaced. */
  readonly whole: boolean;
  readonly quarantined: readonly ManifestInstance[];
}

/**
 * Compares the number of instances that XNAT lists with the sent ones. XNAT renames files and may change them
 * by its scripts, so they can only be counted: an incomplete series is sent again completely.
 *
 * @throws {DispatchError} `verify-missing`, after removing the confirmations of missing instances
 */
export async function verifySession(
  run: DeliveryRun<XnatTarget>,
  login: XnatLogin,
  place: XnatPlace,
  sent: Sent,
): Promise<void> {
  const count = await countAll(login, sent.paths, run.signal);
  // Verified by the attempt that filed it.
  if (count.isGone && sent.filing && (await isArchived(login, place, run.signal))) return;
  const { bySeries, total } = count;
  const refused = new Set(sent.quarantined.map(({ sourceId }) => sourceId));
  const there = run.manifest.filter(({ sourceId }) => !refused.has(sourceId));
  const series = Map.groupBy(there, ({ seriesInstanceUid }) => seriesInstanceUid);
  let wanted = 0;
  let missing = 0;
  const short: ManifestInstance[] = [];
  for (const [uid, instances] of series) {
    const went = instances.length - (sent.before[uid] ?? 0);
    wanted += went;
    const lacking = bySeries ? went - (bySeries.get(uid) ?? 0) : 0;
    if (lacking <= 0) continue;
    missing += lacking;
    short.push(...instances);
  }
  // Without the UIDs of the scans only the total number can be compared.
  if (!bySeries && total < wanted) {
    missing = wanted - total;
    short.push(...there);
  }
  if (missing === 0) return;
  for (const instance of short) await run.revoke(instance);
  // All of a short series goes again, what an earlier delivery brought as well.
  const again = new Set(short.map(({ seriesInstanceUid }) => seriesInstanceUid));
  const before = Object.fromEntries(Object.entries(sent.before).filter(([uid]) => !again.has(uid)));
  await run.state.set(unfiledKey, { paths: sent.paths, before } satisfies Unfiled);
  throw missingInSession(missing);
}

async function countAll(login: XnatLogin, paths: readonly string[], signal: AbortSignal) {
  let total = 0;
  let isGone = false;
  let bySeries: Map<string, number> | undefined = new Map();
  for (const path of paths) {
    const count = await countInstances(login, path, signal);
    if (!count) {
      isGone = true;
      continue;
    }
    total += count.total;
    if (!count.bySeries) bySeries = undefined;
    for (const [uid, files] of count.bySeries ?? []) bySeries?.set(uid, (bySeries.get(uid) ?? 0) + files);
  }
  return { bySeries, total, isGone };
}
