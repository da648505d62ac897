import { DispatchError, type ErrorCode, type Stage } from '@dicom-dispatch/core';
import { networkError } from '../http/network-error.ts';

/** Status codes of SFTP version 3 (draft-ietf-secsh-filexfer-02 section 7). */
const status = { eof: 1, noSuchFile: 2, permissionDenied: 3, failure: 4, badMessage: 5, unsupported: 8 } as const;

const permissions = 'Give the user of the target the right to read, write and search the folder, and those in it.';

/**
 * What ssh2-sftp-client or the session below it threw, as a DispatchError. Paths in the folder may be made of patient
 * data: only the host is named, and of what was thrown only the status is kept.
 */
export function translateSftpError(thrown: unknown, host: string, doing: string, stage?: Stage): DispatchError {
  if (thrown instanceof DispatchError) return thrown;
  const make = (code: ErrorCode, says: string, remedy?: string): DispatchError =>
    new DispatchError(code, `${doing} at ${host} failed: ${says}`, {
      cause: new SftpStatusError(sftpStatus(thrown)),
      ...(stage && { stage }),
      ...(remedy !== undefined && { remedy }),
    });
  switch (sftpStatus(thrown)) {
    case status.noSuchFile:
      return make('target-misconfigured', 'the folder does not exist', 'Create the folder, or correct the path.');
    case status.permissionDenied:
      return make('target-misconfigured', 'permission denied', permissions);
    case status.unsupported:
      return make('target-misconfigured', 'the server does not support the operation');
    case status.badMessage:
      return make('target-error', 'the server did not understand the request');
    case status.eof:
      return make('target-error', 'the file ended early');
    case status.failure:
      return make(
        'target-error',
        'the server says only "Failure"',
        'Look at the log of the server: often its disk is full or a quota used up.',
      );
    default:
      break;
  }
  return translateSshError(thrown, host, stage);
}

/** What went wrong with the connection itself. */
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
        `${host} refuses the login`,
        'Check user name, password and key, and that the server allows this way to log in.',
      );
    case 'agent':
      return make(
        'target-unauthorized',
        `the ssh agent for ${host} does not answer`,
        'Check that the agent runs and the dispatcher may use its socket.',
      );
    case 'client-timeout':
      return make('target-timeout', `${host} did not complete the login in time`);
    case 'client-dns':
      return make('target-unreachable', `${host} cannot be reached: its name does not resolve`);
    case 'handshake':
      return make(
        'target-misconfigured',
        `no common algorithms with the ssh of ${host}`,
        'Update the ssh server: it offers only algorithms that are no longer safe.',
      );
    case 'protocol':
    case 'sftp-protocol':
      return make(
        'target-misconfigured',
        `${host} does not speak ssh as expected on this port`,
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
  const error = networkError(thrown, host);
  return new DispatchError(error.code, error.message, { cause: thrown, ...(stage && { stage }) });
}

class SftpStatusError extends Error {
  readonly code: number | undefined;

  constructor(code: number | undefined) {
    super(`SFTP status ${code}`);
    this.code = code;
  }
}

/** Whether the server has answered, with a refusal. */
export function hasStatus(thrown: unknown): boolean {
  return sftpStatus(thrown) !== undefined;
}

export function isNoSuchFile(thrown: unknown): boolean {
  return sftpStatus(thrown) === status.noSuchFile;
}

/** "Failure": a folder that is there already, a full disk, a file in the way … version 3 has no better word. */
export function isFailure(thrown: unknown): boolean {
  return sftpStatus(thrown) === status.failure;
}

function sftpStatus(thrown: unknown): number | undefined {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'number' ? thrown.code : undefined;
}

function levelOf(thrown: unknown): string | undefined {
  return thrown instanceof Error && 'level' in thrown && typeof thrown.level === 'string' ? thrown.level : undefined;
}

function codeOf(thrown: unknown): string | undefined {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : undefined;
}
