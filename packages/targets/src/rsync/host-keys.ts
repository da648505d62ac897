import { readFile } from 'node:fs/promises';
import { DispatchError } from '@dicom-dispatch/core';
import { fingerprintOf } from '../ssh/index.ts';
import { algorithmLines } from './algorithm-lines.ts';
import { runProgram } from './run-program.ts';
import type { WorkFolder } from './work-folder.ts';
import type { RsyncTarget, ViaSsh } from './schema.ts';

/**
 * Lines of known_hosts for a server whose key is pinned by fingerprint: ssh itself compares complete keys only. The keys
 * of the server are requested, and those with a pinned fingerprint are used; ssh then verifies again.
 *
 * @throws {DispatchError} `target-host-key` if none of its keys is pinned
 */
export async function pinnedKeys(
  { host, connectTimeout }: RsyncTarget,
  via: ViaSsh,
  work: WorkFolder,
  fingerprints: readonly string[],
  signal: AbortSignal,
): Promise<string> {
  const { port } = via;
  const seconds = String(Math.max(1, Math.ceil(connectTimeout / 1000)));
  const output =
    via.algorithms === 'old'
      ? await keysBySsh(host, via, work, seconds, signal)
      : (await runProgram('ssh-keyscan', ['-T', seconds, '-p', String(port), host], { signal })).output;
  const lines = output.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const shown = lines.map((line) => ({
    line,
    fingerprint: fingerprintOf(Buffer.from(line.split(' ')[2] ?? '', 'base64')),
  }));
  if (shown.length === 0) {
    throw new DispatchError('target-unreachable', `${host} port ${port} shows no host key: there is no ssh server`, {
      stage: 'connect',
    });
  }
  const pinned = shown.filter(({ fingerprint }) => fingerprints.includes(fingerprint));
  if (pinned.length > 0) return pinned.map(({ line }) => `${line}\n`).join('');
  throw new DispatchError(
    'target-host-key',
    `${host} shows different host keys than the pinned key: ${shown.map(({ fingerprint }) => fingerprint).join(', ')}`,
    { stage: 'connect' },
  );
}

/** ssh-keyscan supports safe algorithms only. ssh itself stores the presented key before any login; no login is tried. */
async function keysBySsh(
  host: string,
  via: ViaSsh,
  work: WorkFolder,
  seconds: string,
  signal: AbortSignal,
): Promise<string> {
  const file = await work.keep('shown-keys', '');
  const lines = [
    'Host *',
    `Port ${via.port}`,
    `ConnectTimeout ${seconds}`,
    ...algorithmLines(via),
    'StrictHostKeyChecking no',
    `UserKnownHostsFile "${file.replaceAll('%', '%%')}"`,
    'GlobalKnownHostsFile /dev/null',
    'HashKnownHosts no',
    'PreferredAuthentications none',
    'BatchMode yes',
    'LogLevel ERROR',
    '',
  ];
  const config = await work.keep('look-config', lines.join('\n'));
  await runProgram('ssh', ['-F', config, `${via.username}@${host}`, 'true'], { signal });
  return readFile(file, 'utf8');
}
