import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface SshKey {
  /** OpenSSH private key. */
  readonly privateKey: string;
  readonly privateKeyFile: string;
  /** `ssh-ed25519 AAAA…` */
  readonly publicKey: string;
  /** `SHA256:…` as ssh prints it. */
  readonly fingerprint: string;
}

/** A new key pair, written to `file` and `file.pub`. */
export async function makeSshKey(file: string, type: 'ed25519' | 'rsa' = 'ed25519'): Promise<SshKey> {
  await run('ssh-keygen', ['-q', '-t', type, '-N', '', '-C', 'harness', '-f', file]);
  const publicKey = (await readFile(`${file}.pub`, 'utf8')).trim();
  const blob = Buffer.from(publicKey.split(' ')[1]!, 'base64');
  const fingerprint = `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
  return { privateKey: await readFile(file, 'utf8'), privateKeyFile: file, publicKey, fingerprint };
}
