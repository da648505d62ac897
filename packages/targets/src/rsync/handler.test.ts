import { execFile, execFileSync, spawn } from 'node:child_process';
import { chmod, mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { DispatchError, Secret } from '@dicom-dispatch/core';
import {
  freePort,
  startFaultProxy,
  startRsyncd,
  startSshd,
  tempDisk,
  tempFolder,
  waitFor,
  type FaultProxy,
  type RsyncServer,
  type SshServer,
  type TempFolder,
} from '@dicom-dispatch/harness';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { keptIn, TestDelivery } from '@dicom-dispatch/target-kit/testing';
import {
  allChecks,
  filesUnder,
  fixtureStudy,
  handlerContract,
  largeStudy,
  pathContract,
  receivedFiles,
  type ArrangedFault,
  type NotApplicable,
  type StartedTarget,
} from '../contract-suite/index.ts';
import { rsyncHandler } from './handler.ts';
import { rsyncTarget, type RsyncTarget } from './schema.ts';

const run = promisify(execFile);
const isRoot = process.getuid?.() === 0;
const canLock = (() => {
  try {
    const script = 'd=$(mktemp -d) && chattr +i "$d" && chattr -i "$d"; s=$?; rmdir "$d"; exit $s';
    execFileSync('sh', ['-c', script], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();
const onlyRoot: NotApplicable = { notApplicable: 'it needs root to mount or to make a user' };

let spool: TempFolder;
beforeAll(async () => {
  spool = await tempFolder('rsync-spool');
});
afterAll(async () => spool.remove());

const common = () => ({ type: 'rsync', host: '127.0.0.1', spool: spool.path, batchBytes: '100MB' });

/** The study is sent at 60 KiB/s, so that a test can act during the transfer. */
function inTheMiddle(proxy: () => FaultProxy, act: () => void | Promise<void>): ArrangedFault {
  let over = false;
  const acted = Promise.withResolvers<void>();
  return {
    config: { bandwidth: '60KiB', timeout: '2s' },
    patientConfig: { bandwidth: '60KiB' },
    strike() {
      const before = proxy().counters().bytesUp;
      void waitFor(() => over || proxy().counters().bytesUp > before + 40_000)
        .then(() => (over ? undefined : act()))
        .then(acted.resolve);
    },
    inForce: () => acted.promise,
    undo: async () => {
      over = true;
      await proxy().heal();
      proxy().cut();
    },
  };
}

/** Another program of the same name precedes the real one in PATH. */
async function withProgram(name: string, script: string): Promise<ArrangedFault> {
  const folder = await tempFolder('programs');
  await writeFile(join(folder.path, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  const path = process.env['PATH'];
  process.env['PATH'] = `${folder.path}:${path}`;
  return {
    undo: async () => {
      process.env['PATH'] = path;
      await folder.remove();
    },
  };
}

function look(path: string): Omit<StartedTarget, 'config' | 'stop'> {
  return {
    received: (study) => receivedFiles(path, study),
    names: () => filesUnder(path),
    litter: async () => [
      ...(await readdir(spool.path)),
      ...(await filesUnder(path)).filter((name) => /\.~tmp~|probe|\.dcm\.\w{6}$/.test(name)),
    ],
    fingerprint: async () => {
      const names = await filesUnder(path);
      return Promise.all(names.map(async (name) => [name, (await stat(join(path, name), { bigint: true })).ctimeNs]));
    },
  };
}

const hostile = {
  config: {
    layout: '{PatientID}/{PatientName}_{StudyDescription}/{Modality}_{SeriesNumber}/{SOPInstanceUID}.dcm',
    marker: undefined,
  },
};

describe('over ssh', () => {
  let disk: TempFolder | undefined;
  let sshd: SshServer;
  let proxy: FaultProxy;
  let knownHosts: string;
  const via = (more: object = {}) => {
    const login = isRoot
      ? { password: new Secret('a-password') }
      : { privateKey: new Secret(sshd.clientKey.privateKey) };
    const pinned = { hostKey: { knownHosts } };
    return { type: 'ssh', port: proxy.port, username: sshd.username, ...login, ...pinned, ...more };
  };
  beforeAll(async () => {
    // Before the server starts: it does not see later mounts.
    disk = isRoot ? await tempDisk({ sizeBytes: 300_000 }) : undefined;
    sshd = await startSshd(isRoot ? { password: 'a-password' } : {});
    proxy = await startFaultProxy({ port: sshd.port });
    knownHosts = join(sshd.folder, 'proxy-known-hosts');
    await writeFile(knownHosts, `[127.0.0.1]:${proxy.port} ${sshd.hostKey.publicKey}\n`);
  });
  afterAll(async () => {
    await proxy?.stop();
    await sshd?.stop();
    await disk?.remove();
  });
  const wrongKey = {
    arrange: () => ({ config: { via: via({ hostKey: { fingerprint: `SHA256:${'A'.repeat(43)}` } }) } }),
  };
  const wrongPassword = {
    arrange: () => ({ config: { via: via({ password: new Secret('wrong-password'), privateKey: undefined }) } }),
  };
  const refused = { arrange: async () => ({ config: { via: via({ port: await freePort() }) } }) };

  handlerContract<RsyncTarget>({
    name: 'rsync over ssh',
    handler: rsyncHandler,
    async start() {
      const config = { ...common(), via: via(), path: sshd.filesFolder, marker: {} };
      return { ...look(sshd.filesFolder), config, stop: async () => {} };
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
      unreachable: { ...refused, code: 'target-unreachable', stage: 'connect' },
      hangs: {
        arrange: () =>
          inTheMiddle(
            () => proxy,
            () => proxy.set({ blackHole: true }),
          ),
        code: 'target-timeout',
        stage: 'transfer',
      },
      cut: {
        arrange: () =>
          inTheMiddle(
            () => proxy,
            () => proxy.cut(),
          ),
        code: 'target-connection-lost',
        stage: 'transfer',
      },
    },
    checks: {
      program: { arrange: () => withProgram('rsync', 'exit 127') },
      spool: { arrange: () => ({ config: { batchBytes: '900000GB' } }) },
      resolve: { arrange: () => ({ config: { host: 'no-such-host.invalid' } }) },
      connect: refused,
      'host-key': wrongKey,
      login: wrongPassword,
      folder: { arrange: () => ({ config: { path: '/no/such/folder' } }) },
      write: isRoot ? { arrange: lockedFolder } : onlyRoot,
      remove: isRoot ? { arrange: lockedAfterWriting } : onlyRoot,
    },
    hostile,
  });

  /** The folder loses its right to be written to when a probe was written: rsync is started for the third time then. */
  async function lockedAfterWriting(): Promise<ArrangedFault> {
    const path = join(sshd.folder, 'locked-later');
    const counted = join(sshd.folder, 'counted');
    await mkdir(path);
    await chmod(path, 0o777);
    await mkdir(counted);
    await chmod(counted, 0o777);
    const wrapper = join(sshd.folder, 'counting-rsync');
    // The folder is ours and not the user's: it is replaced by one to which the user has no access.
    const script = [
      '#!/bin/sh',
      `mktemp ${counted}/XXXXXX >/dev/null`,
      `[ "$(ls ${counted} | wc -l)" -lt 3 ] || while [ ! -e ${counted}/locked ]; do sleep 0.02; done`,
      'exec rsync "$@"',
      '',
    ].join('\n');
    await writeFile(wrapper, script, { mode: 0o755 });
    const lock = waitFor(async () => (await readdir(counted)).length >= 3).then(async () => {
      await chmod(path, 0o755);
      await writeFile(join(counted, 'locked'), '');
    });
    return {
      config: { path, via: via({ rsyncPath: wrapper }) },
      undo: async () => {
        await lock;
        await rm(path, { recursive: true });
      },
    };
  }

  async function lockedFolder(): Promise<ArrangedFault> {
    const path = join(sshd.folder, 'locked');
    await mkdir(path, { recursive: true });
    await chmod(path, 0o755);
    return { config: { path } };
  }

  describe('the ssh of rsync', () => {
    let path: string;
    let count = 0;
    beforeEach(async () => {
      path = join(sshd.folder, `case-${(count += 1)}`);
      await mkdir(path);
      await chmod(path, 0o777);
    });
    const parse = (more: object = {}, ssh: object = {}) =>
      rsyncTarget.parse({ ...common(), via: via(ssh), path, ...more });
    const deliver = (more: object = {}, ssh: object = {}) =>
      new TestDelivery(rsyncHandler, fixtureStudy({ series: 1, instancesPerSeries: 2 })).attempt(parse(more, ssh));
    const byKey = { password: undefined };

    it.runIf(isRoot)('logs in with a password', async () => {
      const password = new Secret('a-password');
      expect((await deliver({}, { password, privateKey: undefined })).error).toBeUndefined();
    });

    it('logs in with a key with a passphrase, and an agent', async () => {
      await using folder = await tempFolder('rsync-key');
      const file = join(folder.path, 'key');
      await writeFile(file, sshd.clientKey.privateKey, { mode: 0o600 });
      const socket = join(folder.path, 'agent');
      const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
      try {
        await waitFor(() => stat(socket));
        await run('ssh-add', [file], { env: { ...process.env, SSH_AUTH_SOCK: socket } });
        expect((await deliver({}, { ...byKey, privateKey: undefined, agent: socket })).error).toBeUndefined();
      } finally {
        agent.kill();
      }
      await run('ssh-keygen', ['-p', '-f', file, '-P', '', '-N', 'a-passphrase']);
      const locked = new Secret(await readFile(file, 'utf8'));
      const passphrase = new Secret('a-passphrase');
      expect((await deliver({}, { ...byKey, privateKey: locked, passphrase })).error).toBeUndefined();
      const wrong = await deliver({}, { ...byKey, privateKey: locked, passphrase: new Secret('another') });
      expect(wrong.error).toMatchObject({ stage: 'connect', disposition: 'halt' });
    });

    it('verifies the server by a fingerprint or a known_hosts file, and accepts any only if configured', async () => {
      const { fingerprint } = sshd.hostKey;
      expect((await deliver({}, { hostKey: { fingerprint } })).error).toBeUndefined();
      const direct = { port: sshd.port };
      expect((await deliver({}, { ...direct, hostKey: { knownHosts: sshd.knownHostsFile } })).error).toBeUndefined();
      expect((await deliver({}, { ...direct, hostKey: 'insecure-any' })).error).toBeUndefined();
      const empty = join(sshd.folder, 'empty-known-hosts');
      await writeFile(empty, '');
      const attempt = await deliver({}, { ...direct, hostKey: { knownHosts: empty } });
      expect(attempt.error).toMatchObject({ code: 'target-host-key', stage: 'connect' });
    });

    it.each([
      ['rsync', 'echo "rsync  version 2.6.9  protocol version 29"', 'is version 2.6.9', 'rsync 3.1 or newer'],
      ['rsync', 'exit 1', 'rsync cannot be started', 'Install rsync'],
    ])('the check program tells of a %s that does %j', async (name, script, detail, remedy) => {
      const arranged = await withProgram(name, script);
      try {
        const failed = (await allChecks(rsyncHandler, parse())).filter(({ result }) => result === 'failed');
        expect(failed).toMatchObject([{ name: 'program', detail: expect.stringContaining(detail) }]);
        expect(failed[0]?.remedy).toContain(remedy);
      } finally {
        await arranged.undo?.();
      }
    });

    it('the check program reports a missing ssh', async () => {
      // A PATH with rsync, but without ssh.
      await using folder = await tempFolder('no-ssh');
      const { stdout } = await run('sh', ['-c', 'command -v rsync']);
      await symlink(stdout.trim(), join(folder.path, 'rsync'));
      const before = process.env['PATH'];
      process.env['PATH'] = folder.path;
      try {
        const failed = (await allChecks(rsyncHandler, parse())).filter(({ result }) => result === 'failed');
        expect(failed).toMatchObject([{ name: 'program', detail: expect.stringContaining('ssh cannot be started') }]);
        expect(failed[0]?.remedy).toContain('Install ssh');
      } finally {
        process.env['PATH'] = before;
      }
    });

    it('names a missing rsync on the server', async () => {
      const attempt = await deliver({}, { rsyncPath: '/no/such/rsync' });
      expect(attempt.error).toMatchObject({ code: 'target-misconfigured', stage: 'connect' });
      expect(attempt.error?.remedy).toContain('rsyncPath');
      const checks = await allChecks(rsyncHandler, parse({}, { rsyncPath: '/no/such/rsync' }));
      expect(checks.find(({ result }) => result === 'failed')).toMatchObject({ name: 'login' });
    });

    it('reports an ssh with only old algorithms, and uses it if configured, with a warning', async () => {
      const old = await startSshd({
        config: ['KexAlgorithms diffie-hellman-group14-sha1', 'Ciphers aes128-cbc', 'HostKeyAlgorithms ssh-rsa'],
        hostKeyType: 'rsa',
      });
      try {
        const target = (more: object) => ({
          ...common(),
          path: old.filesFolder,
          via: {
            type: 'ssh',
            port: old.port,
            username: old.username,
            privateKey: new Secret(old.clientKey.privateKey),
            hostKey: { knownHosts: old.knownHostsFile },
            ...more,
          },
        });
        const study = fixtureStudy({ series: 1, instancesPerSeries: 1 });
        const refused = await new TestDelivery(rsyncHandler, study).attempt(rsyncTarget.parse(target({})));
        expect(refused.error).toMatchObject({ code: 'target-misconfigured', stage: 'connect', disposition: 'halt' });
        expect(refused.error?.remedy).toContain('via.algorithms');
        const { fingerprint } = old.hostKey;
        for (const more of [{}, { hostKey: { fingerprint } }]) {
          const delivery = new TestDelivery(rsyncHandler, study);
          const attempt = await delivery.attempt(rsyncTarget.parse(target({ algorithms: 'old', ...more })));
          expect(attempt.error).toBeUndefined();
          expect(delivery.logged.map(({ text }) => text)).toContainEqual(
            expect.stringContaining('insecure algorithms'),
          );
        }
        const other = { fingerprint: `SHA256:${'A'.repeat(43)}` };
        const another = rsyncTarget.parse(target({ algorithms: 'old', hostKey: other }));
        expect((await new TestDelivery(rsyncHandler, study).attempt(another)).error).toMatchObject({
          code: 'target-host-key',
        });
      } finally {
        await old.stop();
      }
    });

    it('leaves no secret, and nothing else, on this machine', async () => {
      await deliver({}, { password: new Secret('wrong-password'), privateKey: undefined });
      await deliver();
      expect(await readdir(spool.path)).toEqual([]);
    });
  });
});

describe('at a daemon', () => {
  let rsyncd: RsyncServer;
  let proxy: FaultProxy;
  const via = (more: object = {}) => ({
    type: 'daemon',
    port: proxy.port,
    module: 'data',
    username: 'ada',
    password: new Secret('a-password'),
    ...more,
  });
  beforeAll(async () => {
    rsyncd = await startRsyncd({ users: { ada: 'a-password' } });
    proxy = await startFaultProxy({ port: rsyncd.port });
  });
  afterAll(async () => {
    await proxy?.stop();
    await rsyncd?.stop();
  });
  const wrongPassword = { arrange: () => ({ config: { via: via({ password: new Secret('wrong-password') }) } }) };
  const refused = { arrange: async () => ({ config: { via: via({ port: await freePort() }) } }) };
  const other = async (options: Parameters<typeof startRsyncd>[0]): Promise<ArrangedFault> => {
    const server = await startRsyncd(options);
    return { config: { via: { type: 'daemon', port: server.port, module: 'data' } }, undo: () => server.stop() };
  };

  handlerContract<RsyncTarget>({
    name: 'rsync at a daemon',
    handler: rsyncHandler,
    async start() {
      const config = { ...common(), via: via() };
      return { ...look(rsyncd.filesFolder), config, stop: async () => {} };
    },
    faults: {
      'wrong credentials': { ...wrongPassword, code: 'target-unauthorized', stage: 'connect' },
      'wrong host key': { notApplicable: 'a daemon has no host key' },
      full: isRoot
        ? {
            arrange: async () => {
              const disk = await tempDisk({ sizeBytes: 60_000 });
              const fault = await other({ filesFolder: disk.path });
              return {
                ...fault,
                elsewhere: true,
                undo: async () => {
                  await fault.undo?.();
                  await disk.remove();
                },
              };
            },
            code: 'target-full',
            stage: 'transfer',
          }
        : onlyRoot,
      unreachable: { ...refused, code: 'target-unreachable', stage: 'connect' },
      hangs: {
        arrange: () =>
          inTheMiddle(
            () => proxy,
            () => proxy.set({ blackHole: true }),
          ),
        code: 'target-timeout',
        stage: 'transfer',
      },
      cut: {
        arrange: () =>
          inTheMiddle(
            () => proxy,
            () => proxy.cut(),
          ),
        code: 'target-connection-lost',
        stage: 'transfer',
      },
    },
    checks: {
      program: { arrange: () => withProgram('rsync', 'exit 127') },
      spool: { arrange: () => ({ config: { batchBytes: '900000GB' } }) },
      resolve: { arrange: () => ({ config: { host: 'no-such-host.invalid' } }) },
      connect: refused,
      login: wrongPassword,
      folder: { arrange: () => ({ config: { path: 'no/such/folder' } }) },
      write: { arrange: () => other({ readOnly: true }) },
      remove: { arrange: () => other({ config: ['refuse options = delete'] }) },
    },
    hostile,
  });

  let places = 0;
  pathContract({
    name: 'rsync',
    handler: rsyncHandler,
    option: 'layout',
    async place() {
      const path = `place-${(places += 1)}`;
      const folder = join(rsyncd.filesFolder, path);
      await mkdir(folder);
      return {
        config: { ...common(), via: via(), path },
        get: (name) => readFile(join(folder, name)).catch(() => undefined),
        async put(name, content) {
          await mkdir(dirname(join(folder, name)), { recursive: true });
          await writeFile(join(folder, name), content);
        },
        names: () => filesUnder(folder),
      };
    },
  });

  describe('rsync', () => {
    let path: string;
    let count = 0;
    beforeEach(async () => {
      path = `case-${(count += 1)}`;
      await mkdir(join(rsyncd.filesFolder, path));
    });
    const parse = (more: object = {}) => rsyncTarget.parse({ ...common(), via: via(), path, ...more });
    const there = () => filesUnder(join(rsyncd.filesFolder, path));

    it('sends in batches, each confirmed before the next is sent', async () => {
      const study = fixtureStudy({ series: 1, instancesPerSeries: 6, rows: 512, columns: 512 });
      const delivery = new TestDelivery(rsyncHandler, study);
      let reportedAtOpen = -1;
      const attempt = await delivery.attempt(parse({ batchBytes: '1MB' }), {
        onOpen: () => void (reportedAtOpen = delivery.ledger.size),
      });
      expect(attempt.error).toBeUndefined();
      expect(reportedAtOpen).toBeGreaterThan(0);
      expect(await there()).toHaveLength(6);
    });

    it('sends what was spooled when the source breaks off', async () => {
      const delivery = new TestDelivery(rsyncHandler, fixtureStudy({ series: 1, instancesPerSeries: 4 }));
      const attempt = await delivery.attempt(parse({ maxParallel: 1 }), {
        onChunk({ openIndex }) {
          if (openIndex === 3) throw new DispatchError('source-error', 'the source closed the connection');
        },
      });
      expect(attempt.error).toMatchObject({ code: 'source-error' });
      expect(delivery.pending).toHaveLength(1);
      expect(await there()).toHaveLength(3);
    });

    it('quarantines an instance in whose place there is a folder or a link, and sends the others', async () => {
      const study = fixtureStudy({ series: 1, instancesPerSeries: 3 });
      const [folder = '', link = ''] = study.instances.map(({ manifest }) => manifest.sopInstanceUid);
      await mkdir(join(rsyncd.filesFolder, path, `${folder}.dcm`, 'x'), { recursive: true });
      await symlink('/etc/hostname', join(rsyncd.filesFolder, path, `${link}.dcm`));
      const attempt = await new TestDelivery(rsyncHandler, study).attempt(parse({ layout: 'flat' }));
      expect(attempt.error).toBeUndefined();
      const codes = [...attempt.reported.values()].map((one) =>
        one.kind === 'quarantined' ? one.error.code : one.kind,
      );
      expect(codes.sort()).toEqual(['delivered', 'target-conflict', 'target-conflict']);
    });

    it.runIf(canLock)('reports what has arrived when some files cannot be stored', async () => {
      const study = fixtureStudy({ series: 2, instancesPerSeries: 2 });
      const [locked = ''] = study.instances.map(({ manifest }) => manifest.seriesInstanceUid);
      const folder = join(rsyncd.filesFolder, path, locked);
      await mkdir(folder);
      await run('chattr', ['+i', folder]);
      try {
        const delivery = new TestDelivery(rsyncHandler, study);
        const attempt = await delivery.attempt(parse({ layout: '{SeriesInstanceUID}/{SOPInstanceUID}.dcm' }));
        expect(attempt.error).toMatchObject({ code: 'target-misconfigured', disposition: 'halt' });
        expect(delivery.pending.map(({ seriesInstanceUid }) => seriesInstanceUid)).toEqual([locked, locked]);
      } finally {
        await run('chattr', ['-i', folder]);
      }
    });

    it('judges a large file by its beginning, without fetching all of it', async () => {
      const study = largeStudy(30_000_000);
      const { manifest } = study.instances[0]!;
      const file = join(rsyncd.filesFolder, path, `${manifest.sopInstanceUid}.dcm`);
      const chunks: Uint8Array[] = [];
      for await (const chunk of study.instances[0]!.read()) chunks.push(Buffer.from(chunk));
      const whole = Buffer.concat(chunks);
      const older = Buffer.from(whole);
      older.fill(1, older.length - 1000);
      const another = Buffer.alloc(whole.length, 7);
      await writeFile(file, older);
      const config = parse({ layout: 'flat' });
      const before = proxy.counters().bytesDown;
      expect((await new TestDelivery(rsyncHandler, study).attempt(config)).error).toBeUndefined();
      expect((await readFile(file)).equals(whole)).toBe(true);
      await writeFile(file, another);
      const attempt = await new TestDelivery(rsyncHandler, study).attempt(config);
      expect([...attempt.reported.values()]).toMatchObject([
        { kind: 'quarantined', error: { code: 'target-conflict' } },
      ]);
      expect((await readFile(file)).equals(another)).toBe(true);
      expect(proxy.counters().bytesDown - before).toBeLessThan(45_000_000);
    });

    it('removes what an rsync that was killed at the server has left, and nothing else', async () => {
      const study = largeStudy(12_000_000);
      const { manifest } = study.instances[0]!;
      const folder = join(rsyncd.filesFolder, path);
      const delivery = new TestDelivery(rsyncHandler, study);
      const halfWay = async (): Promise<boolean> => {
        const names = (await readdir(folder)).filter((name) => name.startsWith('.'));
        const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).size));
        return sizes.some((size) => size > 100_000);
      };
      const killing = waitFor(halfWay, { timeoutMs: 20_000 }).then(() => rsyncd.kill('SIGKILL'));
      const broken = await delivery.attempt(parse({ layout: 'flat', bandwidth: '4MB' }));
      await killing;
      expect(broken.error).toMatchObject({ code: 'target-connection-lost' });
      await rsyncd.restart();
      const others = ['.other.dcm.Ab12Cd', `.${manifest.sopInstanceUid}.dcm`, `${manifest.sopInstanceUid}.dcm.Ab12Cd`];
      for (const name of others) await writeFile(join(folder, name), 'mine');
      const left = (await readdir(folder)).filter((name) => /^\..*\.dcm\.\w{6}$/.test(name) && !others.includes(name));
      expect(left).toHaveLength(1);
      expect((await delivery.attempt(parse({ layout: 'flat' }))).error).toBeUndefined();
      const names = (await readdir(folder)).filter((name) => name !== '.rsync-partial');
      expect(names.sort()).toEqual([...others, `${manifest.sopInstanceUid}.dcm`].sort());
      expect(delivery.logged).toContainEqual(expect.objectContaining({ text: 'leftover temporary files removed' }));
    });

    it('aborts a daemon that accepts little within each timeout', async () => {
      await proxy.set({ bytesPerSecond: 20_000 });
      try {
        const attempt = await new TestDelivery(rsyncHandler, largeStudy(3_000_000)).attempt(
          parse({ timeout: '2s', minBytesPerSecond: '1MB' }),
        );
        expect(attempt.error).toMatchObject({ code: 'target-timeout', disposition: 'wait' });
      } finally {
        await proxy.heal();
        proxy.cut();
      }
    });

    it('recognises its folder by a mark if configured', async () => {
      const memory = new Map<string, unknown>();
      const config = parse({ rememberPlace: true });
      const deliver = () => {
        const delivery = new TestDelivery(rsyncHandler, fixtureStudy({ series: 1, instancesPerSeries: 1 }));
        delivery.memory = memory;
        return delivery.attempt(config);
      };
      const check = async () => {
        const context = { config, targetName: 't', signal: new AbortController().signal, memory: keptIn(memory) };
        return (await Array.fromAsync(rsyncHandler.testConnection(context))).find(({ name }) => name === 'place');
      };
      expect(await check()).toMatchObject({ result: 'passed' });
      expect((await deliver()).error).toBeUndefined();
      expect((await deliver()).error).toBeUndefined();
      expect(await check()).toMatchObject({ result: 'passed' });
      await rename(join(rsyncd.filesFolder, path), join(rsyncd.filesFolder, `${path}-away`));
      await mkdir(join(rsyncd.filesFolder, path));
      expect((await deliver()).error).toMatchObject({ code: 'target-unreachable', stage: 'connect' });
      expect(await check()).toMatchObject({ result: 'failed' });
      expect(await readdir(join(rsyncd.filesFolder, path))).toEqual([]);
    });

    it('supports modes and compression, and works without partial folder and delayed updates', async () => {
      const study = fixtureStudy({ series: 1, instancesPerSeries: 2 });
      const config = parse({
        mode: '0640',
        directoryMode: '0750',
        compress: true,
        partialDir: false,
        delayUpdates: false,
        existing: 'size-and-time',
        bandwidth: '10MB',
      });
      expect((await new TestDelivery(rsyncHandler, study).attempt(config)).error).toBeUndefined();
      const [name = ''] = await there();
      expect((await stat(join(rsyncd.filesFolder, path, name))).mode & 0o777).toBe(0o640);
      expect((await stat(join(rsyncd.filesFolder, path, name.split('/')[0] ?? ''))).mode & 0o777).toBe(0o750);
    });

    it('writes the marker last', async () => {
      const study = fixtureStudy();
      const marker = join(rsyncd.filesFolder, path, study.tags.studyInstanceUid, 'complete.json');
      await new TestDelivery(rsyncHandler, study).attempt(parse({ marker: {} }), {
        onReport: () => expect(stat(marker)).rejects.toMatchObject({ code: 'ENOENT' }),
      });
      expect(JSON.parse(await readFile(marker, 'utf8'))).toMatchObject({ complete: true });
    });

    describe('on completion', () => {
      it('runs the command with the study as arguments, without a shell', async () => {
        await using folder = await tempFolder('on-complete');
        const script = join(folder.path, 'on complete.sh');
        const out = join(folder.path, 'out');
        await writeFile(script, '#!/bin/sh\nfor word in "$@"; do echo "$word"; done > "$(dirname "$0")/out"\n', {
          mode: 0o755,
        });
        const study = fixtureStudy({ studyTags: { PatientName: '--delete; $(touch x) `id`' } });
        const onComplete = {
          command: script,
          args: ['study', '{StudyInstanceUID}', '{PatientName}', '{StudyID|none}'],
        };
        const attempt = await new TestDelivery(rsyncHandler, study).attempt(parse({ onComplete }));
        expect(attempt.error).toBeUndefined();
        expect((await readFile(out, 'utf8')).trim().split('\n')).toEqual([
          'study',
          study.tags.studyInstanceUid,
          '__delete; $(touch x) `id`',
          'none',
        ]);
      });

      it.each([
        ['/bin/false', 'ended with 1', {}],
        ['/no/such/program', 'cannot be started', {}],
        ['/bin/sleep', 'took longer than 0.3 s', { args: ['60'], timeout: '300ms' }],
      ])('says that %s %s', async (command, text, more) => {
        const delivery = new TestDelivery(rsyncHandler, fixtureStudy({ series: 1, instancesPerSeries: 1 }));
        const attempt = await delivery.attempt(parse({ onComplete: { command, ...more } }));
        expect(attempt.error).toMatchObject({ code: 'finalize-failed', stage: 'finalize' });
        expect(attempt.error?.message).toContain(text);
        expect(delivery.pending).toEqual([]);
      });
    });
  });
});

describe('the schema of rsync', () => {
  const ssh = { type: 'ssh', username: 'u', password: new Secret('p'), hostKey: 'insecure-any' };
  it.each([
    [{ via: { ...ssh, hostKey: undefined } }, 'for trials only, insecure-any'],
    [{ via: { ...ssh, password: undefined } }, 'a login over ssh needs'],
    [{ via: { ...ssh, username: '-oProxyCommand=x' } }, 'not beginning with a hyphen'],
    [{ via: { ...ssh, rsyncPath: 'sudo rsync' } }, 'a path without spaces'],
    [{ via: { type: 'daemon', module: '../x' } }, 'the name of a module'],
    [{ via: { type: 'daemon', module: 'm', password: new Secret('p') } }, 'password needs username'],
    [{ via: { ...ssh, rsyncPath: '-x' } }, 'not beginning with a hyphen'],
    [{ via: { ...ssh, agent: '/a"\nProxyCommand x' } }, 'the path of a socket'],
    [{ via: { ...ssh, hostKey: { knownHosts: '/a"\nProxyCommand x' } } }, 'without quotes'],
    [{ via: { type: 'daemon', module: '-e' } }, 'the name of a module'],
    [{ via: { type: 'daemon', module: 'm', username: '-e' } }, 'not beginning with a hyphen'],
    [{ host: '-oProxyCommand=x' }, 'a host'],
    [{ host: '-e' }, 'not beginning with a hyphen'],
    [{ path: '../up' }, 'no ..'],
    [{ path: '-e' }, 'does not begin with a hyphen'],
    [{ path: 'a\nb' }, 'no line breaks'],
    [{ partialDir: '..' }, 'without slashes'],
    [{ onComplete: { command: 'relative' } }, 'an absolute path'],
    [{ onComplete: { command: '/x', args: ['{SOPInstanceUID}'] } }, 'runs once for each study'],
    [{ layout: '{PatientID}' }, 'SOPInstanceUID'],
  ])('refuses %j', (more, text) => {
    const config = { type: 'rsync', host: 'h', via: ssh, path: '/x', ...more };
    expect(rsyncTarget.safeParse(config).error?.message).toContain(text);
  });
});
