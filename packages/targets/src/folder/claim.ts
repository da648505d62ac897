import { link, lstat, unlink, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { claimName } from '../template/index.ts';
import { fsCode } from './errors.ts';

const lookAgainMs = 20;
/** A claim is held only for two operations of the file system: after this time its owner is assumed to have crashed. */
const abandonedAfterMs = 10_000;

/**
 * Holds the claim on a name in a folder while a function runs: only one of several deliveries, also of other dispatchers, can check at
 * a time whether the name is free, and use it. A rename alone would replace a file that was created in between, and programs that
 * watch a folder for arriving files would not notice hard links instead of renames.
 *
 * @param base - path of the folder
 * @param ours - path of a file of this delivery in the folder
 */
export async function claimed<T>(
  base: string,
  name: string,
  ours: string,
  signal: AbortSignal,
  act: () => Promise<T>,
): Promise<T> {
  const claim = `${base}/${claimName(name)}`;
  await take(claim, ours, signal);
  try {
    return await act();
  } finally {
    // An abandoned claim is taken over by the next delivery that needs the name.
    await unlink(claim).catch(() => {});
  }
}

async function take(claim: string, ours: string, signal: AbortSignal): Promise<void> {
  let seen: string | undefined;
  let seenAt = 0;
  while (!(await tryTaking(claim, ours))) {
    const holder = await holderOf(claim);
    if (holder === undefined) continue;
    if (holder !== seen) {
      seen = holder;
      seenAt = performance.now();
    } else if (performance.now() - seenAt > abandonedAfterMs) {
      await unlink(claim).catch(() => {});
      seen = undefined;
    }
    await delay(lookAgainMs, undefined, { signal });
  }
}

async function tryTaking(claim: string, ours: string): Promise<boolean> {
  try {
    await link(ours, claim);
    return true;
  } catch (error) {
    if (fsCode(error) === 'EEXIST') return false;
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EXDEV'].includes(fsCode(error) ?? '')) throw error;
  }
  // A file system without hard links: SMB, FAT, some of FUSE.
  try {
    await writeFile(claim, '', { flag: 'wx' });
    return true;
  } catch (error) {
    if (fsCode(error) === 'EEXIST') return false;
    throw error;
  }
}

async function holderOf(claim: string): Promise<string | undefined> {
  try {
    const { ino, ctimeNs } = await lstat(claim, { bigint: true });
    return `${ino} ${ctimeNs}`;
  } catch (error) {
    if (fsCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
