import { createReadStream } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A body in a file without a name: it is gone with the process, whatever happens. */
export interface Spooled extends AsyncDisposable {
  readonly lengthBytes: number;
  read(): AsyncIterable<Uint8Array>;
}

/** Writes a body down to learn its length. */
export async function spool(body: AsyncIterable<Uint8Array>): Promise<Spooled> {
  const folder = await mkdtemp(join(tmpdir(), 'dicom-dispatch-'));
  const file = await open(join(folder, 'body'), 'wx+', 0o600).finally(() => rm(folder, { recursive: true }));
  let lengthBytes = 0;
  try {
    for await (const chunk of body) {
      await file.writeFile(chunk);
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
