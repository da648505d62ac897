import { execFile, execFileSync } from 'node:child_process';
import { mkdir, readdir, readFile, rename, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { DispatchError, Secret } from '@dicom-dispatch/core';
import {
  startFaultProxy,
  startRsyncd,
  tempFolder,
  waitFor,
  type FaultProxy,
  type RsyncServer,
  type TempFolder,
} from '@dicom-dispatch/harness';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ManifestInstance } from '@dicom-dispatch/target-kit';
import { keptIn, TestDelivery } from '@dicom-dispatch/target-kit/testing';
import { filesUnder, fixtureStudy, largeStudy } from '../contract-suite/index.ts';
import { rsyncHandler } from './handler.ts';
import { rsyncTarget } from './schema.ts';

const run = promisify(execFile);
const canLock = (() => {
  try {
    const script = 'd=$(mktemp -d) && chattr +i "$d" && chattr -i "$d"; s=$?; rmdir "$d"; exit $s';
    execFileSync('sh', ['-c', script], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

let spool: TempFolder;
beforeAll(async () => {
  spool = await tempFolder('rsync-spool');
});
afterAll(async () => spool.remove());

const common = () => ({ type: 'rsync', host: '127.0.0.1', spool: spool.path, batchBytes: '100MB' });

describe('rsync', () => {
  let rsyncd: RsyncServer;
  let proxy: FaultProxy;
  beforeAll(async () => {
    rsyncd = await startRsyncd({ users: { ada: 'a-password' } });
    proxy = await startFaultProxy({ port: rsyncd.port });
  });
  afterAll(async () => {
    await proxy?.stop();
    await rsyncd?.stop();
  });
  const via = () => ({
    type: 'daemon',
    port: proxy.port,
    module: 'data',
    username: 'ada',
    password: new Secret('a-password'),
  });

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
    const codes = [...attempt.reported.values()].map((one) => (one.kind === 'quarantined' ? one.error.code : one.kind));
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
    expect([...attempt.reported.values()]).toMatchObject([{ kind: 'quarantined', error: { code: 'target-conflict' } }]);
    expect((await readFile(file)).equals(another)).toBe(true);
    expect(proxy.counters().bytesDown - before).toBeLessThan(45_000_000);
  });

  it('removes what an rsync that was killed at the server has left, and nothing else', async () => {
    const study = fixtureStudy({ series: 1, instancesPerSeries: 2, rows: 2048, columns: 2048 });
    const [manifest, second] = study.instances.map((one) => one.manifest) as [ManifestInstance, ManifestInstance];
    const folder = join(rsyncd.filesFolder, path);
    const config = { layout: 'flat', batchBytes: '1MB', maxParallel: 1 };
    const delivery = new TestDelivery(rsyncHandler, study);
    const halfWay = async (): Promise<boolean> => {
      const names = (await readdir(folder)).filter((name) => name.startsWith('.'));
      const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).size));
      return sizes.some((size) => size > 100_000);
    };
    const killing = waitFor(halfWay).then(() => rsyncd.kill('SIGKILL'));
    const broken = await delivery.attempt(parse({ ...config, bandwidth: '1MB' }));
    await killing;
    expect(broken.error).toMatchObject({ code: 'target-connection-lost' });
    await rsyncd.restart();
    const others = ['.other.dcm.Ab12Cd', `.${manifest.sopInstanceUid}.dcm`, `${manifest.sopInstanceUid}.dcm.Ab12Cd`];
    for (const name of others) await writeFile(join(folder, name), 'mine');
    const left = (await readdir(folder)).filter((name) => /^\..*\.dcm\.\w{6}$/.test(name) && !others.includes(name));
    expect(left).toHaveLength(1);
    // Its instance arrives in an attempt that fails at the next instance: the leftover stays until an attempt succeeds.
    const half = await delivery.attempt(parse(config), {
      onChunk({ openIndex }) {
        if (openIndex === 1) throw new DispatchError('source-error', 'the source closed the connection');
      },
    });
    expect(half.error).toMatchObject({ code: 'source-error' });
    expect(delivery.pending).toEqual([second]);
    expect((await delivery.attempt(parse(config))).error).toBeUndefined();
    const names = (await readdir(folder)).filter((name) => name !== '.rsync-partial');
    const whole = [manifest, second].map(({ sopInstanceUid }) => `${sopInstanceUid}.dcm`);
    expect(names.sort()).toEqual([...others, ...whole].sort());
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

  it('a file of the same size and time with other content is replaced, and not taken for the instance', async () => {
    const study = fixtureStudy({ series: 1, instancesPerSeries: 1 });
    const config = parse({ onConflict: 'overwrite', delayUpdates: false });
    expect((await new TestDelivery(rsyncHandler, study).attempt(config)).error).toBeUndefined();
    const [name = ''] = await there();
    const file = join(rsyncd.filesFolder, path, name);
    const right = await readFile(file);
    const now = new Date();
    await writeFile(file, Buffer.from(right).fill(1, right.length - 16));
    await utimes(file, now, now);
    const again = new TestDelivery(rsyncHandler, study);
    expect((await again.attempt(config, { onOpen: () => utimes(file, new Date(), new Date()) })).error).toBeUndefined();
    expect((await readFile(file)).equals(right)).toBe(true);
  });

  it('supports modes and compression, and works without partial folder and delayed updates', async () => {
    const study = fixtureStudy({ series: 1, instancesPerSeries: 2 });
    const config = parse({
      mode: '0640',
      directoryMode: '0750',
      compress: true,
      partialDir: false,
      delayUpdates: false,
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
    ])('fails the delivery if %s %s', async (command, text, more) => {
      const delivery = new TestDelivery(rsyncHandler, fixtureStudy({ series: 1, instancesPerSeries: 1 }));
      const attempt = await delivery.attempt(parse({ onComplete: { command, ...more } }));
      expect(attempt.error).toMatchObject({ code: 'finalize-failed', stage: 'finalize' });
      expect(attempt.error?.message).toContain(text);
      expect(delivery.pending).toEqual([]);
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

it('does not end, and blames no target, when no program can be started because no file can be opened', async () => {
  const child = join(import.meta.dirname, 'out-of-files.child.ts');
  const { stdout } = await run('sh', ['-c', 'ulimit -n 60; exec "$@"', 'sh', process.execPath, child]);
  expect(JSON.parse(stdout)).toMatchObject([
    { code: 'local-resources', message: expect.stringContaining('true cannot be started on this host') },
    { status: 0 },
  ]);
});
