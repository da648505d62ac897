import { setTimeout as sleep } from 'node:timers/promises';
import { chmod, mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Secret } from '@dicom-dispatch/core';
import { startSshd, type SshdOptions, type SshServer } from '@dicom-dispatch/harness';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { keptIn, TestDelivery, type Attempt } from '@dicom-dispatch/target-kit/testing';
import { filesUnder, fixtureStudy, type FixtureStudy } from '../contract-suite/index.ts';
import { sftpHandler } from './handler.ts';
import { startRogueSftp, type RogueOptions } from './rogue-sftp.ts';
import { sftpTarget } from './schema.ts';

const small = { series: 1, instancesPerSeries: 2, rows: 16, columns: 16 } as const;
const corrected = { attributes: { StudyDescription: 'corrected' } };
const otherPatient = { attributes: { PatientID: 'ANOTHER' } };
let studies = 0;
let study: (more?: object) => FixtureStudy;
beforeEach(() => {
  const seed = `strict ${(studies += 1)}`;
  study = (more = {}) => fixtureStudy({ ...small, seed, ...more });
});

interface Server {
  readonly path: string;
  parse(more?: object): ReturnType<typeof sftpTarget.parse>;
  deliver(study: FixtureStudy, more?: object): Promise<Attempt & { readonly logged: readonly string[] }>;
  checks(more?: object): Promise<readonly { name: string; result: string; detail: string; remedy?: string }[]>;
}

let folders = 0;
async function serverAt(sshd: SshServer, port = sshd.port): Promise<Server> {
  const path = join(sshd.filesFolder, `strict-${(folders += 1)}`);
  await mkdir(path);
  const memory = new Map<string, unknown>();
  const parse = (more: object = {}) =>
    sftpTarget.parse({
      type: 'sftp',
      host: '127.0.0.1',
      port,
      username: sshd.username,
      privateKey: new Secret(sshd.clientKey.privateKey),
      hostKey: 'insecure-any',
      path,
      minFree: 0,
      ...more,
    });
  return {
    path,
    parse,
    async deliver(one, more) {
      const delivery = new TestDelivery(sftpHandler, one, `delivery ${(folders += 1)}`);
      delivery.memory = memory;
      const attempt = await delivery.attempt(parse(more));
      return { ...attempt, logged: delivery.logged.map(({ text }) => text) };
    },
    async checks(more) {
      const context = { config: parse(more), targetName: 't', signal: new AbortController().signal };
      return Array.fromAsync(sftpHandler.testConnection({ ...context, memory: keptIn(memory) })) as never;
    },
  };
}

const kinds = ({ reported }: Attempt): string[] =>
  [...reported.values()].map((one) => (one.kind === 'quarantined' ? one.error.code : one.kind));

async function expectArrived({ path }: Server, { instances }: FixtureStudy): Promise<void> {
  for (const { manifest, read } of instances) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of read()) chunks.push(chunk);
    const { studyInstanceUid, seriesInstanceUid, sopInstanceUid } = manifest;
    const found = await readFile(join(path, studyInstanceUid, seriesInstanceUid, `${sopInstanceUid}.dcm`));
    expect(found.equals(Buffer.concat(chunks))).toBe(true);
  }
}

/** A study arrives, is confirmed again, is replaced after a correction; that of another patient is rejected. */
async function expectWhole(server: Server, more: object = {}): Promise<void> {
  expect((await server.deliver(study(), more)).error).toBeUndefined();
  await expectArrived(server, study());
  expect((await server.deliver(study(), more)).error).toBeUndefined();
  const conflict = await server.deliver(study(otherPatient), more);
  expect(kinds(conflict)).toEqual(['target-conflict', 'target-conflict']);
  await expectArrived(server, study());
  expect((await server.deliver(study(corrected), more)).error).toBeUndefined();
  await expectArrived(server, study(corrected));
  expect(await filesUnder(server.path)).toHaveLength(2);
  expect((await server.checks(more)).filter(({ result }) => result === 'failed')).toEqual([]);
  expect(await filesUnder(server.path)).toHaveLength(2);
}

