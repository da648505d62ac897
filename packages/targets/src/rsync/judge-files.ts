import { createReadStream } from 'node:fs';
import { mkdir, open, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { DispatchError } from '@dicom-dispatch/core';
import { isOlderVersion, maxIdentityBytes, readIdentity, type Occupant, type PlaceClaim } from '../conflict/index.ts';
import { cancelledError } from '@dicom-dispatch/target-kit/flow';
import { asPattern, rulesFor } from './rules.ts';
import { runRsync, type Transfer } from './transfer.ts';
import type { WorkFolder } from './work-folder.ts';

/** The claim of a file on its path. */
export interface Claim extends PlaceClaim {
  /** Whether a file with other content may be replaced; default: if it is an older version of the same instance. */
  mayReplace?(there: AsyncIterable<Uint8Array>): Promise<boolean>;
}

/** Larger files are read until enough is available to identify them. */
const smallFile = '4m';

/**
 * Decides about files with other content at our paths. They are fetched, since rsync cannot read a part of a file; the transfer of
 * a large one is stopped after its beginning.
 *
 * @param from - the folder with our files
 * @returns the error for each path whose content must not be replaced
 */
export async function judgeFiles(
  transfer: Transfer,
  work: WorkFolder,
  from: string,
  claims: ReadonlyMap<string, Claim>,
): Promise<ReadonlyMap<string, DispatchError>> {
  const conflicts = new Map<string, DispatchError>();
  const into = join(work.path, 'judged');
  await mkdir(into, { recursive: true });
  try {
    await fetchFiles(transfer, work, into, [...claims.keys()], [`--max-size=${smallFile}`]);
    for (const [path, claim] of claims) {
      const theirs = join(into, path);
      if (!(await kindOf(theirs))) await fetchBeginning(transfer, work, into, path);
      const occupant = await judge(join(from, path), theirs, claim);
      if (occupant) conflicts.set(path, claim.conflict(occupant));
      await rm(theirs, { recursive: true, force: true });
    }
    return conflicts;
  } finally {
    await rm(into, { recursive: true, force: true });
  }
}

/** @returns the conflicting content, or undefined if it may be replaced */
async function judge(ours: string, theirs: string, claim: Claim): Promise<Occupant | undefined> {
  const kind = await kindOf(theirs);
  if (!kind) return 'special';
  if (kind === 'folder') return 'folder';
  if (await isBeginning(theirs, ours)) return undefined;
  if (claim.mayReplace) return (await claim.mayReplace(createReadStream(theirs))) ? undefined : 'file';
  const identity = await readIdentity(createReadStream(theirs));
  if (await isOlderVersion(claim, identity, await readIdentity(createReadStream(ours)))) return undefined;
  return identity ? 'instance' : 'file';
}

async function kindOf(path: string): Promise<'file' | 'folder' | undefined> {
  const found = await stat(path).catch(() => undefined);
  return found && (found.isDirectory() ? 'folder' : 'file');
}

/** Whether a file is empty, or the beginning of another, longer one: an unfinished write. */
async function isBeginning(path: string, of: string): Promise<boolean> {
  const [short, long] = [await stat(path), await stat(of)];
  if (short.size === 0) return true;
  if (short.size >= long.size || short.size >= maxIdentityBytes) return false;
  const [first, second] = await Promise.all([readStart(path, short.size), readStart(of, short.size)]);
  return first.equals(second);
}

async function readStart(path: string, bytes: number): Promise<Buffer> {
  const handle = await open(path);
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(bytes), 0, bytes, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** Fetches files by filter rules, not by a list of files: some daemons do not find listed files in a folder of their module. */
export async function fetchFiles(
  transfer: Transfer,
  work: WorkFolder,
  into: string,
  paths: readonly string[],
  more: readonly string[],
): Promise<void> {
  const rules = await work.keep('fetch-rules', rulesFor(paths.map(asPattern)));
  const args = ['--recursive', `--filter=merge ${rules}`, '--protect-args', ...more, transfer.route.folder, `${into}/`];
  const end = await runRsync(transfer, args, [], () => {});
  // Missing files are treated as unreadable; after other exit statuses nothing is known.
  if (end.status === 0 || end.status === 23 || end.status === 24) return;
  throw new DispatchError(
    'target-error',
    `rsync at ${transfer.config.host} does not allow reading files (rsync ${end.status})`,
    {
      remedy: 'Allow reading from the server, or set onConflict to overwrite.',
    },
  );
}

/** Fetches a file until enough of it is here. */
async function fetchBeginning(transfer: Transfer, work: WorkFolder, into: string, path: string): Promise<void> {
  const enough = new AbortController();
  const signal = AbortSignal.any([transfer.signal, enough.signal]);
  await mkdir(dirname(join(into, path)), { recursive: true });
  const fetching = fetchFiles({ ...transfer, signal }, work, into, [path], ['--inplace', '--whole-file']);
  const watching = (async () => {
    while (!enough.signal.aborted) {
      const found = await stat(join(into, path)).catch(() => undefined);
      if (found && found.size >= maxIdentityBytes) enough.abort();
      else await delay(20, undefined, { signal: enough.signal }).catch(() => {});
    }
  })();
  try {
    await fetching;
  } catch (thrown) {
    if (transfer.signal.aborted) throw cancelledError(transfer.signal);
    if (!enough.signal.aborted) throw thrown;
  } finally {
    enough.abort();
    await watching;
  }
}
