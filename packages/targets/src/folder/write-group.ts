import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  openSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs';

/** Small files of one delivery, whose contents are in shared memory. */
export interface FileGroup {
  readonly id: number;
  readonly memory: SharedArrayBuffer;
  /** A 32-bit integer: not zero if nothing more may be written. */
  readonly stop: SharedArrayBuffer;
  /** A 32-bit integer: the number of operations that the thread has finished. */
  readonly progress: SharedArrayBuffer;
  /** Paths of the folders. They may be paths of open descriptors: they are valid until nothing more may be written. */
  readonly folders: readonly string[];
  readonly files: readonly FileOfGroup[];
  readonly fsync: boolean;
  readonly checkSize: boolean;
  readonly mode: number | undefined;
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
}

export interface FileOfGroup {
  /** Index of its folder. */
  readonly folder: number;
  /** Names in the folder: until the file is complete, the final one, and that of its claim. */
  readonly temporary: string;
  readonly name: string;
  readonly claim: string;
  /** Place of its content in the memory. */
  readonly at: number;
  readonly sizeBytes: number;
}

/**
 * Result of one file.
 *
 * - `new`: it has its name, and file and name are durable if the target requires it
 * - `occupied`: it is complete under its temporary name, and durable; its final name exists, or is claimed
 * - `stopped`: nothing more may be written; its temporary file is removed
 * - `wrong-size`: of the written file, which is removed
 * - `failed`: an error of the file system; `doing` is a verb with -ing
 */
export type GroupResult =
  | { readonly kind: 'new' | 'occupied' | 'stopped' }
  | { readonly kind: 'wrong-size'; readonly sizeBytes: number }
  | { readonly kind: 'failed'; readonly doing: string; readonly code: string };

export interface GroupAnswer {
  readonly id: number;
  readonly results: readonly GroupResult[];
}

/** Codes of errors on shares (SMB, FUSE) on which files can be synced, but folders cannot. */
export const cannotSync: ReadonlySet<string> = new Set(['EINVAL', 'ENOTSUP', 'EBADF', 'EISDIR', 'EPERM']);

/** A claim held for longer is given up: other deliveries may soon assume that its owner has crashed (see `claimed`). */
const maxClaimMs = 5_000;

/** A file in progress. */
interface Written {
  readonly index: number;
  readonly file: FileOfGroup;
  readonly base: string;
  descriptor: number | undefined;
}

/** The operation that is running, for its error. */
let doing = '';

/**
 * Writes a group of small files by blocking calls: all of them under temporary names, then all are synced, so that the file system
 * commits them together, then renamed, and their folders are synced once. To be called in a separate thread.
 */
export function writeGroup(group: FileGroup): GroupResult[] {
  const results: GroupResult[] = group.files.map(() => ({ kind: 'stopped' }));
  const [stop, progress] = [new Int32Array(group.stop), new Int32Array(group.progress)];
  const isStopped = (): boolean => Atomics.load(stop, 0) !== 0;
  const attempt = (index: number, act: () => GroupResult | undefined): boolean => {
    try {
      const result = act();
      if (result) results[index] = result;
      return result === undefined;
    } catch (error) {
      results[index] = failure(error);
      return false;
    } finally {
      Atomics.add(progress, 0, 1);
    }
  };
  const folders = group.folders.map((path) => openFolder(path));
  try {
    // The path of a descriptor may name another folder once the descriptor is closed; it is closed only after the stop.
    let files: Written[] = isStopped() ? [] : group.files.map((file, index) => writtenOf(file, index, folders));
    const keep = (act: (written: Written) => GroupResult | undefined): void => {
      files = files.filter((written) => {
        const isKept = !isStopped() && attempt(written.index, () => act(written));
        if (!isKept) abandon(written);
        return isKept;
      });
    };
    keep((written) => create(written, group, folders));
    if (group.fsync) keep(sync);
    if (group.checkSize) keep(checkSize);
    keep(close);
    const renamed: Written[] = [];
    for (const written of files) {
      const isRenamed = !isStopped() && attempt(written.index, () => rename(written, isStopped));
      const isOccupied = results[written.index]!.kind === 'occupied';
      if (isRenamed) renamed.push(written);
      else if (!isOccupied) abandon(written);
    }
    const synced = new Map<number, GroupResult>();
    for (const { index, file } of renamed) {
      let result = synced.get(file.folder);
      if (!result) {
        result = { kind: 'new' };
        if (group.fsync) attempt(index, () => syncFolder(folders[file.folder]));
        if (results[index]!.kind === 'failed') result = results[index]!;
        synced.set(file.folder, result);
      }
      results[index] = result;
    }
    return results;
  } finally {
    for (const folder of folders) if (typeof folder === 'number') closeQuietly(folder);
  }
}

