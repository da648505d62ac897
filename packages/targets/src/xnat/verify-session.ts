import type { DeliveryRun, ManifestInstance } from '@dicom-dispatch/target-kit';
import { isArchived } from './archive-session.ts';
import { countInstances } from './count-instances.ts';
import { missingInSession } from './errors.ts';
import type { XnatPlace } from './import-instance.ts';
import type { XnatTarget } from './schema.ts';
import type { XnatLogin } from './xnat-login.ts';

/** What has to survive attempts and restarts until the session is filed. */
export interface Unfiled {
  /** Sessions in the prearchive, without `/data`; one, unless XNAT divides the study. */
  readonly paths: readonly string[];
  /** Series Instance UID to how many of its instances came with an earlier delivery, and are not in there. */
  readonly before: Readonly<Record<string, number>>;
  /** Set before they are filed: a session that is gone then has been filed, though the answer was lost. */
  readonly filing?: boolean;
}
export const unfiledKey = 'xnat-unfiled';

export interface Sent extends Unfiled {
  /** Everything of the study is in there: what was archived before may be replaced. */
  readonly whole: boolean;
  readonly quarantined: readonly ManifestInstance[];
}

/**
 * Compares how many instances XNAT lists with how many went there. XNAT names files in its own way and may change them
 * by its scripts, so that they can be counted only: a series that is short is sent again as a whole.
 *
 * @throws {DispatchError} `verify-missing`, after what is missing was taken back
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
  // Without the UIDs of the scans it can only be said that the whole is short.
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
