import { KeyObject, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Secret } from '@dicom-dispatch/core';
import { startSshd } from '@dicom-dispatch/harness';
import { expect, it } from 'vitest';
import { connectSftp, type Connection } from './connect.ts';
import { sftpTarget } from './schema.ts';
import { SftpSession } from './session.ts';

it.each([
  ['aes128-gcm@openssh.com', ['_encKey', '_decipherKey']],
  ['aes256-ctr', ['_macKey', '_macKey']],
])('gives ssh2 %s keys as KeyObjects, also after a new exchange of keys', async (cipher, [outbound, inbound]) => {
  await using sshd = await startSshd({ config: ['RekeyLimit 1M', `Ciphers ${cipher}`] });
  const config = sftpTarget.parse({
    type: 'sftp',
    host: sshd.host,
    port: sshd.port,
    username: sshd.username,
    privateKey: new Secret(sshd.clientKey.privateKey),
    hostKey: { knownHosts: sshd.knownHostsFile },
    path: sshd.filesFolder,
  });
  const { signal } = new AbortController();
  const connection = await connectSftp(config, signal);
  const session = new SftpSession(config, connection);
  try {
    const before = keysOf(connection, outbound!, inbound!);
    expect(before).toEqual([expect.any(KeyObject), expect.any(KeyObject)]);
    const content = randomBytes(4_000_000);
    const path = join(config.path, 'file');
    const handle = await session.openFile(path, 'wx', signal);
    const { maxWriteBytes } = session;
    expect(maxWriteBytes).toBe(255 * 1024);
    for (let at = 0; at < content.length; at += maxWriteBytes) {
      await session.write(handle, content.subarray(at, at + maxWriteBytes), at, signal);
    }
    await session.closeFile(handle, signal);
    expect(content.equals(await readFile(path))).toBe(true);
    const after = keysOf(connection, outbound!, inbound!);
    expect(after).toEqual([expect.any(KeyObject), expect.any(KeyObject)]);
    expect((after[0] as KeyObject).equals(before[0] as KeyObject)).toBe(false);
  } finally {
    session.end();
  }
});

function keysOf({ client }: Connection, outbound: string, inbound: string): unknown[] {
  type Keys = Readonly<Record<string, unknown>>;
  const { client: ssh } = client as unknown as { client: { _protocol: { _cipher: Keys; _decipher: Keys } } };
  return [ssh._protocol._cipher[outbound], ssh._protocol._decipher[inbound]];
}
