import { execFile } from 'node:child_process';
import { chmod, chown, mkdir, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { makeSshKey } from './ssh-keys.ts';
import type { SshKey } from './ssh-keys.ts';
import { startServer } from './start-server.ts';
import type { RunningServer } from './start-server.ts';

const run = promisify(execFile);

export interface SshdOptions {
  /**
   * Also accepts this password, as a user `tester` that only this server knows (the machine's users are unchanged).
   * Requires root and permission to mount. Without it: the user that runs the tests, by key.
   */
  readonly password?: string;
  /** Files only: no commands, so no rsync either. Default false. */
  readonly sftpOnly?: boolean;
  /** Folder for the files of clients. Default a new folder; use a `tempDisk()` for a full disk. */
  readonly filesFolder?: string;
  /** Arguments of its SFTP server: `-P stat,lstat` refuses requests. */
  readonly sftpArguments?: string;
  /** Additional lines of sshd_config, before the others (the first one wins): `['MaxSessions 1']`. */
  readonly config?: readonly string[];
  /** Type of the host key. Default `ed25519`. */
  readonly hostKeyType?: 'ed25519' | 'rsa';
}

export interface SshServer extends RunningServer {
  readonly host: string;
  readonly port: number;
  readonly username: string;
  readonly password: string | undefined;
  /** The key that may log in. */
  readonly clientKey: SshKey;
  readonly hostKey: SshKey;
  /** A known_hosts file that names this server. */
  readonly knownHostsFile: string;
  /** A folder that the user may write to, absolute; there is no chroot. */
  readonly filesFolder: string;
}

const testUser = { name: 'tester', id: 64_123 };

/** OpenSSH's server with SFTP. */
export async function startSshd(options: SshdOptions = {}): Promise<SshServer> {
  const username = options.password === undefined ? userInfo().username : testUser.name;
  let keys: { clientKey: SshKey; hostKey: SshKey } | undefined;
  const server = await startServer({
    name: 'sshd',
    prepare: async (folder, [port]) => {
      await chmod(folder, 0o711);
      if (options.filesFolder === undefined) await mkdir(join(folder, 'files'));
      const hostKey = await makeSshKey(join(folder, 'host-key'), options.hostKeyType);
      const clientKey = await makeSshKey(join(folder, 'client-key'));
      keys = { clientKey, hostKey };
      await writeFile(join(folder, 'authorized_keys'), clientKey.publicKey, { mode: 0o644 });
      await writeFile(join(folder, 'known_hosts'), `[127.0.0.1]:${port} ${hostKey.publicKey}\n`);
      const config = join(folder, 'sshd_config');
      await writeFile(config, configure(folder, port!, options));
      const args = ['-D', '-e', '-f', config];
      if (process.getuid?.() !== 0) return { command: '/usr/sbin/sshd', args };
      return { command: 'unshare', args: await ownWorld(folder, args, options) };
    },
    isReady: ([port]) => greets(port!),
  });
  return {
    ...server,
    ...keys!,
    host: '127.0.0.1',
    port: server.ports[0]!,
    username,
    password: options.password,
    knownHostsFile: join(server.folder, 'known_hosts'),
    filesFolder: options.filesFolder ?? join(server.folder, 'files'),
  };
}

function configure(folder: string, port: number, options: SshdOptions): string {
  return [
    ...(options.config ?? []),
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${join(folder, 'host-key')}`,
    'PidFile none',
    'UsePAM no',
    'UseDNS no',
    'StrictModes no',
    // The default key exchange, which is safe against quantum computers, takes a quarter of a second per login.
    'KexAlgorithms curve25519-sha256',
    'PermitRootLogin prohibit-password',
    `PasswordAuthentication ${options.password === undefined ? 'no' : 'yes'}`,
    'KbdInteractiveAuthentication no',
    `AuthorizedKeysFile ${join(folder, 'authorized_keys')}`,
    'MaxStartups 200',
    'PrintMotd no',
    `Subsystem sftp internal-sftp${options.sftpArguments === undefined ? '' : ` ${options.sftpArguments}`}`,
    ...(options.sftpOnly ? ['ForceCommand internal-sftp'] : []),
    '',
  ].join('\n');
}

/**
 * As root, sshd requires /run/sshd, and with a password a user to log in. Both are provided in a separate mount namespace, so that
 * the machine is unchanged and nothing is left after its end.
 */
async function ownWorld(folder: string, sshdArgs: readonly string[], options: SshdOptions): Promise<string[]> {
  const steps = ['mount -t tmpfs tmpfs /run', 'mkdir /run/sshd'];
  if (options.password !== undefined) {
    const { stdout } = await run('openssl', ['passwd', '-6', options.password]);
    const { name, id } = testUser;
    const home = join(folder, 'home');
    await mkdir(home);
    await chown(home, id, id);
    if (options.filesFolder === undefined) await chown(join(folder, 'files'), id, id);
    const passwd = `${await readFile('/etc/passwd', 'utf8')}${name}:x:${id}:${id}::${home}:/bin/sh\n`;
    const shadow = `${await readFile('/etc/shadow', 'utf8')}${name}:${stdout.trim()}:19000:0:99999:7:::\n`;
    await writeFile(join(folder, 'passwd'), passwd);
    await writeFile(join(folder, 'shadow'), shadow, { mode: 0o600 });
    steps.push('mount --bind "$0/passwd" /etc/passwd', 'mount --bind "$0/shadow" /etc/shadow');
  }
  const script = [...steps, 'exec /usr/sbin/sshd "$@"'].join(' && ');
  return ['--mount', '--propagation', 'private', 'sh', '-c', script, folder, ...sshdArgs];
}

/** Whether a server greets with its SSH version. */
function greets(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.once('data', (bytes: Buffer) => {
      socket.destroy();
      resolve(bytes.toString().startsWith('SSH-2.0'));
    });
    socket.once('error', () => resolve(false));
    socket.once('close', () => resolve(false));
  });
}
