import { posix } from 'node:path';
import { DispatchError } from '@dicom-dispatch/core';
import type { TargetMemory } from '@dicom-dispatch/target-kit';
import { checkPlace, markName, maxMarkBytes, type MarkedPlace, type PlaceFound } from '../place-mark/index.ts';
import { temporaryName } from '../template/index.ts';
import { isFailure, isNoSuchFile } from './errors.ts';
import type { SftpSession } from './session.ts';

/** @throws {DispatchError} when the folder is not the one that the target was set up with */
export function checkRemoteFolder(
  session: SftpSession,
  memory: TargetMemory | undefined,
  act: 'set up' | 'look',
  signal: AbortSignal,
): Promise<PlaceFound> {
  const { host, port, path } = session.config;
  const mark = posix.join(path, markName);
  const marked: MarkedPlace = {
    path: `${host}:${port} ${path}`,
    shown: `${host}: the folder of the target`,
    read: () => readMark(session, mark, signal),
    async write(content) {
      const temporary = await writeMark(session, content, signal);
      await session.renameOver(temporary, mark, signal);
    },
    async create(content) {
      const temporary = await writeMark(session, content, signal);
      try {
        await session.renameToFree(temporary, mark, signal);
        return true;
      } catch (thrown) {
        await session.remove(temporary, signal).catch(() => {});
        if (thrown instanceof DispatchError && isFailure(thrown.cause)) return false;
        throw thrown;
      }
    },
  };
  return checkPlace(marked, memory, act);
}

async function readMark(session: SftpSession, mark: string, signal: AbortSignal): Promise<Buffer | undefined> {
  let handle: Buffer;
  try {
    handle = await session.openFile(mark, 'r', signal);
  } catch (thrown) {
    if (thrown instanceof DispatchError && isNoSuchFile(thrown.cause)) return undefined;
    throw thrown;
  }
  try {
    const content = Buffer.alloc(maxMarkBytes + 1);
    return content.subarray(0, await session.read(handle, content, 0, signal));
  } finally {
    await session.closeFile(handle, signal).catch(() => {});
  }
}

async function writeMark(session: SftpSession, content: Buffer, signal: AbortSignal): Promise<string> {
  const { path, temporaryName: form } = session.config;
  const temporary = posix.join(path, temporaryName('mark', form === 'none' ? undefined : form));
  const handle = await session.openFile(temporary, 'wx', signal);
  try {
    await session.write(handle, content, 0, signal);
    if (session.config.fsync) await session.sync(handle, signal);
  } finally {
    await session.closeFile(handle, signal);
  }
  return temporary;
}
