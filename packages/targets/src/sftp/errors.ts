import { DispatchError, type ErrorCode, type Stage } from '@dicom-dispatch/core';
import { networkError } from '@dicom-dispatch/target-kit/checks';

/** Status codes of SFTP version 3 (draft-ietf-secsh-filexfer-02 section 7). */
const status = {
  eof: 1,
  noSuchFile: 2,
  permissionDenied: 3,
  failure: 4,
  badMessage: 5,
  unsupported: 8,
  // Of later versions (draft-ietf-secsh-filexfer-13 section 9.1); some servers use them in version 3.
  noSuchPath: 10,
  alreadyExists: 11,
  writeProtected: 12,
  noSpace: 14,
  quotaExceeded: 15,
} as const;

const permissions = 'Give the user of the target permission to read, write and search the folder and its subfolders.';

/**
 * An error of ssh2-sftp-client or of its session as a DispatchError. Paths in the folder may contain patient data: only the host is
 * named, and only the status of the error is used.
 */
export function translateSftpError(
  thrown: unknown,
  host: string,
  doing: string,
  { stage, refused }: TranslateOptions = {},
): DispatchError {
  if (thrown instanceof DispatchError) return thrown;
  const make = (code: ErrorCode, reason: string, remedy?: string): DispatchError =>
    new DispatchError(code, `${doing} at ${host} failed: ${reason}`, {
      cause: new SftpStatusError(sftpStatus(thrown)),
      ...(stage && { stage }),
      ...(remedy !== undefined && { remedy }),
    });
  switch (sftpStatus(thrown)) {
    case status.noSuchFile:
    case status.noSuchPath:
      return make('target-misconfigured', 'the folder does not exist', 'Create the folder, or correct the path.');
    case status.permissionDenied:
      return make('target-misconfigured', 'permission denied', refused ?? permissions);
    case status.writeProtected:
      return make('target-misconfigured', 'it is read-only', 'Mount the file system of the server writable.');
    case status.noSpace:
      return make('target-full', 'there is no space left', 'Free space at the server.');
    case status.quotaExceeded:
      return make('target-full', 'the quota is used up', 'Free space at the server, or raise the quota of the user.');
    case status.unsupported:
      return make('target-misconfigured', 'the server does not support the operation', refused);
    case status.badMessage:
      return make('target-error', 'the server did not understand the request');
    case status.eof:
      return make('target-error', 'the file ended early');
    case status.failure:
      return make(
        'target-error',
        'the server reports only "Failure"',
        'Check the log of the server: common causes are a full disk or an exceeded quota.',
      );
    case undefined:
      return translateSshError(thrown, host, stage);
    default:
      return make('target-error', `the server reports status ${sftpStatus(thrown)}`, 'Check the log of the server.');
  }
}

export interface TranslateOptions {
  readonly stage?: Stage | undefined;
  /** The remedy if the server does not allow the request at all. */
  readonly refused?: string | undefined;
}

/** Errors of the connection itself. */
export function translateSshError(thrown: unknown, host: string, stage?: Stage): DispatchError {
  if (thrown instanceof DispatchError) return thrown;
  const make = (code: ErrorCode, message: string, remedy?: string): DispatchError =>
    new DispatchError(code, message, {
      cause: thrown,
      ...(stage && { stage }),
      ...(remedy !== undefined && { remedy }),
    });
  const text = thrown instanceof Error ? thrown.message : '';
  switch (levelOf(thrown)) {
    case 'client-authentication':
      return make(
        'target-unauthorized',
        `${host} rejects the login`,
        'Check user name, password and key, and that the server allows this login method.',
      );
    case 'agent':
      return make(
        'target-unauthorized',
        `the ssh agent for ${host} does not respond`,
        'Check that the agent is running and that the dispatcher has access to its socket.',
      );
    case 'client-timeout':
      return make('target-timeout', `${host} did not complete the login in time`);
    case 'client-dns':
      return make('target-unreachable', `${host} cannot be reached: the host name does not resolve`);
    case 'handshake':
      return make(
        'target-misconfigured',
        `no common ${algorithmsIn(text)} with the ssh of ${host}`,
        'Update the ssh server: it offers only insecure algorithms. If this is not possible, set algorithms to old.',
      );
    case 'protocol':
    case 'sftp-protocol':
      return make(
        'target-misconfigured',
        `${host} does not offer a supported ssh service on this port`,
        'Check host and port.',
      );
    default:
      break;
  }
  if (/parse|passphrase|privateKey|Malformed|encrypted/i.test(text) && !codeOf(thrown)) {
    return make(
      'config-invalid',
      'the private key cannot be read',
      'Check privateKey and passphrase: OpenSSH or PEM format.',
    );
  }
  if (/No response from server|Not connected|Channel closed|ended|closed/i.test(text)) {
    return make('target-connection-lost', `the connection to ${host} was lost`);
  }
  return networkError(thrown, host, stage && { stage });
}

/** The kind of algorithm that is missing according to an error of ssh2, as text. */
function algorithmsIn(text: string): string {
  if (/key exchange/i.test(text)) return 'key exchange (KexAlgorithms)';
  if (/host key/i.test(text)) return 'host key algorithm (HostKeyAlgorithms)';
  if (/cipher/i.test(text)) return 'cipher (Ciphers)';
  if (/MAC/.test(text)) return 'MAC (MACs)';
  return 'algorithms';
}

class SftpStatusError extends Error {
  readonly code: number | undefined;

  constructor(code: number | undefined) {
    super(`SFTP status ${code}`);
    this.code = code;
  }
}

/** Whether the error is a status that the server has returned. */
export function hasStatus(thrown: unknown): boolean {
  return sftpStatus(thrown) !== undefined;
}

export function isNoSuchFile(thrown: unknown): boolean {
  return sftpStatus(thrown) === status.noSuchFile || sftpStatus(thrown) === status.noSuchPath;
}

/** "Failure": an existing folder, a full disk, a file that blocks the path, and others: version 3 has no specific status for them. */
export function isFailure(thrown: unknown): boolean {
  return sftpStatus(thrown) === status.failure || sftpStatus(thrown) === status.alreadyExists;
}

/** The server does not permit the request, or does not support it. */
export function isRefused(thrown: unknown): boolean {
  return sftpStatus(thrown) === status.permissionDenied || sftpStatus(thrown) === status.unsupported;
}

function sftpStatus(thrown: unknown): number | undefined {
  // Errors of aborted signals have numeric codes, too.
  if (thrown instanceof DOMException) return undefined;
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'number' ? thrown.code : undefined;
}

function levelOf(thrown: unknown): string | undefined {
  return thrown instanceof Error && 'level' in thrown && typeof thrown.level === 'string' ? thrown.level : undefined;
}

function codeOf(thrown: unknown): string | undefined {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : undefined;
}
