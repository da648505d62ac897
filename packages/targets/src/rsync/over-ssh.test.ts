import { execFile, spawn } from 'node:child_process';
import { chmod, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
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
import { allChecks, fixtureStudy, handlerContract, type ArrangedFault } from '../contract-suite/index.ts';
import { rsyncHandler } from './handler.ts';
import { rsyncTarget, type RsyncTarget } from './schema.ts';
import { commonChecks, hostile, isRoot, look, onlyRoot, pathFaults, withProgram } from './testing/arrange.ts';

const run = promisify(execFile);

let spool: TempFolder;
beforeAll(async () => {
  spool = await tempFolder('rsync-spool');
});
afterAll(async () => spool.remove());

const common = () => ({ type: 'rsync', host: '127.0.0.1', spool: spool.path, batchBytes: '100MB' });

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
      return { ...look(sshd.filesFolder, spool), config, stop: async () => {} };
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
      ...pathFaults(() => proxy),
    },
    checks: {
      ...commonChecks,
      connect: refused,
      'host-key': wrongKey,
      login: wrongPassword,
      folder: { arrange: () => ({ config: { path: '/no/such/folder' } }) },
      write: isRoot ? { arrange: lockedFolder } : onlyRoot,
      remove: isRoot ? { isSkipped: true, arrange: lockedAfterWriting } : onlyRoot,
    },
    hostile,
  });

  /** The folder becomes read-only after a probe was written, when rsync is started for the third time. */
  async function lockedAfterWriting(): Promise<ArrangedFault> {
    const path = join(sshd.folder, 'locked-later');
    const counted = join(sshd.folder, 'counted');
    await mkdir(path);
    await chmod(path, 0o777);
    await mkdir(counted);
    await chmod(counted, 0o777);
    const wrapper = join(sshd.folder, 'counting-rsync');
    // The third run waits until the folder, which does not belong to the user, is no longer writable for others.
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
    ])('the check program fails if %s does %j, with a remedy', async (name, script, detail, remedy) => {
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
