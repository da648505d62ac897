import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { DispatchError } from '@dicom-dispatch/core';
import type { HostKeyOption } from './host-key-option.ts';
import { knownKeys, type KnownKey } from './known-hosts.ts';

/** Decides about the key that a server shows. */
export interface HostKeyJudge {
  /** Types of the expected keys, to request them from the server; undefined if unknown. */
  readonly types: readonly string[] | undefined;
  /** Undefined if the key is the expected one, otherwise the reason. */
  judge(blob: Buffer): DispatchError | undefined;
}

/** @throws {DispatchError} if the known_hosts file cannot be read or has no valid key of the host */
export async function hostKeyJudge(option: HostKeyOption, host: string, port: number): Promise<HostKeyJudge> {
  if (option === 'insecure-any') return { types: undefined, judge: () => undefined };
  if ('fingerprint' in option) {
    return {
      types: undefined,
      judge: (blob) => (option.fingerprint.includes(fingerprintOf(blob)) ? undefined : differs(blob, host)),
    };
  }
  const keys = knownKeys(await readKnownHosts(option.knownHosts), host, port);
  const valid = keys.filter(({ revoked }) => !revoked);
  if (valid.length === 0) {
    throw new DispatchError('target-host-key', `${option.knownHosts} has no key for ${host} port ${port}`, {
      stage: 'connect',
      remedy:
        'Check the fingerprint with the administrator of the server, then add the host key to the known_hosts file.',
    });
  }
  return { types: valid.map(({ type }) => type), judge: (blob) => judgeKnown(keys, blob, host) };
}

export function fingerprintOf(blob: Buffer): string {
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
}

function judgeKnown(keys: readonly KnownKey[], blob: Buffer, host: string): DispatchError | undefined {
  const same = keys.filter((key) => key.blob.equals(blob));
  if (same.some(({ revoked }) => revoked)) {
    return new DispatchError('target-host-key', `the host key of ${host} is marked as revoked`, {
      stage: 'connect',
      remedy: 'Do not use this server until its key is replaced.',
    });
  }
  return same.length > 0 ? undefined : differs(blob, host);
}

function differs(blob: Buffer, host: string): DispatchError {
  const type = blob.toString('latin1', 4, 4 + Math.min(blob.readUInt32BE(0), 64));
  return new DispatchError(
    'target-host-key',
    `${host} shows a different host key than the pinned key: ${type} ${fingerprintOf(blob)}`,
    {
      stage: 'connect',
    },
  );
}

async function readKnownHosts(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unreadable';
    throw new DispatchError('config-invalid', `hostKey.knownHosts: ${path} cannot be read (${code})`, {
      cause,
      stage: 'connect',
      remedy: 'Correct the path, or allow the dispatcher to read the file.',
    });
  }
}
