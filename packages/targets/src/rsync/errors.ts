import { DispatchError, localShortage, type ErrorCode, type Stage } from '@dicom-dispatch/core';

/** The end of a run of rsync. */
export interface RsyncEnd {
  /** Exit status (rsync(1), "EXIT VALUES"); undefined if it did not start or was killed. */
  readonly status: number | undefined;
  /** The end of the error output of rsync, ssh and the server, in English. Paths in it may be patient data. */
  readonly errors: string;
}

interface Meaning {
  readonly pattern: RegExp;
  readonly code: ErrorCode;
  readonly reason: string;
  readonly remedy?: string;
  /** Whether the error belongs to the stage `connect`, independent of the stage of the run. */
  readonly connects?: true;
}

/** The output is more specific than the status, which is the same for many errors. The first match counts. */
const meanings: readonly Meaning[] = [
  {
    pattern: /^(ssh:|rsync:).*Cannot assign requested address/m,
    code: 'local-resources',
    reason: 'this host has no free local port, or no local address for the connection',
    remedy: 'Widen net.ipv4.ip_local_port_range on this host (sysctl), or set the IPv4 address of the server as host.',
    connects: true,
  },
  {
    // The sender runs on this host, the receiver and the generator at the server.
    pattern:
      /^(?:ssh:|rsync: \[sender\]).*(?:Too many open files|Cannot allocate memory|No buffer space)|(?:out of memory|core memory buffers).*\[sender/m,
    code: 'local-resources',
    reason: 'this host is at its limit of open files or memory',
  },
  {
    pattern: /Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED/,
    code: 'target-host-key',
    reason: 'its host key differs from the pinned key',
    connects: true,
  },
  {
    pattern: /Load key .*(incorrect passphrase|invalid format|error in libcrypto)/,
    code: 'config-invalid',
    reason: 'the private key cannot be read',
    remedy: 'Check privateKey and passphrase: OpenSSH format.',
    connects: true,
  },
  {
    pattern:
      /Permission denied \([a-z,-]+\)|Too many authentication failures|auth failed on module|Permission denied, please try again/,
    code: 'target-unauthorized',
    reason: 'it rejects the login',
    connects: true,
  },
  {
    pattern: /Unknown module/,
    code: 'target-misconfigured',
    reason: 'it has no such module',
    remedy: 'Correct via.module.',
    connects: true,
  },
  {
    pattern: /access denied to .* from/,
    code: 'target-unauthorized',
    reason: 'it does not allow this host',
    remedy: 'Add the address of this host to "hosts allow" of the module.',
    connects: true,
  },
  { pattern: /max connections .* reached/, code: 'target-busy', reason: 'it has too many connections', connects: true },
  {
    pattern: /no matching (cipher|key exchange method|MAC|mac|host key type) found/,
    code: 'target-misconfigured',
    reason: 'its ssh offers only insecure algorithms',
    remedy: 'Update the ssh server. If this is not possible, set via.algorithms to old.',
    connects: true,
  },
  {
    pattern: /Could not resolve hostname|getaddrinfo:/,
    code: 'target-unreachable',
    reason: 'the host name does not resolve',
    connects: true,
  },
  { pattern: /Connection refused/, code: 'target-unreachable', reason: 'connection refused', connects: true },
  {
    pattern: /banner exchange/,
    code: 'target-timeout',
    reason: 'it accepts the connection but does not respond',
    connects: true,
  },
  {
    pattern:
      /No route to host|Network is unreachable|Connection timed out|Operation timed out|timeout waiting for daemon/,
    code: 'target-unreachable',
    reason: 'it does not answer',
    connects: true,
  },
  { pattern: /No space left on device| \(28\)/, code: 'target-full', reason: 'there is no space left' },
  { pattern: /[Dd]isk quota exceeded| \(122\)/, code: 'target-full', reason: 'the quota is used up' },
  {
    pattern: /module is read only|Read-only file system| \(30\)/,
    code: 'target-misconfigured',
    reason: 'it is read-only',
    remedy: 'Set "read only = no" for the module, or mount the file system writable.',
  },
  {
    pattern: /(configured to refuse|refus\w+) --/,
    code: 'target-misconfigured',
    reason: 'it rejects an rsync option',
    remedy: 'Remove the option from "refuse options" of the module.',
  },
  {
    pattern: /command not found|rsync: not found|[/\w]*rsync: No such file or directory|remote command not found/,
    code: 'target-misconfigured',
    reason: 'it has no rsync for this user',
    remedy: 'Install rsync on the server, or set via.rsyncPath.',
    connects: true,
  },
  {
    pattern: /is your shell clean\?/,
    code: 'target-misconfigured',
    reason: 'its answer is not that of rsync: the login shell of the user prints text',
    remedy:
      'Remove what ~/.bashrc, ~/.profile or a banner of the user prints in sessions without a terminal, or correct via.rsyncPath.',
    connects: true,
  },
  {
    pattern: /Failed to negotiate a \w+ choice/,
    code: 'target-misconfigured',
    reason: 'the two rsync programs have no compression or checksum in common',
    remedy: 'Set compress to false, or update rsync on the server.',
    connects: true,
  },
  {
    pattern: /(change_dir|chdir|link_stat|mkdir).*(No such file or directory|Not a directory)/,
    code: 'target-misconfigured',
    reason: 'the folder does not exist',
    remedy: 'Create the folder, or correct the path.',
  },
  {
    pattern: /Permission denied \(13\)|Operation not permitted| \(1\)$/m,
    code: 'target-misconfigured',
    reason: 'permission denied',
    remedy: 'Give the user of the target permission to write to the folder and its subfolders.',
  },
  {
    pattern: /unknown option|syntax or usage error/,
    code: 'target-misconfigured',
    reason: 'rsync is too old on the server or on this host',
    remedy: 'Install rsync 3.1 or newer on both hosts.',
  },
];

/** The end of an unsuccessful rsync as a DispatchError. Its output is only in the `cause`, since paths may be patient data. */
export function translateRsyncEnd(
  { status, errors }: RsyncEnd,
  host: string,
  doing: string,
  stage?: Stage,
): DispatchError {
  const cause = new Error(`rsync ended with ${status ?? 'a signal'}: ${errors.slice(-2000)}`);
  const make = (code: ErrorCode, reason: string, remedy?: string, at = stage): DispatchError =>
    new DispatchError(
      code,
      `${doing} at ${host} failed: ${reason}${status === undefined ? '' : ` (rsync ${status})`}`,
      {
        cause,
        ...(at && { stage: at }),
        ...(remedy !== undefined && { remedy }),
      },
    );
  // A timeout has its own status; rsync then also prints that the connection was lost.
  if (status === 30) return make('target-timeout', 'it did not answer in time');
  const meaning = meanings.find(({ pattern }) => pattern.test(errors));
  if (meaning) return make(meaning.code, meaning.reason, meaning.remedy, meaning.connects ? 'connect' : stage);
  switch (status) {
    case 1:
    case 2:
    case 4:
      return make(
        'target-misconfigured',
        'rsync is too old on the server or on this host',
        'Install rsync 3.1 or newer on both hosts.',
      );
    case 5:
      return make(
        'target-misconfigured',
        'the daemon rejects the request',
        'Look at the log of the daemon.',
        'connect',
      );
    case 10:
    case 12:
    case 20:
    case 255:
      return make('target-connection-lost', 'the connection was lost');
    case 11:
      // "Error in file I/O" at the receiver, whose own message is often lost with the connection.
      return make(
        'target-full',
        'it could not write: its disk is full or damaged',
        'Free space at the server. If it has free space, check its log.',
      );
    case 35:
      return make('target-unreachable', 'it does not answer', undefined, 'connect');
    case 127:
      return make(
        'target-misconfigured',
        'rsync or ssh is not installed',
        'Install rsync, and ssh if it is used, on this host and on the server.',
      );
    default:
      return make('target-error', 'rsync could not finish');
  }
}

/** An error of the spool on this machine, as a DispatchError. */
export function translateSpoolError(thrown: unknown, folder: string): DispatchError {
  if (thrown instanceof DispatchError) return thrown;
  const shortage = ranOut(`the spool in ${folder} cannot be written`, thrown);
  if (shortage) return shortage;
  return new DispatchError('local-resources', `the spool in ${folder} cannot be written (${codeOf(thrown)})`, {
    cause: thrown,
    remedy: 'Free space in the spool folder on this host, set spool to another folder, or lower batchBytes.',
  });
}

/** The error if a program or its files could not be used because this machine lacks a resource; undefined for other reasons. */
function ranOut(what: string, thrown: unknown): DispatchError | undefined {
  const code = codeOf(thrown);
  const { reason, remedy } =
    localShortage(thrown) ??
    (code === 'EAGAIN'
      ? { reason: 'this host has reached its limit of processes', remedy: 'Raise TasksMax in systemd, or ulimit -u.' }
      : {});
  if (reason === undefined || remedy === undefined) return undefined;
  return new DispatchError('local-resources', `${what}: ${reason} (${code})`, { cause: thrown, remedy });
}

function codeOf(thrown: unknown): string {
  return thrown instanceof Error && 'code' in thrown ? String(thrown.code) : 'unknown';
}

/** The error for a program that could not be started. */
export function notStarted(program: string, cause: unknown): DispatchError {
  return ranOut(`${program} cannot be started on this host`, cause) ?? programMissing(program, cause);
}

export function programMissing(program: string, cause: unknown): DispatchError {
  return new DispatchError('target-misconfigured', `${program} cannot be started on this host`, {
    cause,
    stage: 'connect',
    remedy: `Install ${program} on the host of the dispatcher.`,
  });
}
