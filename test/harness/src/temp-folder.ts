import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unwatch, watch } from './watchdog.ts';

export interface TempFolder extends AsyncDisposable {
  readonly path: string;
  remove(): Promise<void>;
}

/**
 * A new empty folder, removed with its content by `remove()` (or `await using`), or when this process ends.
 *
 * @param options - `isKept`: it may stay until the process ends, and does not count as left behind
 */
export async function tempFolder(name = 'test', options: { isKept?: boolean } = {}): Promise<TempFolder> {
  const path = await mkdtemp(join(tmpdir(), `dicom-dispatch-${name}-`));
  watch('folder', path, name, options.isKept);
  async function remove(): Promise<void> {
    await rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
    unwatch('folder', path);
  }
  return { path, remove, [Symbol.asyncDispose]: remove };
}
