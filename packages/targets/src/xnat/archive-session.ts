import { elsewhere, foreignAnswer, locked, notArchived, xnatError } from './errors.ts';
import type { XnatPlace } from './import-instance.ts';
import type { XnatTarget } from './schema.ts';
import { leftPrearchive } from './prearchive-session.ts';
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
 * @returns whether the response confirms it; false if the prearchive does not have the session (404), or if XNAT redirects to the
 * archive, as it does for a project that archives automatically: the caller then checks the archive
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
    // The response is the address in the archive, or empty: never a page or JSON.
    const path = (await answer.text(100_000)).trim();
    if (/^[<{[]/.test(path)) throw foreignAnswer('the archiving');
    if (path.includes('/projects/') && !path.includes(`/projects/${project}/`)) throw elsewhere(project);
    return true;
  }
  // XNAT rejects a second operation on a session in this way, too.
  if (status === 403 && /in progress/i.test(await answer.text(100_000))) throw await locked(answer, 'the archiving');
  if (status === 401 || status === 403 || status === 423 || status === 429 || status >= 502) {
    throw await xnatError(answer, 'the archiving');
  }
  if (status === 301 || status === 303) return leftPrearchive(answer, 'the archiving');
  await answer.discard();
  if (status !== 404) throw notArchived(status);
  return false;
}
