import { DispatchError, formatBytes } from '@dicom-dispatch/core';
import { isRefused } from './errors.ts';
import type { SftpSession } from './session.ts';

/** @throws {DispatchError} if the folder does not exist, or is not a folder */
export async function lookAtFolder(session: SftpSession, signal: AbortSignal): Promise<void> {
  if (await isFolder(session, signal)) return;
  throw new DispatchError('target-misconfigured', `the path of the target is not a folder at ${session.config.host}`, {
    remedy: 'Correct the path of the target.',
  });
}

/**
 * @returns free bytes, or undefined if the server does not report them
 * @throws {DispatchError} `target-full` if this many additional bytes would leave less than `minFree`
 */
export async function lookForSpace(
  session: SftpSession,
  neededBytes: number,
  signal: AbortSignal,
): Promise<number | undefined> {
  const { host, minFree } = session.config;
  const free = await session.freeBytes(signal);
  if (free === undefined || free - neededBytes >= minFree) return free;
  const needed = neededBytes > 0 ? `, ${formatBytes(neededBytes)} are required` : '';
  throw new DispatchError(
    'target-full',
    `${formatBytes(free)} are free at ${host}${needed}, and ${formatBytes(minFree)} must stay free`,
    { remedy: 'Free space at the server, or lower minFree.' },
  );
}

/** Links to a folder are allowed. If the server forbids checking the path, it is opened for listing. */
async function isFolder(session: SftpSession, signal: AbortSignal): Promise<boolean> {
  const { path } = session.config;
  try {
    const found = await session.stat(path, signal);
    return (found.mode as number | undefined) === undefined || found.isDirectory();
  } catch (thrown) {
    if (!(thrown instanceof DispatchError) || !isRefused(thrown.cause)) throw thrown;
  }
  try {
    await session.tryListing(path, signal);
  } catch (thrown) {
    // Unknown: writing shows whether it is a folder.
    if (!(thrown instanceof DispatchError) || !isRefused(thrown.cause)) throw thrown;
  }
  return true;
}
