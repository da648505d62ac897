import { posix } from 'node:path';
import { DispatchError } from '@dicom-dispatch/core';
import { probeName } from '../template/index.ts';
import { hasStatus, isFailure, isNoSuchFile, isRefused } from './errors.ts';
import type { Claim } from './judge-remote.ts';
import type { RemoteFolders } from './remote-folders.ts';
import type { SftpSession } from './session.ts';
import { withName } from './settle-remote.ts';

const plainNames = 'dispatch-{id}.part';

/**
 * Why a file could not be created, as an error with the cause: servers report "permission denied" or "failure" also for a name that
 * begins with a dot, and in the same way for a folder of one study and for the whole target.
 */
export async function whyNotCreated(
  session: SftpSession,
  folders: RemoteFolders,
  folder: string,
  claim: Claim,
  thrown: unknown,
  signal: AbortSignal,
): Promise<unknown> {
  if (signal.aborted || !(thrown instanceof DispatchError) || !hasStatus(thrown.cause)) return thrown;
  const { path, host, temporaryName: form } = session.config;
  if (isNoSuchFile(thrown.cause) && folder !== '.') {
    folders.forget(folder);
    if ((await session.lookAt(posix.join(path, folder), signal)) === undefined) {
      return new DispatchError('instance-failed', `${host}: a folder was removed while it was used`);
    }
  }
  if (form.startsWith('.') && (await canCreate(session, folder, plainNames))) {
    return new DispatchError('target-misconfigured', `${host} rejects names that begin with a dot`, {
      cause: thrown.cause,
      remedy: `Set temporaryName to a form without one, e.g. "${plainNames}".`,
    });
  }
  return (await isRefusedWithin(session, folder, thrown, signal)) ? claim.conflict('denied') : thrown;
}

/**
 * Why a folder of the layout could not be created, with the error of the server: a server that accepts files in the parent folder
 * does not allow folders at all.
 */
export async function whyNoFolder(
  session: SftpSession,
  folder: string,
  claim: Claim,
  refusal: DispatchError,
  signal: AbortSignal,
): Promise<DispatchError> {
  if (signal.aborted) return refusal;
  const { path, host, temporaryName: form } = session.config;
  let parent = posix.dirname(folder);
  while (parent !== '.' && (await session.lookAt(posix.join(path, parent), signal)) === undefined) {
    parent = posix.dirname(parent);
  }
  if (await canCreate(session, parent, form === 'none' ? plainNames : form)) return noFolders(host, refusal);
  return (await isRefusedWithin(session, folder, refusal, signal)) ? claim.conflict('denied') : refusal;
}

export function noFolders(host: string, { cause }: DispatchError): DispatchError {
  return new DispatchError('target-misconfigured', `${host} does not allow this user to create folders`, {
    cause,
    remedy: 'Allow creating folders at the server, or set layout to a template without folders, e.g. flat.',
  });
}

/**
 * Whether permissions are missing only in a folder of the layout: if the target's folder accepts files, other studies can still be
 * delivered.
 */
async function isRefusedWithin(
  session: SftpSession,
  folder: string,
  thrown: unknown,
  signal: AbortSignal,
): Promise<boolean> {
  if (folder === '.' || signal.aborted || !(thrown instanceof DispatchError) || !isRefused(thrown.cause)) return false;
  const form = session.config.temporaryName;
  return canCreate(session, '.', form === 'none' ? plainNames : form);
}

async function canCreate(session: SftpSession, folder: string, form: string): Promise<boolean> {
  // The probe is removed even if the delivery ends meanwhile.
  const limit = AbortSignal.timeout(5_000);
  const probe = posix.join(session.config.path, folder, probeName(form));
  try {
    return await withName(session, probe, limit, async () => {
      if (!(await isProbeThere(session, probe, limit))) return false;
      // A server may accept files, and not allow removing them.
      await session.remove(probe, limit).catch(() => {});
      return true;
    });
  } catch {
    return false;
  }
}

/** Creates a probe, unless an earlier one could not be removed. */
async function isProbeThere(session: SftpSession, probe: string, signal: AbortSignal): Promise<boolean> {
  // Another dispatcher may remove its probe between the two requests.
  for (let round = 0; round < 3; round += 1) {
    try {
      await session.closeFile(await session.openFile(probe, 'wx', signal), signal);
      return true;
    } catch (thrown) {
      if (!(thrown instanceof DispatchError) || !isFailure(thrown.cause)) return false;
      if ((await session.lookAt(probe, signal)) !== undefined) return true;
    }
  }
  return false;
}
