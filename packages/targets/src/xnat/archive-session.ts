import { foreignAnswer, notArchived, xnatError } from './errors.ts';
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

/**
 * `POST /data/services/archive`: archives a complete session from the prearchive.
 *
 * @returns whether the response confirms it; false if the prearchive does not have the session (404)
 */
export async function archiveSession(login: XnatLogin, request: ArchiveRequest, signal: AbortSignal): Promise<boolean> {
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
    return true;
  }
  if (status === 401 || status === 403 || status === 423 || status === 429 || status >= 502) {
    throw await xnatError(answer, 'the archiving');
  }
  await answer.discard();
  if (status !== 404) throw notArchived(status);
  return false;
}

/** `action=commit`: marks the session in the prearchive as complete, so that it is built and can be reviewed. */
export async function commitSession(login: XnatLogin, source: string, signal: AbortSignal): Promise<void> {
  const answer = await login.request({ method: 'POST', path: `/data${source}?action=commit`, signal });
  if (answer.status >= 300 && answer.status !== 404) throw await xnatError(answer, 'the commit of the session');
  // An address, or nothing: never a page.
  if ((await answer.text(100_000)).trim().startsWith('<')) throw foreignAnswer('the commit of the session');
}
