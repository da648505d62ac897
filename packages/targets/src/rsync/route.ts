import { isIPv6 } from 'node:net';
import { join } from 'node:path';
import { DispatchError } from '@dicom-dispatch/core';
import { algorithmLines } from './algorithm-lines.ts';
import { pinnedKeys } from './host-keys.ts';
import type { RsyncTarget, ViaSsh } from './schema.ts';
import type { WorkFolder } from './work-folder.ts';

/** How rsync connects to the server: arguments and environment that every run needs, and the address of the folder. */
export interface Route {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** The target's folder, with a trailing slash. */
  readonly folder: string;
}

export async function routeTo(config: RsyncTarget, work: WorkFolder, signal: AbortSignal): Promise<Route> {
  const { via, host } = config;
  const name = isIPv6(host) ? `[${host}]` : host;
  const seconds = (ms: number): string => String(Math.max(1, Math.ceil(ms / 1000)));
  const timeout = config.timeout > 0 ? [`--timeout=${seconds(config.timeout)}`] : [];
  if (via.type === 'daemon') {
    const password = via.password ? [`--password-file=${await work.keep('password', via.password.reveal())}`] : [];
    const user = via.username === undefined ? '' : `${via.username}@`;
    const path = config.path.replaceAll(/^[./]*\/|^\.$|\/+$/g, '');
    return {
      args: [...timeout, `--contimeout=${seconds(config.connectTimeout)}`, ...password],
      env: {},
      folder: `rsync://${user}${name}:${via.port}/${via.module}/${path === '' ? '' : `${path}/`}`,
    };
  }
  const file = await writeSshConfig(config, via, work, signal);
  const path = config.path.endsWith('/') ? config.path : `${config.path}/`;
  return {
    // rsync splits its remote shell at spaces, except in quotes.
    args: [
      ...timeout,
      '--rsh',
      `ssh -F '${file}'`,
      ...(via.rsyncPath === undefined ? [] : [`--rsync-path=${via.rsyncPath}`]),
    ],
    env: await askpass(via, work),
    folder: `${name}:${path}`,
  };
}

/** Writes a separate configuration of ssh, so that those of the user and the system are ignored. */
async function writeSshConfig(
  config: RsyncTarget,
  via: ViaSsh,
  work: WorkFolder,
  signal: AbortSignal,
): Promise<string> {
  if (work.path.includes("'")) {
    throw new DispatchError('config-invalid', 'spool: the path of the spool folder has a quotation mark in it', {
      stage: 'connect',
    });
  }
  const interactive = via.password !== undefined || via.passphrase !== undefined;
  const agent = agentOf(via);
  const lines = [
    'Host *',
    `Port ${via.port}`,
    `User "${via.username}"`,
    `ConnectTimeout ${Math.max(1, Math.ceil(config.connectTimeout / 1000))}`,
    ...algorithmLines(via),
    ...(await hostKeyLines(config, via, work, signal)),
    `BatchMode ${interactive ? 'no' : 'yes'}`,
    'NumberOfPasswordPrompts 1',
    `IdentityAgent ${agent === undefined ? 'none' : quoted(agent)}`,
    'IdentitiesOnly no',
    ...(via.privateKey
      ? [`IdentityFile ${quoted(await work.keep('identity', withNewline(via.privateKey.reveal())))}`]
      : ['IdentityFile none']),
    `PasswordAuthentication ${via.password ? 'yes' : 'no'}`,
    `KbdInteractiveAuthentication ${via.password ? 'yes' : 'no'}`,
    `PubkeyAuthentication ${via.privateKey || agent !== undefined ? 'yes' : 'no'}`,
    'ClearAllForwardings yes',
    // At this level ssh prints which algorithms the server offers if none is common.
    'LogLevel INFO',
    '',
  ];
  return work.keep('ssh-config', lines.join('\n'));
}

async function hostKeyLines(
  config: RsyncTarget,
  via: ViaSsh,
  work: WorkFolder,
  signal: AbortSignal,
): Promise<string[]> {
  const only = (file: string): string[] => [
    'StrictHostKeyChecking yes',
    `UserKnownHostsFile ${quoted(file)}`,
    'GlobalKnownHostsFile /dev/null',
    'UpdateHostKeys no',
  ];
  if (via.hostKey === 'insecure-any') {
    return ['StrictHostKeyChecking no', 'UserKnownHostsFile /dev/null', 'GlobalKnownHostsFile /dev/null'];
  }
  if ('knownHosts' in via.hostKey) return only(via.hostKey.knownHosts);
  return only(await work.keep('known-hosts', await pinnedKeys(config, via, work, via.hostKey.fingerprint, signal)));
}

/** ssh reads passwords only from a program (ssh(1), "SSH_ASKPASS"); this one reads a file with access for this user only. */
async function askpass(via: ViaSsh, work: WorkFolder): Promise<Record<string, string>> {
  const answer = via.password ?? via.passphrase;
  if (!answer) return {};
  await work.keep('answer', `${answer.reveal()}\n`);
  const program = await work.keep('askpass', `#!/bin/sh\nexec cat '${join(work.path, 'answer')}'\n`, 0o700);
  return { SSH_ASKPASS: program, SSH_ASKPASS_REQUIRE: 'force', DISPLAY: ':0' };
}

function agentOf({ agent }: ViaSsh): string | undefined {
  if (agent !== true) return agent;
  const socket = process.env['SSH_AUTH_SOCK'];
  if (socket !== undefined) return socket;
  throw new DispatchError('config-invalid', 'via.agent: SSH_AUTH_SOCK is not set', {
    stage: 'connect',
    remedy: 'Start an ssh agent for the dispatcher, or set the path of its socket.',
  });
}

/** Percent signs are placeholders in ssh_config. */
function quoted(path: string): string {
  return `"${path.replaceAll('%', '%%')}"`;
}

function withNewline(text: string): string {
  return text.endsWith('\n') ? text : `${text}\n`;
}
