import { DispatchError } from '@dicom-dispatch/core';
import { fingerprintOf } from '../ssh/index.ts';
import { runProgram } from './run-program.ts';
import type { RsyncTarget, ViaSsh } from './schema.ts';

/**
 * Lines of known_hosts for a server whose key is pinned by fingerprint: ssh itself compares whole keys only. The keys
 * that the server shows are asked for, and those kept whose fingerprint is pinned; ssh then checks again by itself.
 *
 * @throws {DispatchError} `target-host-key` when none of its keys is pinned
 */
export async function pinnedKeys(
  { host, connectTimeout }: RsyncTarget,
  { port }: ViaSsh,
  fingerprints: readonly string[],
  signal: AbortSignal,
): Promise<string> {
  const seconds = Math.max(1, Math.ceil(connectTimeout / 1000));
  const { output } = await runProgram('ssh-keyscan', ['-T', String(seconds), '-p', String(port), host], { signal });
  const lines = output.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const shown = lines.map((line) => ({
    line,
    fingerprint: fingerprintOf(Buffer.from(line.split(' ')[2] ?? '', 'base64')),
  }));
  if (shown.length === 0) {
    throw new DispatchError('target-unreachable', `${host} port ${port} shows no host key: no ssh answers there`, {
      stage: 'connect',
    });
  }
  const pinned = shown.filter(({ fingerprint }) => fingerprints.includes(fingerprint));
  if (pinned.length > 0) return pinned.map(({ line }) => `${line}\n`).join('');
  throw new DispatchError(
    'target-host-key',
    `${host} shows other host keys than the pinned one: ${shown.map(({ fingerprint }) => fingerprint).join(', ')}`,
    { stage: 'connect' },
  );
}