describe.each([
  ['stat,lstat,fstat', { verify: 'content' }],
  ['fstat', {}],
  ['lstat,stat', {}],
  ['rename,posix-rename', { temporaryName: 'none' }],
  ['posix-rename', {}],
  ['rename', {}],
  ['opendir', {}],
  ['opendir,stat,lstat,fstat,rename,posix-rename', { temporaryName: 'none', verify: 'none' }],
  ['fsync,statvfs,setstat,fsetstat', {}],
])('a server that forbids %s', (requests, more) => {
  let sshd: SshServer;
  let server: Server;
  beforeAll(async () => {
    sshd = await startSshd({ sftpArguments: `-P ${requests}` });
  });
  afterAll(async () => sshd?.stop());
  beforeEach(async () => {
    server = await serverAt(sshd);
  });

  it('can be used', async () => {
    await expectWhole(server, more);
  });

  if (Object.keys(more).length === 0) return;
  it('is named with the option that helps', async () => {
    const attempt = await server.deliver(study());
    expect(attempt.error).toMatchObject({ code: 'target-misconfigured', disposition: 'halt' });
    const option = requests.startsWith('stat') || requests.startsWith('opendir') ? 'verify' : 'temporaryName to none';
    expect(attempt.error?.remedy).toContain(option);
    expect(await filesUnder(server.path)).toEqual([]);
    const failed = (await server.checks()).find(({ result }) => result === 'failed');
    expect(failed?.remedy).toContain(option);
  });
});

describe('a server that forbids', () => {
  it.each<[string, object, { check: string; option: string; use: object } | undefined]>([
    ['remove', {}, undefined],
    ['mkdir', {}, { check: 'write', option: 'layout', use: { layout: '{SOPInstanceUID#32}.dcm' } }],
    [
      'setstat,fsetstat',
      { directoryMode: '0750' },
      { check: 'write', option: 'Remove mode and directoryMode', use: {} },
    ],
    ['read', { verify: 'content' }, { check: 'write', option: 'existing', use: { existing: 'overwrite' } }],
  ])('%s is used as far as possible, and the test shows the same', async (request, more, refusal) => {
    const sshd = await startSshd({ sftpArguments: `-P ${request}` });
    try {
      const server = await serverAt(sshd);
      if (refusal) {
        const { error, reported } = await server.deliver(study(), more);
        expect(error).toMatchObject({ code: 'target-misconfigured', disposition: 'halt' });
        expect(error?.remedy).toContain(refusal.option);
        expect(reported.size).toBe(0);
        const failed = (await server.checks(more)).filter(({ result }) => result === 'failed');
        expect(failed).toMatchObject([{ name: refusal.check, remedy: expect.stringContaining(refusal.option) }]);
        expect(await filesUnder(server.path)).toEqual([]);
        if (request !== 'read') expect(await readdir(server.path)).toEqual([]);
      }
      expect(kinds(await server.deliver(study(), refusal?.use))).toEqual(['delivered', 'delivered']);
      expect(kinds(await server.deliver(study(), refusal?.use))).toEqual(['delivered', 'delivered']);
      const checks = await server.checks(refusal?.use);
      expect(checks.filter(({ result }) => result === 'failed')).toEqual([]);
    } finally {
      await sshd.stop();
    }
  });
});

describe('a server that keeps what a test wrote', () => {
  it('rmdir: the test names the folder', async () => {
    const sshd = await startSshd({ sftpArguments: '-P rmdir' });
    try {
      const server = await serverAt(sshd);
      const checks = await server.checks();
      expect(checks.filter(({ result }) => result === 'failed')).toEqual([]);
      const [kept, ...more] = await readdir(server.path);
      expect(more).toEqual([]);
      expect(checks.find(({ name }) => name === 'write')?.detail).toContain(`remove ${kept} manually`);
    } finally {
      await sshd.stop();
    }
  });

  it('mkdir and remove: the test names the file, and deliveries leave one at most', async () => {
    const sshd = await startSshd({ sftpArguments: '-P mkdir,remove' });
    try {
      const server = await serverAt(sshd);
      const failed = (await server.checks()).find(({ result }) => result === 'failed');
      const kept = await readdir(server.path);
      expect(kept).toHaveLength(1);
      expect(failed).toMatchObject({ name: 'write', remedy: expect.stringContaining(`remove ${kept[0]} manually`) });
      for (let attempt = 0; attempt < 2; attempt += 1) {
        const { error } = await server.deliver(study());
        expect(error?.remedy).toContain('Allow creating folders');
        expect(await readdir(server.path)).toHaveLength(2);
      }
    } finally {
      await sshd.stop();
    }
  });
});

