import { DispatchError, formatBytes } from '@dicom-dispatch/core';
import type { SftpSession } from './session.ts';

/** @throws {DispatchError} when the folder is not there, or is none */
export async function lookAtFolder(session: SftpSession, signal: AbortSignal): Promise<void> {
  const found = await session.stat(session.config.path, signal);
  if (found.isDirectory()) return;
  throw new DispatchError('target-misconfigured', `the path of the target is no folder at ${session.config.host}`, {
    remedy: 'Correct the path of the target.',
  });
}

/**
 * @returns bytes that are free, or undefined where the server does not tell
 * @throws {DispatchError} `target-full` when less is left than `minFree` after so many bytes more
 */
export async function lookForSpace(
  session: SftpSession,
  neededBytes: number,
  signal: AbortSignal,
): Promise<number | undefined> {
  const { host, minFree } = session.config;
  const free = await session.freeBytes(signal);
  if (free === undefined || free - neededBytes >= minFree) return free;
  const needed = neededBytes > 0 ? `, ${formatBytes(neededBytes)} are to be sent` : '';
  throw new DispatchError(
    'target-full',
    `${formatBytes(free)} are free at ${host}${needed}, and ${formatBytes(minFree)} have to stay free`,
    { remedy: 'Free space at the server, or lower minFree.' },
  );
}
