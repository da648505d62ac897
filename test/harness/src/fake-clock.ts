import { existsSync, globSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tempFolder } from './temp-folder.ts';

export interface FakeClock extends AsyncDisposable {
  /** Environment variables for a process with this clock. */
  readonly env: Readonly<Record<string, string>>;
  /** Sets the clock ahead by this number of seconds, or back if negative; within a second, also in a running process. */
  set(seconds: number): Promise<void>;
}

/**
 * A wrong clock for processes (libfaketime). The time of day is shifted; the monotonic clock and timers continue, as when an
 * administrator sets the clock.
 */
export async function startFakeClock(seconds = 0): Promise<FakeClock> {
  const [library] = globSync('/usr/lib/*/faketime/libfaketimeMT.so.1');
  if (library === undefined || !existsSync(library)) throw new Error('libfaketime is not installed (package faketime)');
  const folder = await tempFolder('clock');
  const file = join(folder.path, 'offset');
  let count = 0;
  async function set(ahead: number): Promise<void> {
    const next = `${file}.${(count += 1)}`;
    await writeFile(next, `${ahead < 0 ? '' : '+'}${ahead}\n`);
    // Atomically: a process may read the file at any moment.
    await rename(next, file);
  }
  await set(seconds);
  return {
    env: {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      FAKETIME_CACHE_DURATION: '1',
      // Without this, timed waits on the monotonic clock end at once: an idle Orthanc uses half a core.
      FAKETIME_FORCE_MONOTONIC_FIX: '0',
    },
    set,
    [Symbol.asyncDispose]: () => folder.remove(),
  };
}