describe('a file that is written under its own name', () => {
  let sshd: SshServer;
  let server: Server;
  beforeAll(async () => {
    sshd = await startSshd();
  });
  afterAll(async () => sshd?.stop());
  beforeEach(async () => {
    server = await serverAt(sshd);
  });
  const direct = { temporaryName: 'none', layout: 'flat' };

  it('is removed if it is incomplete, and recognised as partial if it could not be', async () => {
    const [first] = study().instances;
    const delivery = new TestDelivery(sftpHandler, study());
    const broken = await delivery.attempt(server.parse({ ...direct, maxParallel: 1 }), {
      onChunk({ openIndex, readBytes }) {
        if (openIndex === 1 && readBytes === 0) throw new Error('the source broke');
      },
    });
    expect(broken.error).toBeDefined();
    expect(await filesUnder(server.path)).toHaveLength(1);
    const chunks: Uint8Array[] = [];
    for await (const chunk of first!.read()) chunks.push(chunk);
    await writeFile(join(server.path, `${first!.manifest.sopInstanceUid}.dcm`), Buffer.concat(chunks).subarray(0, 700));
    expect((await server.deliver(study(), direct)).error).toBeUndefined();
    expect(await filesUnder(server.path)).toHaveLength(2);
  });

  it('has another temporary name if configured', async () => {
    const more = { temporaryName: 'upload-{id}.tmp', layout: 'flat' };
    const seen: string[] = [];
    const attempt = await new TestDelivery(sftpHandler, study()).attempt(server.parse(more), {
      async onChunk({ readBytes }) {
        if (readBytes === 0) seen.push(...(await readdir(server.path)));
      },
    });
    expect(attempt.error).toBeUndefined();
    expect(seen).toContainEqual(expect.stringMatching(/^upload-[0-9a-f]{12}-[0-9a-f]{12}\.tmp$/));
    expect((await readdir(server.path)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('of a target with a folder mark is not written to another', async () => {
    const more = { rememberPlace: true };
    expect((await server.deliver(study(), more)).error).toBeUndefined();
    expect((await server.checks(more)).find(({ name }) => name === 'place')).toMatchObject({ result: 'passed' });
    await rename(server.path, `${server.path}-away`);
    await mkdir(server.path);
    const attempt = await server.deliver(study(), more);
    expect(attempt.error).toMatchObject({ code: 'target-unreachable', stage: 'connect', disposition: 'wait' });
    expect(await readdir(server.path)).toEqual([]);
    expect((await server.checks(more)).find(({ name }) => name === 'place')).toMatchObject({ result: 'failed' });
    await rm(server.path, { recursive: true });
    await rename(`${server.path}-away`, server.path);
    expect((await server.deliver(study(), more)).error).toBeUndefined();
  });
});

describe.runIf(process.getuid?.() === 0)('rights', () => {
  it('that are missing halt the target; those to the folder of one study do not', async () => {
    const sshd = await startSshd({ password: 'a-password' });
    try {
      const server = await serverAt(sshd);
      const login = { privateKey: undefined, password: new Secret('a-password') };
      await chmod(server.path, 0o755);
      const denied = await server.deliver(study(), login);
      expect(denied.error).toMatchObject({ code: 'target-misconfigured', stage: 'transfer', disposition: 'halt' });
      await chmod(server.path, 0o777);
      await mkdir(join(server.path, study().tags.studyInstanceUid), { mode: 0o755 });
      expect(kinds(await server.deliver(study(), login))).toEqual(['target-conflict', 'target-conflict']);
      expect(kinds(await server.deliver(fixtureStudy({ ...small, seed: 'free' }), login))).toEqual([
        'delivered',
        'delivered',
      ]);
    } finally {
      await sshd.stop();
    }
  });
});

describe.each([
  ['CBC ciphers', { config: ['Ciphers aes128-cbc,3des-cbc'] }, /cipher \(Ciphers\)/, 'aes128-cbc'],
  [
    'key exchanges with SHA-1',
    { config: ['KexAlgorithms diffie-hellman-group14-sha1'] },
    /key exchange/,
    'diffie-hellman-group14-sha1',
  ],
  [
    'all of them old',
    {
      config: [
        'KexAlgorithms diffie-hellman-group1-sha1',
        'Ciphers aes256-cbc',
        'MACs hmac-sha1',
        'HostKeyAlgorithms ssh-rsa',
        'PubkeyAcceptedAlgorithms +ssh-rsa',
      ],
      hostKeyType: 'rsa' as const,
    },
    /key exchange/,
    'ssh-rsa',
  ],
])('a server with %s', (_name, options: SshdOptions, kind, algorithm) => {
  it('is named with the option that helps, and can be used with a warning', async () => {
    const sshd = await startSshd(options);
    try {
      const server = await serverAt(sshd);
      const attempt = await server.deliver(study());
      expect(attempt.error).toMatchObject({ code: 'target-misconfigured', stage: 'connect', disposition: 'halt' });
      expect(attempt.error?.message).toMatch(kind);
      expect(attempt.error?.remedy).toContain('set algorithms to old');
      for (const more of [{}, { hostKey: { knownHosts: sshd.knownHostsFile } }]) {
        const old = await server.deliver(study(), { algorithms: 'old', ...more });
        expect(old.error).toBeUndefined();
        expect(old.logged).toContain('the connection uses insecure algorithms');
      }
      const login = (await server.checks({ algorithms: 'old' })).find(({ name }) => name === 'login');
      expect(login).toMatchObject({ result: 'passed', detail: expect.stringContaining(algorithm) });
    } finally {
      await sshd.stop();
    }
  });
});

describe('a server that is no OpenSSH', () => {
  let sshd: SshServer;
  const open: AsyncDisposable[] = [];
  beforeAll(async () => {
    sshd = await startSshd();
  });
  afterEach(async () => {
    for (const one of open.splice(0)) await one[Symbol.asyncDispose]();
  });
  afterAll(async () => sshd?.stop());
  async function rogue(options: RogueOptions): Promise<Server> {
    const server = await startRogueSftp(sshd.hostKey.privateKey, options);
    open.push(server);
    return serverAt(sshd, server.port);
  }

  it('and has no extension can be used', async () => {
    await expectWhole(await rogue({}));
  });

  it('and reports only the sizes of files can be used', async () => {
    const server = await rogue({ reportsSizesOnly: true });
    expect((await server.deliver(study())).error).toBeUndefined();
    await expectArrived(server, study());
  });

  it('and rejects names with a leading dot is reported with the option that helps', async () => {
    const server = await rogue({ refusesHidden: true });
    const attempt = await server.deliver(study());
    expect(attempt.error).toMatchObject({ code: 'target-misconfigured', disposition: 'halt' });
    expect(attempt.error?.message).toContain('names that begin with a dot');
    expect(attempt.error?.remedy).toContain('"dispatch-{id}.part"');
    const failed = (await server.checks()).find(({ result }) => result === 'failed');
    expect(failed).toMatchObject({ name: 'write', remedy: expect.stringContaining('temporaryName') });
    await expectWhole(server, { temporaryName: 'dispatch-{id}.part' });
  });

  it('and renames onto existing files cannot replace another patient, also at the same time', async () => {
    const server = await rogue({ renamesOver: true });
    const [one, other] = [study({ instancesPerSeries: 6 }), study({ instancesPerSeries: 6, ...otherPatient })];
    const attempts = await Promise.all([server.deliver(one), server.deliver(other)]);
    for (const { manifest } of one.instances) {
      const outcomes = attempts.map(({ reported }) => reported.get(manifest.sopInstanceUid)?.kind).sort();
      expect(outcomes).toEqual(['delivered', 'quarantined']);
    }
  });

  it('and reports another size than written is not trusted', async () => {
    const server = await rogue({ addsBytes: 7 });
    const attempt = await server.deliver(study());
    expect(attempt.error).toMatchObject({ code: 'verify-missing', stage: 'verify' });
    expect(attempt.reported.size).toBe(0);
    expect(await filesUnder(server.path)).toEqual([]);
  });

  it('and accepts little within each timeout is aborted', async () => {
    let isSlow = true;
    const server = await rogue({ beforeWrite: async () => (isSlow ? sleep(60) : undefined) });
    const slow = fixtureStudy({
      seed: 'slow',
      series: 1,
      instancesPerSeries: 1,
      rows: 2048,
      columns: 1024,
    });
    const attempt = await server.deliver(slow, { timeout: '3s', minBytesPerSecond: '50MB' });
    expect(attempt.error).toMatchObject({ code: 'target-timeout', disposition: 'wait' });
    expect(attempt.error?.message).toContain('minBytesPerSecond');
    isSlow = false;
    expect((await server.deliver(study())).error).toBeUndefined();
  });
});
