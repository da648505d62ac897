import { DispatchError } from '@dicom-dispatch/core';
import { z } from 'zod';
import { xnatError } from './errors.ts';
import type { XnatLogin } from './xnat-login.ts';

const resultSet = z.object({
  ResultSet: z.object({ Result: z.array(z.record(z.string(), z.unknown())) }),
});

/** @returns undefined if XNAT responds 404 twice, and is available in between: one 404 may come from a proxy */
export async function listScans(login: XnatLogin, where: string, signal: AbortSignal) {
  const scans = await list(login, where, signal);
  if (scans) return scans;
  const answer = await login.request({ method: 'GET', path: '/data/projects?format=json', signal });
  if (answer.status !== 200) throw await xnatError(answer, 'the list of projects');
  rowsOf(await answer.json(64_000_000));
  return list(login, where, signal);
}

/** @returns undefined if nothing exists at this address */
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
  throw new DispatchError('target-error', 'the response to a listing is not a valid XNAT response');
}

/**
 * The DICOM files of a scan, as URLs of their contents; undefined if it has no such resource.
 *
 * @param session - path of the session, in the prearchive or the archive, without `/data`
 */
export async function listFiles(
  login: XnatLogin,
  session: string,
  scan: string | number,
  signal: AbortSignal,
): Promise<string[] | undefined> {
  // A path segment of only dots would address another resource.
  const isName = (text: string | number): boolean => !/^\.*$/.test(String(text));
  if (!isName(scan)) return undefined;
  const folder = `/data${session}/scans/${encodeURIComponent(scan)}/resources/DICOM/files`;
  const rows = await list(login, `${folder}?format=json`, signal);
  return rows?.flatMap(({ Name: name }) =>
    isName(String(name)) ? `${folder}/${encodeURIComponent(String(name))}` : [],
  );
}
