import {
  DispatchError,
  localShortage,
  type DispatchErrorOptions,
  type ErrorCode,
  type Stage,
} from '@dicom-dispatch/core';

interface Meaning {
  readonly code: ErrorCode;
  readonly reason: string;
  readonly remedy?: string;
}

const permissions =
  'Give the user of the dispatcher permission to read, write and search the folder and its subfolders.';

/** Meaning of file system error codes for a delivery. */
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
    reason: 'a file exists in the place of a folder',
    remedy: 'Remove the file, or change the path or layout of the target.',
  },
  EISDIR: {
    code: 'target-misconfigured',
    reason: 'a folder exists in the place of a file',
    remedy: 'Remove the folder, or change the layout of the target.',
  },
  ELOOP: {
    code: 'target-misconfigured',
    reason: 'a link exists in the place of a file or folder, or links form a loop',
  },
  ENAMETOOLONG: {
    code: 'target-misconfigured',
    reason: 'a name exceeds the length limit of the file system',
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
  EHOSTUNREACH: { code: 'target-unreachable', reason: 'the server of the share is unreachable' },
  ENETUNREACH: { code: 'target-unreachable', reason: 'the network of the share is unreachable' },
  ENOTCONN: { code: 'target-unreachable', reason: 'the share is no longer connected' },
  ENODEV: { code: 'target-unreachable', reason: 'the device no longer exists' },
  ENXIO: { code: 'target-unreachable', reason: 'the device no longer exists' },
  ETIMEDOUT: { code: 'target-timeout', reason: 'the share did not answer in time' },
  ESTALE: {
    code: 'target-unreachable',
    reason: 'the share was mounted again, or its folder was replaced',
    remedy: 'Mount the share again.',
  },
  EIO: {
    code: 'target-error',
    reason: 'reading or writing failed',
    remedy: 'Check the disk or share for errors.',
  },
};

/**
 * A file system error as a DispatchError. Paths in the folder may contain patient data: only the
 * folder itself is named.
 */
export function translateFsError(thrown: unknown, folder: string, doing: string, stage?: Stage): DispatchError {
  if (thrown instanceof DispatchError) return thrown;
  const code = fsCode(thrown);
  const meaning = meaningOf(thrown, code);
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

function meaningOf(thrown: unknown, code: string | undefined): Meaning | undefined {
  const shortage = localShortage(thrown);
  if (shortage) return { code: 'local-resources', ...shortage };
  return code === undefined ? undefined : meanings[code];
}

export function fsCode(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || !('code' in thrown) || typeof thrown.code !== 'string') return undefined;
  return thrown.code;
}

export function silentFolder(folder: string, timeoutMs: number, doing: string): DispatchError {
  return new DispatchError('target-timeout', `${doing} in ${folder} took longer than ${timeoutMs / 1000} s`, {
    remedy: 'Check the disk or share: it does not respond. If it is only slow, raise the timeout of the target.',
  });
}
