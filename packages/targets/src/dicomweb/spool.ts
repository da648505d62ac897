import { createReadStream } from 'node:fs';
import { mkdtemp, open, rm, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DispatchError } from '@dicom-dispatch/core';

/** A body in an unlinked file: it disappears with the process in any case. */
export interface Spooled extends AsyncDisposable {
  readonly lengthBytes: number;
  read(): AsyncIterable<Uint8Array>;
}

/**
 * Writes a body to a temporary file, to determine its length.
 *
 * @throws DispatchError `local-resources`; the error of the body
 */
export async function spool(body: AsyncIterable<Uint8Array>): Promise<Spooled> {
  const file = await openFile().catch(cannotWrite);
  let lengthBytes = 0;
  try {
    for await (const chunk of body) {
      await file.writeFile(chunk).catch(cannotWrite);
      lengthBytes += chunk.byteLength;
    }
  } catch (error) {
    await file.close();
    throw error;
  }
  return {
    lengthBytes,
    read: () => createReadStream('', { fd: file.fd, start: 0, autoClose: false, highWaterMark: 256 * 1024 }),
    [Symbol.asyncDispose]: () => file.close(),
  };
}

async function openFile(): Promise<FileHandle> {
  const folder = await mkdtemp(join(tmpdir(), 'dicom-dispatch-'));
  return open(join(folder, 'body'), 'wx+', 0o600).finally(() => rm(folder, { recursive: true }));
}

function cannotWrite(thrown: NodeJS.ErrnoException): never {
  throw new DispatchError('local-resources', `a temporary file in ${tmpdir()} cannot be written (${thrown.code})`, {
    cause: thrown,
    remedy: 'Free space there on the host of the dispatcher, or set TMPDIR to another folder.',
  });
}
