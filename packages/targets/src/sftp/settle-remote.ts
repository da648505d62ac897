import { DispatchError } from '@dicom-dispatch/core';
import { KeyedLocks } from '@dicom-dispatch/target-kit/flow';
import { isFailure, isRefused } from './errors.ts';
import { judgeRemote, type Claim } from './judge-remote.ts';
import { remoteChunks } from './remote-chunks.ts';
import type { SftpSession } from './session.ts';

/** How a file got its name. */
export type Settled =
  | 'new'
  /** A file with the same content already had the name. */
  | 'same'
  | 'replaced';

/** One delivery of this process at a time renames to a name: some servers replace files although the protocol forbids it. */
const locks = new KeyedLocks();

/** Maximum number of tries while others create and delete the name. */
const maxRounds = 5;

/** Runs a function while no other delivery of this process renames to the path. */
export function withName<T>(
  session: SftpSession,
  remote: string,
  signal: AbortSignal,
  act: () => Promise<T>,
): Promise<T> {
  const { host, port, username } = session.config;
  return locks.with(`${username}@${host}:${port} ${remote}`, signal, act);
}

/**
 * Renames a complete file to its final name. Other content is replaced only if `judgeRemote` allows it.
 *
 * @param claim - with `isJudged`, existing content was already found to be replaceable
 * @throws {DispatchError} `target-conflict`
 */
export function settleRemote(
  session: SftpSession,
  temporary: string,
  remote: string,
  claim: Claim & { readonly isJudged?: boolean | undefined },
  signal: AbortSignal,
): Promise<Settled> {
  return withName(session, remote, signal, async () => {
    let mayReplace = claim.isJudged ?? false;
    for (let round = 0; round < maxRounds; round += 1) {
      if (mayReplace) {
        await session.renameOver(temporary, remote, signal);
        return 'replaced';
      }
      const found = await takeFree(session, temporary, remote, signal);
      if (found === 'taken') return 'new';
      const ours = (): AsyncIterable<Uint8Array> => remoteChunks(session, temporary, signal);
      if ((await judgeRemote(session, remote, found, claim, ours, undefined, signal)) === 'same') {
        await session.remove(temporary, signal).catch(() => {});
        return 'same';
      }
      mayReplace = true;
    }
    throw new DispatchError('instance-failed', `${session.config.host}: a file is repeatedly changed by others`);
  });
}

/**
 * Renames a file to a free name.
 *
 * @returns `taken` if the name is ours now, otherwise the existing content
 */
export async function takeFree(session: SftpSession, temporary: string, remote: string, signal: AbortSignal) {
  // OpenSSH rejects renaming to a taken name; for other servers this is unknown.
  if (!session.isOpenSsh) {
    const found = await session.lookAt(remote, signal);
    if (found !== undefined && found !== 'refused') return found;
  }
  try {
    await session.renameToFree(temporary, remote, signal);
    return 'taken' as const;
  } catch (thrown) {
    if (!(thrown instanceof DispatchError)) throw thrown;
    const isNo = isRefused(thrown.cause);
    if (!isNo && !isFailure(thrown.cause)) throw thrown;
    const found = await session.lookAt(remote, signal);
    if (found !== undefined && (found !== 'refused' || !isNo)) return found;
    // The name is free, but the rename is rejected: file systems without hard links, servers that forbid this kind of rename.
    if (!session.renamesOver) throw thrown;
    await session.renameOver(temporary, remote, signal);
    return 'taken' as const;
  }
}
