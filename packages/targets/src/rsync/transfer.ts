import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DispatchError } from '@dicom-dispatch/core';
import { translateRsyncEnd } from './errors.ts';
import type { Route } from './route.ts';
import { runProgram } from './run-program.ts';
import type { RsyncTarget } from './schema.ts';

export interface Transfer {
  readonly config: RsyncTarget;
  readonly route: Route;
  readonly signal: AbortSignal;
}

/** Result of rsync for the files of a batch. */
export interface Transferred {
  /** Paths that are complete on the server now. */
  readonly arrived: ReadonlySet<string>;
  /** Why the others are not. */
  readonly error: DispatchError | undefined;
}

/**
 * Sends files of a folder, named by their paths in it. With status 0 the receiver has confirmed every file; after a partial
 * transfer the server is queried for its files.
 *
 * @param how - `new`: existing paths are kept, and count neither as arrived nor as an error
 */
export async function transferFiles(
  transfer: Transfer,
  from: string,
  paths: readonly string[],
  how: 'new' | 'replace' = 'replace',
): Promise<Transferred> {
  const named = new Set<string>();
  const end = await runRsync(
    transfer,
    [
      ...sendingArgs(transfer.config),
      ...(how === 'new' ? ['--ignore-existing'] : []),
      '-ii',
      `${from}/`,
      transfer.route.folder,
    ],
    paths,
    (path) => named.add(path),
  );
  if (end.status === 0) {
    const missing = paths.filter((path) => !named.has(path));
    if (missing.length === 0 || how === 'new') return { arrived: named, error: undefined };
    // rsync names every file, sent or already there: a file that it does not name was not processed.
    const error = new DispatchError(
      'verify-missing',
      `rsync to ${transfer.config.host} did not name ${missing.length} of ${paths.length} files`,
    );
    return { arrived: named, error };
  }
  const error = translateRsyncEnd(end, transfer.config.host, 'Sending files');
  // 23 and 24: some files could not be transferred; after other statuses the server cannot be queried.
  const arrived =
    end.status === 23 || end.status === 24 ? await filesThatAreThere(transfer, from, paths) : new Set<string>();
  return { arrived, error };
}

/**
 * The files that are the same on both sides, by a dry run: `.f` and only dots or blanks. Always by checksum: another file of
 * the same size may have been written in the same second.
 */
export async function filesThatAreThere(
  transfer: Transfer,
  from: string,
  paths: readonly string[],
): Promise<Set<string>> {
  const same = new Set<string>();
  const args = [
    '--dry-run',
    '--checksum',
    '-ii',
    '--no-implied-dirs',
    ...namingArgs,
    `${from}/`,
    transfer.route.folder,
  ];
  await runRsync(transfer, args, paths, (path, change) => {
    if (/^\.f[ .]*$/.test(change)) same.add(path);
  });
  return same;
}

/** A line for each file: eleven letters with the changes (rsync(1), "--itemize-changes"), a bar, its path. */
const namingArgs = ['--from0', '--files-from=-', '--protect-args', '--8-bit-output', '--out-format=%i|%n'];

function sendingArgs(config: RsyncTarget): string[] {
  const modes = [
    ...(config.directoryMode === undefined ? [] : [`D${config.directoryMode}`]),
    ...(config.mode === undefined ? [] : [`F${config.mode}`]),
  ];
  return [
    ...namingArgs,
    // Folders are created with the defaults of the server, unless their mode is configured: then it is set for each parent folder.
    ...(config.directoryMode === undefined ? ['--no-implied-dirs'] : []),
    '--checksum',
    ...(config.partialDir === false ? [] : [`--partial-dir=${config.partialDir}`]),
    ...(config.delayUpdates ? ['--delay-updates'] : []),
    ...(config.compress ? ['--compress'] : []),
    ...(modes.length === 0 ? [] : ['--perms', `--chmod=${modes.join(',')}`]),
    ...(config.bandwidth === 0 ? [] : [`--bwlimit=${Math.floor(config.bandwidth / 1024)}`]),
  ];
}

/** Runs rsync with files named on its standard input; `onFile` is called with each file that it names, and its changes. */
export async function runRsync(
  { config, route, signal }: Transfer,
  args: readonly string[],
  paths: readonly string[],
  onFile: (path: string, change: string) => void,
) {
  // Progress output is used as a heartbeat: rsync's own timeout does not detect a stalled server whose operating system still
  // accepts bytes, since rsync counts its own keep-alives.
  return runProgram('rsync', [...route.args, '--info=progress2', '--outbuf=N', ...args], {
    signal,
    env: route.env,
    silence: silenceOf(config, config.timeout),
    rate: rateOf(config),
    input: paths.map((path) => `${path}\0`).join(''),
    onLine(line) {
      const bar = line.indexOf('|');
      if (bar === 11 && line[1] === 'f') onFile(line.slice(bar + 1), line.slice(0, bar));
    },
  });
}

function silenceOf({ host }: RsyncTarget, limitMs: number) {
  return {
    limitMs,
    error: () => new DispatchError('target-timeout', `rsync at ${host} made no progress for ${limitMs / 1000} s`),
  };
}

/** The rate is measured over twice the timeout; each line for a file counts as 4 KiB. */
function rateOf({ host, minBytesPerSecond, timeout }: RsyncTarget) {
  return {
    minBytesPerSecond,
    windowMs: timeout === 0 ? 120_000 : 2 * timeout,
    bytesOf(line: string): number | undefined {
      // "      1,234,567  12%    1.23MB/s    0:00:04": bytes of the complete transfer so far.
      const progress = /^\s*([\d,.]+)\s+\d+%/.exec(line)?.[1];
      return progress === undefined ? undefined : Number(progress.replaceAll(/[,.]/g, ''));
    },
    error: () => new DispatchError('target-timeout', `rsync at ${host} is slower than minBytesPerSecond`),
  };
}

/** Removes one file from the server's folder, by sending an empty folder with all other names protected. */
export async function removeFile({ config, route, signal }: Transfer, work: string, name: string): Promise<void> {
  const empty = join(work, 'spool');
  await rm(join(empty, name), { force: true });
  const args = [
    ...route.args,
    '--recursive',
    '--delete',
    `--include=/${name}`,
    '--exclude=*',
    '--protect-args',
    `${empty}/`,
    route.folder,
  ];
  const end = await runProgram('rsync', args, { signal, env: route.env });
  if (end.status !== 0) throw translateRsyncEnd(end, config.host, 'Removing the probe', 'connect');
}
