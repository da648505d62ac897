import { setTimeout as pause } from 'node:timers/promises';
import { DispatchError } from '@dicom-dispatch/core';
import { until } from '@dicom-dispatch/target-kit/flow';
import type { HttpAnswer } from '../http/index.ts';
import { elsewhere, foreignAnswer, locked, notBuilt, xnatError } from './errors.ts';
import type { XnatPlace } from './import-instance.ts';
import { listScans } from './list-scans.ts';
import type { XnatLogin } from './xnat-login.ts';

/** Interval of queries while XNAT builds a session. */
const statusEveryMs = 200;
/** Whether the session is complete for a reviewer; with CONFLICT the archive has a different one. */
const isReviewable = (status: string): boolean => /^(READY|_?CONFLICT|(_?QUEUED)?_?ARCHIVING)$/.test(status);

/**
 * `action=build`: builds a session, since XNAT lists its files as of the last build.
 *
 * @param source path of the session in the prearchive, without `/data`
 * @returns false if XNAT cannot build it, or does not have it
 */
export async function buildSession(login: XnatLogin, source: string, signal: AbortSignal): Promise<boolean> {
  const answer = await post(login, `${source}?action=build`, 'the building of the session', signal);
  if (answer.status < 300) await readPath(answer, 'the building of the session');
  else await answer.discard();
  return answer.status < 300;
}

/**
 * `action=commit`: marks the session in the prearchive as complete, so that XNAT builds it. Resolves when XNAT reports a status
 * with which it can be reviewed.
 *
 * @param timeoutMs - how long XNAT may build it
 * @returns false if the prearchive no longer has the session: the archive must then have it
 */
export async function commitSession(
  login: XnatLogin,
  source: string,
  { signal, timeoutMs }: { readonly signal: AbortSignal; readonly timeoutMs: number },
): Promise<boolean> {
  const what = 'the commit of the session';
  const answer = await post(login, `${source}?action=commit`, what, signal);
  const { status } = answer;
  if (status === 301 || status === 303) return leftPrearchive(answer, what);
  if (status === 404) {
    await answer.discard();
    return false;
  }
  if (status >= 300) throw await xnatError(answer, what);
  const path = await readPath(answer, what);
  const project = source.split('/')[3] ?? '';
  if (path.includes('/prearchive/') && !path.includes(`/prearchive/projects/${project}/`)) throw elsewhere(project);
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const now = await sessionStatus(login, source, signal);
    if (now === undefined) return false;
    if (isReviewable(now)) return true;
    if (now === 'ERROR' || performance.now() > deadline) throw notBuilt(now);
    await until(pause(statusEveryMs), signal);
  }
}

/** Status of a session in the prearchive, e.g. `READY`; undefined if it is not there. */
export async function sessionStatus(
  login: XnatLogin,
  source: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const [row] = (await listScans(login, `/data${source}?format=json`, signal)) ?? [];
  if (!row) return undefined;
  const { status } = row;
  if (typeof status === 'string' && status !== '') return status.toUpperCase();
  throw new DispatchError('target-error', 'the response to the status of a session is not a valid XNAT response');
}

/**
 * Sessions of a study with a label in the prearchive of a project that cannot be reviewed yet. XNAT lists the Study Instance UID of
 * a session as its `tag`: a session without it may be of another study, and is omitted.
 *
 * @returns their paths, without `/data`
 */
export async function openSessions(
  login: XnatLogin,
  { project, subject, session }: XnatPlace,
  studyInstanceUid: string,
  signal: AbortSignal,
): Promise<string[]> {
  const folder = `/prearchive/projects/${project}`;
  const rows = (await listScans(login, `/data${folder}?format=json`, signal)) ?? [];
  return rows.flatMap(({ name, tag, subject: ofSubject, timestamp, folderName, status }) => {
    const isOfStudy = name === session && tag === studyInstanceUid && (ofSubject || subject) === subject;
    const isOpen = isOfStudy && /^_?(RECEIVING|BUILDING|QUEUED_BUILDING|ERROR)/.test(String(status));
    const isPath = [timestamp, folderName].every((part) => /^[\w~-][\w.~-]*$/.test(String(part)));
    return isOpen && isPath ? [`${folder}/${String(timestamp)}/${String(folderName)}`] : [];
  });
}

/**
 * XNAT redirects to the session in the archive if the project archives automatically.
 *
 * @returns false: the session is no longer in the prearchive
 * @throws {DispatchError} if XNAT redirects to another address
 */
export async function leftPrearchive(answer: HttpAnswer, what: string): Promise<false> {
  const target = answer.header('location') ?? (await answer.text(10_000));
  if (!/\/(experiments|archive)\//.test(target)) throw await xnatError(answer, what);
  await answer.discard();
  return false;
}

/** @throws {DispatchError} if the session is locked, or for an error that concerns not only this session */
async function post(login: XnatLogin, path: string, what: string, signal: AbortSignal): Promise<HttpAnswer> {
  const answer = await login.request({ method: 'POST', path: `/data${path}`, signal });
  const { status } = answer;
  if (status === 409) throw await locked(answer, what);
  const isOfServer = [401, 403, 423, 429, 507].includes(status) || (status >= 502 && status <= 504);
  if (isOfServer) throw await xnatError(answer, what);
  return answer;
}

/** The address in a response, which may be empty. @throws {DispatchError} if the response is a page or JSON */
async function readPath(answer: HttpAnswer, what: string): Promise<string> {
  const text = (await answer.text(100_000)).trim();
  if (/^[<{[]/.test(text)) throw foreignAnswer(what);
  return text;
}
