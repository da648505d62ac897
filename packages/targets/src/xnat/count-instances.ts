import type { ManifestInstance } from '@dicom-dispatch/target-kit';
import { listFiles, listScans } from './list-scans.ts';
import type { XnatLogin } from './xnat-login.ts';

/** Number of DICOM files of a session: by series if XNAT reports them, and in total. */
export interface SessionCount {
  /** Series Instance UID to number of files; only if every scan has its UID. */
  readonly bySeries: ReadonlyMap<string, number> | undefined;
  readonly total: number;
}

/**
 * Lists the scans of a session and the DICOM files of each.
 *
 * @param path of a session, in the prearchive or the archive, without `/data`
 * @returns undefined when XNAT has no such session
 */
export async function countInstances(
  login: XnatLogin,
  path: string,
  signal: AbortSignal,
): Promise<SessionCount | undefined> {
  const scans = await listScans(login, `/data${path}/scans?format=json&columns=ID,UID`, signal);
  if (!scans) return undefined;
  const bySeries = new Map<string, number>();
  let named = true;
  let total = 0;
  for (const scan of scans) {
    const id = scan['ID'];
    if ((typeof id !== 'string' && typeof id !== 'number') || id === '') continue;
    // A scan without a DICOM resource has no DICOM files.
    const length = (await listFiles(login, path, id, signal))?.length ?? 0;
    total += length;
    const uid = scan['UID'];
    if (typeof uid === 'string' && uid !== '') bySeries.set(uid, (bySeries.get(uid) ?? 0) + length);
    else named = false;
  }
  return { bySeries: named ? bySeries : undefined, total };
}

/** Sum of several sessions; `isGone` if XNAT lacks one of them. */
export async function countSessions(
  login: XnatLogin,
  paths: readonly string[],
  signal: AbortSignal,
): Promise<SessionCount & { readonly isGone: boolean }> {
  let sum: SessionCount = { bySeries: new Map(), total: 0 };
  let isGone = false;
  for (const path of paths) {
    const count = await countInstances(login, path, signal);
    if (count) sum = addCounts(sum, count);
    else isGone = true;
  }
  return { ...sum, isGone };
}

export function addCounts(one: SessionCount, other: SessionCount): SessionCount {
  const total = one.total + other.total;
  if (!one.bySeries || !other.bySeries) return { bySeries: undefined, total };
  const bySeries = new Map(one.bySeries);
  for (const [uid, files] of other.bySeries) bySeries.set(uid, (bySeries.get(uid) ?? 0) + files);
  return { bySeries, total };
}

/**
 * Compares a count with the expected instances.
 *
 * @param elsewhere - by Series Instance UID, the number of instances that the count need not contain
 * @returns how many are missing, and all expected instances of the series that are incomplete
 */
export function compareCount(
  expected: readonly ManifestInstance[],
  { bySeries, total }: SessionCount,
  elsewhere: Readonly<Record<string, number>> = {},
): { readonly missing: number; readonly short: readonly ManifestInstance[] } {
  let wanted = 0;
  let missing = 0;
  const short: ManifestInstance[] = [];
  for (const [uid, instances] of Map.groupBy(expected, ({ seriesInstanceUid }) => seriesInstanceUid)) {
    const sent = instances.length - (elsewhere[uid] ?? 0);
    wanted += sent;
    const lacking = bySeries ? sent - (bySeries.get(uid) ?? 0) : 0;
    if (lacking <= 0) continue;
    missing += lacking;
    short.push(...instances);
  }
  // Without the UIDs of the scans only the total number can be compared.
  return !bySeries && total < wanted ? { missing: wanted - total, short: expected } : { missing, short };
}
