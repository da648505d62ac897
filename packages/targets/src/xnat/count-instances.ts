import { DispatchError } from '@dicom-dispatch/core';
import { z } from 'zod';
import { xnatError } from './errors.ts';
import type { XnatLogin } from './xnat-login.ts';

const resultSet = z.object({
  ResultSet: z.object({ Result: z.array(z.record(z.string(), z.unknown())) }),
});

/** How many DICOM files a session has: by series where XNAT says which, and in all. */
export interface SessionCount {
  /** Series Instance UID to number of files; only when every scan says its UID. */
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
    const where = `/data${path}/scans/${encodeURIComponent(id)}/resources/DICOM/files?format=json`;
    // A scan without a resource of that name has none of its files.
    const length = (await list(login, where, signal))?.length ?? 0;
    total += length;
    const uid = scan['UID'];
    if (typeof uid === 'string' && uid !== '') bySeries.set(uid, (bySeries.get(uid) ?? 0) + length);
    else named = false;
  }
  return { bySeries: named ? bySeries : undefined, total };
}

/** A 404 that a proxy may have answered takes no confirmation back: XNAT has to be well, and to say so twice. */
async function listScans(login: XnatLogin, where: string, signal: AbortSignal) {
  const scans = await list(login, where, signal);
  if (scans) return scans;
  const answer = await login.request({ method: 'GET', path: '/data/projects?format=json', signal });
  if (answer.status !== 200) throw await xnatError(answer, 'the list of projects');
  rowsOf(await answer.json(64_000_000));
  return list(login, where, signal);
}

/** Undefined when there is nothing at this address. */
async function list(login: XnatLogin, path: string, signal: AbortSignal) {
  const answer = await login.request({ method: 'GET', path, signal });
  if (answer.status === 404) {
    await answer.discard();
    return undefined;
  }
  if (answer.status !== 200) throw await xnatError(answer, 'the listing');
  return rowsOf(await answer.json(64_000_000));
}

function rowsOf(json: unknown) {
  const parsed = resultSet.safeParse(json);
  if (parsed.success) return parsed.data.ResultSet.Result;
  throw new DispatchError('target-error', 'the answer to a listing is not as XNAT gives it');
}
