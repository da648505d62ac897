import { DispatchError } from '@dicom-dispatch/core';
import { z } from 'zod';
import { xnatError } from './errors.ts';
import type { XnatLogin } from './xnat-login.ts';

const resultSet = z.object({
  ResultSet: z.object({ Result: z.array(z.record(z.string(), z.union([z.string(), z.number(), z.null()]))) }),
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
 */
export async function countInstances(login: XnatLogin, path: string, signal: AbortSignal): Promise<SessionCount> {
  const scans = await list(login, `/data${path}/scans?format=json&columns=ID,UID`, signal);
  const bySeries = new Map<string, number>();
  let named = true;
  let total = 0;
  for (const scan of scans) {
    const id = scan['ID'];
    if (id === undefined || id === null || id === '') continue;
    const where = `/data${path}/scans/${encodeURIComponent(id)}/resources/DICOM/files?format=json`;
    const { length } = await list(login, where, signal);
    total += length;
    const uid = scan['UID'];
    if (typeof uid === 'string' && uid !== '') bySeries.set(uid, (bySeries.get(uid) ?? 0) + length);
    else named = false;
  }
  return { bySeries: named ? bySeries : undefined, total };
}

async function list(login: XnatLogin, path: string, signal: AbortSignal) {
  const answer = await login.request({ method: 'GET', path, signal });
  // A scan without a resource of that name has none of its files.
  if (answer.status === 404) {
    await answer.discard();
    return [];
  }
  if (answer.status !== 200) throw await xnatError(answer, 'the listing');
  const parsed = resultSet.safeParse(await answer.json(64_000_000));
  if (parsed.success) return parsed.data.ResultSet.Result;
  throw new DispatchError('target-error', 'the answer to a listing is not as XNAT gives it');
}
