import { DispatchError, type DispatchErrorOptions, type ErrorCode, type Stage } from '@dicom-dispatch/core';

interface Meaning {
  readonly code: ErrorCode;
  readonly reason: string;
  readonly remedy?: string;
}

const permissions = 'Give the user of the dispatcher the right to read, write and search the folder, and those in it.';

/** What the codes of the file system mean for a delivery. */
const meanings: Readonly<Record<string, Meaning>> = {
  ENOSPC: { code: 'target-full', reason: 'there is no space left' },
  EDQUOT: { code: 'target-full', reason: 'the quota is used up' },
  EFBIG: { code: 'instance-too-large', reason: 'the file is larger than the file system allows' },
  EACCES: { code: 'target-misconfigured', reason: 'access is denied', remedy: permissions },
  EPERM: { code: 'target-misconfigured', reason: 'the operation is not permitted', remedy: permissions },
  EROFS: { code: 'target-misconfigured', reason: 'the file system is mounted read-only', remedy: 'Mount it writable.' },
  ENOENT: {
    code: 'target-misconfigured',
    reason: 'the folder does not exist',
    remedy: 'Create the folder, or mount the share that it belongs to.',
  },
  ENOTDIR: {
    code: 'target-misconfigured',
    reason: 'a file is where a folder should be',
    remedy: 'Remove the file, or change the path or layout of the target.',
  },
  EISDIR: {
    code: 'target-misconfigured',
    reason: 'a folder is where a file should be',
    remedy: 'Remove the folder, or change the layout of the target.',
  },
  ELOOP: {
    code: 'target-misconfigured',
    reason: 'a link is in the place of a file or folder, or links lead in a circle',
  },
  ENAMETOOLONG: {
    code: 'target-misconfigured',
    reason: 'a name is longer than the file system allows',
    remedy: 'Shorten the layout of the target.',
  },
  EINVAL: {
    code: 'target-misconfigured',
    reason: 'the file system does not support the operation',
    remedy: 'Set fsync to false, and leave out owner and mode, if this share does not support them.',
  },
  ENOTSUP: {
    code: 'target-misconfigured',
    reason: 'the file system does not support the operation',
    remedy: 'Set fsync to false, and leave out owner and mode, if this share does not support them.',
  },
  EHOSTDOWN: { code: 'target-unreachable', reason: 'the server of the share does not answer' },
  EHOSTUNREACH: { code: 'target-unreachable', reason: 'the server of the share is out of reach' },
  ENETUNREACH: { code: 'target-unreachable', reason: 'the network of the share is out of reach' },
  ENOTCONN: { code: 'target-unreachable', reason: 'the share is no longer connected' },
  ENODEV: { code: 'target-unreachable', reason: 'the device is gone' },
  ENXIO: { code: 'target-unreachable', reason: 'the device is gone' },
  ETIMEDOUT: { code: 'target-timeout', reason: 'the share did not answer in time' },
  ESTALE: {
    code: 'target-unreachable',
    reason: 'the share was mounted anew, or the folder on it replaced',
    remedy: 'Mount the share again.',
  },
  EIO: {
    code: 'target-error',
    reason: 'reading or writing failed',
    remedy: 'Check the disk or share: it reports errors.',
  },
  EMFILE: {
    code: 'local-resources',
    reason: 'the dispatcher has as many files open as it may',
    remedy: 'Raise the limit of open files of the dispatcher: ulimit -n, LimitNOFILE in systemd, ulimits in Compose.',
  },
  ENFILE: {
    code: 'local-resources',
    reason: 'this machine has as many files open as it can',
    remedy: 'Raise fs.file-max of this machine (sysctl).',
  },
  ENOMEM: {
    code: 'local-resources',
    reason: 'this machine has no memory left',
    remedy: 'Give the machine or container of the dispatcher more memory.',
  },
};

/**
 * A thrown error of the file system as a DispatchError. Paths in the folder may be made of patient data: only the
 * folder itself is named.
 */
export function translateFsError(thrown: unknown, folder: string, doing: string, stage?: Stage): DispatchError {
  if (thrown instanceof DispatchError) return thrown;
  const code = fsCode(thrown);
  const meaning = code === undefined ? undefined : meanings[code];
  const options: DispatchErrorOptions = { cause: thrown, ...(stage && { stage }) };
  if (!meaning) {
    return new DispatchError(
      'target-error',
      `${doing} in ${folder} failed${code === undefined ? '' : ` (${code})`}`,
      options,
    );
  }
  return new DispatchError(meaning.code, `${doing} in ${folder} failed: ${meaning.reason} (${code})`, {
    ...options,
    ...(meaning.remedy !== undefined && { remedy: meaning.remedy }),
  });
}

export function fsCode(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || !('code' in thrown) || typeof thrown.code !== 'string') return undefined;
  return thrown.code;
}

export function silentFolder(folder: string, timeoutMs: number, doing: string): DispatchError {
  return new DispatchError('target-timeout', `${doing} in ${folder} took longer than ${timeoutMs / 1000} s`, {
    remedy: 'Check the disk or share: it does not answer. Raise the timeout of the target if it is only slow.',
  });
}
