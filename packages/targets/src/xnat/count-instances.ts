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
    // A scan without a resource of that name has none of its files.
    const length = (await listFiles(login, path, id, signal))?.length ?? 0;
    total += length;
    const uid = scan['UID'];
    if (typeof uid === 'string' && uid !== '') bySeries.set(uid, (bySeries.get(uid) ?? 0) + length);
    else named = false;
  }
  return { bySeries: named ? bySeries : undefined, total };
}
