import { execFile, spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { chmod, mkdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { Secret } from '@dicom-dispatch/core';
import {
  freePort,
  startFaultProxy,
  startSshd,
  tempDisk,
  tempFolder,
  waitFor,
  type FaultProxy,
  type SshServer,
  type TempFolder,
} from '@dicom-dispatch/harness';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { TestDelivery } from '@dicom-dispatch/target-kit/testing';
import {
  allChecks,
  filesUnder,
  fixtureStudy,
  handlerContract,
  pathContract,
  receivedFiles,
  type ArrangedFault,
  type NotApplicable,
} from '../contract-suite/index.ts';
import { fingerprintOf } from '../ssh/index.ts';
import { shortHash } from '../template/index.ts';
import { sftpHandler } from './handler.ts';
import { sftpTarget, type SftpTarget } from './schema.ts';

const run = promisify(execFile);
const isRoot = process.getuid?.() === 0;
const onlyRoot: NotApplicable = { notApplicable: 'it needs root to mount, to lock a folder or to make a user' };

let disk: TempFolder | undefined;
let sshd: SshServer;
let proxy: FaultProxy;
let fingerprint: string;

beforeAll(async () => {
  // Before the server starts: it does not see later mounts.
  disk = isRoot ? await tempDisk({ sizeBytes: 300_000 }) : undefined;
  sshd = await startSshd(isRoot ? { password: 'a-password' } : {});
  proxy = await startFaultProxy({ port: sshd.port });
  fingerprint = fingerprintOf(Buffer.from(sshd.hostKey.publicKey.split(' ')[1] ?? '', 'base64'));
});
afterAll(async () => {
  await proxy?.stop();
  await sshd?.stop();
  await disk?.remove();
});

function configOf(path: string, more: object = {}) {
  const login = isRoot ? { password: new Secret('a-password') } : { privateKey: new Secret(sshd.clientKey.privateKey) };
  return {
    type: 'sftp',
    host: '127.0.0.1',
    port: proxy.port,
    username: sshd.username,
    ...login,
    hostKey: { fingerprint },
    path,
    minFree: 0,
    ...more,
  };
}

const refused = async (): Promise<ArrangedFault> => ({ config: { port: await freePort() } });
const wrongKey = { arrange: () => ({ config: { hostKey: { fingerprint: `SHA256:${'A'.repeat(43)}` } } }) };
const wrongPassword = {
  arrange: () => ({ config: { password: new Secret('wrong-password'), privateKey: undefined } }),
};

/** A folder on the server that the user may read but not write. */
async function lockedFolder(): Promise<ArrangedFault> {
  const path = join(sshd.folder, 'locked');
  await mkdir(path, { recursive: true });
  await chmod(path, 0o755);
  return { config: { path }, elsewhere: true };
}

async function appendOnly(): Promise<ArrangedFault> {
  const path = join(sshd.folder, 'append-only');
  await mkdir(path, { recursive: true });
  await chmod(path, 0o777);
  await run('chattr', ['+a', path]);
  return { config: { path }, undo: async () => void (await run('chattr', ['-a', path])) };
}

handlerContract<SftpTarget>({
  name: 'sftp',
  handler: sftpHandler,
  async start() {
    const path = sshd.filesFolder;
    return {
      config: configOf(path, { marker: {} }),
      received: (study) => receivedFiles(path, study),
      names: () => filesUnder(path),
      litter: async () => (await filesUnder(path)).filter((name) => name.endsWith('.part')),
      fingerprint: async () => {
        const names = await filesUnder(path);
        return Promise.all(names.map(async (name) => [name, (await stat(join(path, name), { bigint: true })).ctimeNs]));
      },
      stop: async () => {},
    };
  },
  faults: {
    'wrong credentials': { ...wrongPassword, code: 'target-unauthorized', stage: 'connect' },
    'wrong host key': { ...wrongKey, code: 'target-host-key', stage: 'connect' },
    full: isRoot
      ? {
          arrange: () => ({
            config: { path: disk?.path },
            elsewhere: true,
            strike: () => writeFile(join(disk?.path ?? '', 'filler'), Buffer.alloc(2 ** 20)).catch(() => {}),
          }),
          code: 'target-full',
          stage: 'transfer',
        }
      : onlyRoot,
    unreachable: { arrange: refused, code: 'target-unreachable', stage: 'connect' },
    hangs: {
      arrange: () => ({
        strike: () => proxy.set({ blackHole: true }),
        undo: async () => {
          await proxy.heal();
          proxy.cut();
        },
      }),
      code: 'target-timeout',
      stage: 'transfer',
      stopsClock: true,
    },
    cut: { arrange: () => ({ strike: () => proxy.cut() }), code: 'target-connection-lost', stage: 'transfer' },
  },
  checks: {
    resolve: { arrange: () => ({ config: { host: 'no-such-host.invalid' } }) },
    connect: { arrange: refused },
    'host-key': wrongKey,
    login: wrongPassword,
    sftp: {
      arrange: async () => {
        const other = await startSshd({ config: ['ForceCommand /bin/false'] });
        return {
          config: {
            port: other.port,
            username: other.username,
            password: undefined,
            privateKey: new Secret(other.clientKey.privateKey),
            hostKey: { knownHosts: other.knownHostsFile },
          },
          undo: () => other.stop(),
        };
      },
    },
    folder: { arrange: () => ({ config: { path: '/no/such/folder' } }) },
    write: isRoot ? { arrange: lockedFolder } : onlyRoot,
    rename: isRoot ? { arrange: appendOnly } : onlyRoot,
    space: { arrange: () => ({ config: { minFree: '900000GB' } }) },
  },
  hostile: {
    config: {
      layout: '{PatientID}/{PatientName}_{StudyDescription}/{Modality}_{SeriesNumber}/{SOPInstanceUID}.dcm',
      marker: undefined,
    },
  },
});

let places = 0;
pathContract({
  name: 'sftp',
  handler: sftpHandler,
  option: 'layout',
  async place() {
    const path = join(sshd.filesFolder, '..', `place-${(places += 1)}`);
    await mkdir(path);
    await chmod(path, 0o777);
    return {
      config: configOf(path),
      get: (name) => readFile(join(path, name)).catch(() => undefined),
      async put(name, content) {
        const folders = dirname(name).split('/');
        for (const [index] of folders.entries()) {
          const folder = join(path, ...folders.slice(0, index + 1));
          await mkdir(folder);
          await chmod(folder, 0o777);
        }
        await writeFile(join(path, name), content);
        await chmod(join(path, name), 0o666);
      },
      names: () => filesUnder(path),
    };
  },
});

describe('the sftp target', () => {
  let path: string;
  let count = 0;
  beforeEach(async () => {
    path = join(sshd.filesFolder, '..', `case-${(count += 1)}`);
    await mkdir(path);
    await chmod(path, 0o777);
  });
  const parse = (more: object = {}) => sftpTarget.parse(configOf(path, more));
  const deliver = (more: object = {}, study = fixtureStudy({ series: 1, instancesPerSeries: 2 })) =>
    new TestDelivery(sftpHandler, study).attempt(parse(more));

  describe('logs in', () => {
    const byKey = { password: undefined, privateKey: undefined };

    it('with a key', async () => {
      expect((await deliver({ ...byKey, privateKey: new Secret(sshd.clientKey.privateKey) })).error).toBeUndefined();
    });

    it('with a key and its passphrase, and reports a wrong one', async () => {
      await using folder = await tempFolder('sftp-key');
      const file = join(folder.path, 'key');
      await writeFile(file, sshd.clientKey.privateKey, { mode: 0o600 });
      await run('ssh-keygen', ['-p', '-f', file, '-P', '', '-N', 'a-passphrase']);
      const privateKey = new Secret(await readFile(file, 'utf8'));
      expect((await deliver({ ...byKey, privateKey, passphrase: new Secret('a-passphrase') })).error).toBeUndefined();
      const wrong = await deliver({ ...byKey, privateKey, passphrase: new Secret('another') });
      expect(wrong.error).toMatchObject({ code: 'config-invalid', stage: 'connect' });
      expect(wrong.error?.message).toBe('the private key cannot be read');
    });

    it('with an agent', async () => {
      await using folder = await tempFolder('sftp-agent');
      const socket = join(folder.path, 'agent');
      const key = join(folder.path, 'key');
      await writeFile(key, sshd.clientKey.privateKey, { mode: 0o600 });
      const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
      try {
        await waitFor(() => stat(socket));
        await run('ssh-add', [key], { env: { ...process.env, SSH_AUTH_SOCK: socket } });
        expect((await deliver({ ...byKey, agent: socket })).error).toBeUndefined();
      } finally {
        agent.kill();
      }
      const without = await deliver({ ...byKey, agent: socket });
      expect(without.error).toMatchObject({ code: 'target-unauthorized', stage: 'connect' });
    });
  });

  describe('verifies the server', () => {
    const direct = (): object => ({ port: sshd.port });

    it('by a known_hosts file, with names in clear, hashed, and as a pattern', async () => {
      const [type, key] = sshd.hostKey.publicKey.split(' ');
      const salt = Buffer.from('0123456789abcdef0123');
      const hash = createHmac('sha1', salt).update(`[127.0.0.1]:${sshd.port}`).digest('base64');
      const file = join(sshd.folder, 'other-known-hosts');
      for (const names of [
        `[127.0.0.1]:${sshd.port}`,
        `|1|${salt.toString('base64')}|${hash}`,
        `other.example,[127.0.0.*]:${sshd.port}`,
      ]) {
        await writeFile(file, `# a comment\n${names} ${type} ${key} who@where\n`);
        expect((await deliver({ ...direct(), hostKey: { knownHosts: file } })).error).toBeUndefined();
      }
    });

    it.each([
      [
        'has another key',
        (port: number) => `[127.0.0.1]:${port} ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAA`,
        'shows a different',
      ],
      ['has another host', () => `elsewhere ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAA`, 'has no key for'],
      [
        'revokes the key',
        (port: number, key: string) => `@revoked [127.0.0.1]:${port} ${key}\n[127.0.0.1]:${port} ${key}`,
        'revoked',
      ],
      ['excludes the host', (port: number, key: string) => `*,![127.0.0.1]:${port} ${key}`, 'has no key for'],
    ])('refuses it when known_hosts %s', async (_name, line, text) => {
      const file = join(sshd.folder, 'bad-known-hosts');
      await writeFile(file, line(sshd.port, sshd.hostKey.publicKey.trim()));
      const attempt = await deliver({ ...direct(), hostKey: { knownHosts: file } });
      expect(attempt.error).toMatchObject({ code: 'target-host-key', stage: 'connect', disposition: 'halt' });
      expect(attempt.error?.message).toContain(text);
      expect(attempt.opened).toEqual([]);
    });

    it('names the key that was shown, to be compared', async () => {
      const attempt = await deliver({ hostKey: { fingerprint: `SHA256:${'B'.repeat(43)}` } });
      expect(attempt.error?.message).toContain(`ssh-ed25519 ${fingerprint}`);
    });

    it('accepts any only if configured, and reports this in its checks', async () => {
      expect((await deliver({ hostKey: 'insecure-any' })).error).toBeUndefined();
      const checks = await allChecks(sftpHandler, parse({ hostKey: 'insecure-any' }));
      expect(checks.find(({ name }) => name === 'host-key')?.detail).toContain('NOT verified');
    });
  });

  it('supports flat layouts, modes, and a folder relative to the login', async () => {
    const attempt = await deliver({ layout: 'flat', mode: '0640', directoryMode: '0750' });
    expect(attempt.error).toBeUndefined();
    const [name = ''] = await filesUnder(path);
    expect((await stat(join(path, name))).mode & 0o777).toBe(0o640);
    expect(
      (await deliver({ path: '.', layout: 'dispatch-test/{SOPInstanceUID}.dcm', directoryMode: '0750' })).error,
    ).toBeUndefined();
  });

  it.each(['none', 'size', 'content'] as const)('delivers with verify %s, with and without fsync', async (verify) => {
    for (const fsync of [true, false]) {
      expect((await deliver({ verify, fsync }, fixtureStudy({ seed: `${verify}${fsync}` }))).error).toBeUndefined();
    }
  });

  it('replaces a file with other content if configured, with and without comparison', async () => {
    const study = fixtureStudy({ series: 1, instancesPerSeries: 1 });
    const { sopInstanceUid, sizeBytes } = study.instances[0]?.manifest ?? { sopInstanceUid: '', sizeBytes: 0 };
    const file = join(path, `${sopInstanceUid}.dcm`);
    for (const [content, more] of [
      [Buffer.alloc(sizeBytes, 1), { onConflict: 'overwrite' }],
      [Buffer.from('short'), { onConflict: 'overwrite' }],
      [Buffer.alloc(sizeBytes, 2), { existing: 'overwrite' }],
    ] as const) {
      await writeFile(file, content);
      await chmod(file, 0o666);
      expect((await deliver({ layout: 'flat', ...more }, study)).error).toBeUndefined();
      expect((await receivedFiles(path))[0]).toEqual(await study.instances[0]?.facts());
    }
  });

  it('removes temporary files of earlier attempts and abandoned ones, and no others', async () => {
    const ours = `.dispatch-${shortHash('ours', 12)}-aaaaaaaaaaaa.part`;
    const running = '.dispatch-bbbbbbbbbbbb-bbbbbbbbbbbb.part';
    const abandoned = '.dispatch-cccccccccccc-cccccccccccc.part';
    for (const name of [ours, running, abandoned]) await writeFile(join(path, name), 'half');
    await utimes(join(path, abandoned), 1, 1);
    const study = fixtureStudy({ series: 1, instancesPerSeries: 1 });
    await new TestDelivery(sftpHandler, study, 'ours').attempt(parse({ layout: 'flat' }));
    expect((await filesUnder(path)).filter((name) => name.startsWith('.'))).toEqual([running]);
  });

  it('writes the marker last', async () => {
    const study = fixtureStudy();
    const marker = join(path, study.tags.studyInstanceUid, 'complete.json');
    await new TestDelivery(sftpHandler, study).attempt(parse({ marker: {} }), {
      onReport: () => expect(stat(marker)).rejects.toMatchObject({ code: 'ENOENT' }),
    });
    expect(JSON.parse(await readFile(marker, 'utf8'))).toMatchObject({ complete: true });
  });

  it.each([
    [{ hostKey: undefined }, 'for trials only, insecure-any'],
    [{ hostKey: 'any' }, 'for trials only, insecure-any'],
    [{ hostKey: { fingerprint: 'MD5:aa:bb' } }, 'for trials only, insecure-any'],
    [{ password: undefined }, 'a login needs password, privateKey or agent'],
    [{ passphrase: new Secret('x') }, 'passphrase needs privateKey'],
    [{ host: 'sftp://x' }, 'without scheme'],
    [{ username: '-oProxyCommand=x' }, 'not beginning with a hyphen'],
    [{ layout: '{PatientID}' }, 'SOPInstanceUID'],
  ])('refuses %j', (more, text) => {
    const config = {
      type: 'sftp',
      host: 'h',
      username: 'u',
      password: new Secret('p'),
      hostKey: 'insecure-any',
      path: '/x',
      ...more,
    };
    expect(sftpTarget.safeParse(config).error?.message).toContain(text);
  });
});