/** @returns a descriptor, or the error */
function openFolder(path: string): number | GroupResult {
  try {
    doing = 'Opening a folder';
    return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (error) {
    return failure(error);
  }
}

function writtenOf(file: FileOfGroup, index: number, folders: readonly (number | GroupResult)[]): Written {
  const folder = folders[file.folder];
  return { index, file, base: `/proc/self/fd/${typeof folder === 'number' ? folder : -1}`, descriptor: undefined };
}

function create(
  written: Written,
  { memory, mode, owner }: FileGroup,
  folders: readonly (number | GroupResult)[],
): GroupResult | undefined {
  const { file, base } = written;
  const folder = folders[file.folder];
  if (typeof folder === 'object') return folder;
  doing = 'Creating a file';
  const path = `${base}/${file.temporary}`;
  const descriptor = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, mode);
  written.descriptor = descriptor;
  // When a file that was truncated is closed, ext4 begins to write it to the disk (auto_da_alloc, ext4(5)), and does not wait: then the
  // syncs of the group wait for the disk together. Elsewhere this changes nothing.
  ftruncateSync(descriptor, 0);
  doing = 'Writing';
  writeAll(descriptor, new Uint8Array(memory, file.at, file.sizeBytes));
  openAndClose(path);
  if (owner || mode !== undefined) {
    doing = 'Setting owner and mode of a file';
    if (owner) fchownSync(descriptor, owner.uid, owner.gid);
    if (mode !== undefined) fchmodSync(descriptor, mode);
  }
  return undefined;
}

/** Begins the write to the disk (see above). Without permission to read the file, its sync does this. */
function openAndClose(path: string): void {
  try {
    closeSync(openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW));
  } catch {
    // Only the speed depends on it.
  }
}

function writeAll(descriptor: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.byteLength;) {
    const count = writeSync(descriptor, bytes, at);
    if (count === 0) throw Object.assign(new Error('nothing was written'), { code: 'EIO' });
    at += count;
  }
}

function sync({ descriptor }: Written): undefined {
  doing = 'Syncing a file';
  fsyncSync(descriptor!);
}

function checkSize({ descriptor, file }: Written): GroupResult | undefined {
  doing = 'Checking a written file';
  const { size } = fstatSync(descriptor!);
  return size === file.sizeBytes ? undefined : { kind: 'wrong-size', sizeBytes: size };
}

function close(written: Written): undefined {
  doing = 'Closing a file';
  const descriptor = written.descriptor!;
  // It is released even if closing fails.
  written.descriptor = undefined;
  closeSync(descriptor);
}

/** Gives the file its name if it is free, while holding the claim on it: see `claimed`. */
function rename({ file, base }: Written, isStopped: () => boolean): GroupResult | undefined {
  doing = 'Renaming a file';
  const claimedAt = performance.now();
  const claim = `${base}/${file.claim}`;
  try {
    linkSync(`${base}/${file.temporary}`, claim);
  } catch {
    // Claimed by another delivery, or a file system without hard links.
    return { kind: 'occupied' };
  }
  try {
    const path = `${base}/${file.name}`;
    if (lstatSync(path, { throwIfNoEntry: false })) return { kind: 'occupied' };
    if (performance.now() - claimedAt > maxClaimMs) return { kind: 'occupied' };
    if (isStopped()) return { kind: 'stopped' };
    renameSync(`${base}/${file.temporary}`, path);
    return undefined;
  } finally {
    unlinkQuietly(claim);
  }
}

function syncFolder(folder: number | GroupResult | undefined): undefined {
  doing = 'Syncing a folder';
  try {
    if (typeof folder === 'number') fsyncSync(folder);
  } catch (error) {
    if (!cannotSync.has(codeOf(error))) throw error;
  }
}

/** Removes an incomplete file. */
function abandon({ descriptor, base, file }: Written): void {
  if (descriptor !== undefined) closeQuietly(descriptor);
  unlinkQuietly(`${base}/${file.temporary}`);
}

function closeQuietly(descriptor: number): void {
  try {
    closeSync(descriptor);
  } catch {
    // It is released even if closing fails.
  }
}

function unlinkQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // It does not exist, or a later attempt removes it.
  }
}

/** Without the text of the error: it contains the path. */
function failure(error: unknown): GroupResult {
  return { kind: 'failed', doing, code: codeOf(error) };
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}
