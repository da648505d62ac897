import { foreignAnswer, notArchived, nowhere, xnatError } from './errors.ts';
import type { XnatPlace } from './import-instance.ts';
import type { XnatTarget } from './schema.ts';
import type { XnatLogin } from './xnat-login.ts';

export interface ArchiveRequest {
  /** Path of the session in the prearchive, without `/data`. */
  readonly source: string;
  readonly place: XnatPlace;
  readonly overwrite: XnatTarget['overwrite'];
  readonly triggerPipelines: boolean;
}

/** `POST /data/services/archive`: archives a complete session from the prearchive. */
export async function archiveSession(login: XnatLogin, request: ArchiveRequest, signal: AbortSignal): Promise<void> {
  const { project, subject, session } = request.place;
  const form = new URLSearchParams({
    src: request.source,
    dest: `/archive/projects/${project}/subjects/${subject}/experiments/${session}`,
    overwrite: request.overwrite,
    triggerPipelines: String(request.triggerPipelines),
  });
  const answer = await login.request({
    method: 'POST',
    path: '/data/services/archive',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: () => form.toString(),
    signal,
  });
  const { status } = answer;
  if (status >= 200 && status < 300) {
    // The address in the archive, or nothing: never a page or JSON.
    if (/^[<{[]/.test((await answer.text(100_000)).trim())) throw foreignAnswer('the archiving');
    return;
  }
  if (status === 401 || status === 403 || status === 423 || status === 429 || status >= 502) {
    throw await xnatError(answer, 'the archiving');
  }
  await answer.discard();
  if (status !== 404) throw notArchived(status);
  // Archived by an earlier attempt whose response was lost, or by XNAT itself: then nothing is left to do.
  if (!(await isArchived(login, request.place, signal))) throw nowhere();
}

/** Whether the archive has a session of this label. */
export async function isArchived(
  login: XnatLogin,
  { project, subject, session }: XnatPlace,
  signal: AbortSignal,
): Promise<boolean> {
  const [p, s, e] = [project, subject, session].map(encodeURIComponent);
  const path = `/data/projects/${p}/subjects/${s}/experiments/${e}?format=json`;
  const answer = await login.request({ method: 'GET', path, signal });
  if (answer.status === 404) {
    await answer.discard();
    return false;
  }
  if (answer.status !== 200) throw await xnatError(answer, 'the look at the archive');
  await answer.json(16_000_000);
  return true;
}

/** `action=commit`: marks the session in the prearchive as complete, so that it is built and can be reviewed. */
export async function commitSession(login: XnatLogin, source: string, signal: AbortSignal): Promise<void> {
  const answer = await login.request({ method: 'POST', path: `/data${source}?action=commit`, signal });
  if (answer.status >= 300 && answer.status !== 404) throw await xnatError(answer, 'the commit of the session');
  // An address, or nothing: never a page.
  if ((await answer.text(100_000)).trim().startsWith('<')) throw foreignAnswer('the commit of the session');
}
