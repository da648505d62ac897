import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { startSshd } from './sshd.ts';
import type { SshServer } from './sshd.ts';
import { tempDisk } from './temp-disk.ts';
import { tempFolder } from './temp-folder.ts';

const run = promisify(execFile);

function sshOptions(server: SshServer): string[] {
  return [
    `-oUserKnownHostsFile=${server.knownHostsFile}`,
    '-oStrictHostKeyChecking=yes',
    `-oIdentityFile=${server.clientKey.privateKeyFile}`,
    '-oIdentitiesOnly=yes',
    '-oBatchMode=yes',
    `-oPort=${server.port}`,
  ];
}

async function put(server: SshServer, bytes: Buffer): Promise<void> {
  await using folder = await tempFolder();
  await writeFile(join(folder.path, 'file'), bytes);
  await writeFile(join(folder.path, 'batch'), `put ${folder.path}/file ${server.filesFolder}/file\n`);
  await run('sftp', ['-b', join(folder.path, 'batch'), ...sshOptions(server), `${server.username}@${server.host}`]);
}

test('accepts a file by SFTP with a key', async () => {
  await using server = await startSshd();
  await put(server, Buffer.from('hello'));
  expect(await readFile(join(server.filesFolder, 'file'), 'utf8')).toBe('hello');
});

test('returns the fingerprint that ssh sees', async () => {
  await using server = await startSshd();
  const { stdout } = await run('ssh-keygen', ['-lf', server.knownHostsFile]);
  expect(stdout).toContain(server.hostKey.fingerprint);
});

test('authenticates a user by password who does not exist on the machine', async () => {
  await using server = await startSshd({ password: 'open sesame' });
  await using folder = await tempFolder();
  const askpass = join(folder.path, 'askpass');
  await writeFile(askpass, '#!/bin/sh\necho "$WORD"\n', { mode: 0o755 });
  const login = (word: string): Promise<{ stdout: string }> =>
    run(
      'ssh',
      [
        `-oUserKnownHostsFile=${server.knownHostsFile}`,
        '-oPreferredAuthentications=password',
        '-oNumberOfPasswordPrompts=1',
        `-oPort=${server.port}`,
        `${server.username}@${server.host}`,
        'id -un',
      ],
      { env: { ...process.env, SSH_ASKPASS: askpass, SSH_ASKPASS_REQUIRE: 'force', DISPLAY: ':0', WORD: word } },
    );
  expect((await login('open sesame')).stdout).toContain('tester');
  await expect(login('wrong')).rejects.toThrow('Permission denied');
  expect(await readFile('/etc/passwd', 'utf8')).not.toContain('tester');
});

test('runs rsync, except where it is for files only', async () => {
  await using server = await startSshd();
  await using restricted = await startSshd({ sftpOnly: true });
  await using folder = await tempFolder();
  await writeFile(join(folder.path, 'a'), 'content');
  const sync = (to: SshServer): Promise<unknown> => {
    const shell = ['ssh', ...sshOptions(to)].join(' ');
    return run('rsync', ['-a', '-e', shell, `${folder.path}/`, `${to.username}@${to.host}:${to.filesFolder}/`]);
  };
  await sync(server);
  expect(await readFile(join(server.filesFolder, 'a'), 'utf8')).toBe('content');
  await expect(sync(restricted)).rejects.toThrow();
});

test('fails where the disk is full', async () => {
  await using disk = await tempDisk({ sizeBytes: 64 * 1024 });
  await using server = await startSshd({ filesFolder: disk.path });
  await put(server, Buffer.alloc(1024));
  await expect(put(server, Buffer.alloc(1024 * 1024))).rejects.toThrow();
});
