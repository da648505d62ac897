import { execFile } from 'node:child_process';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { fileURLToPath } from 'node:url';
import { startOrthanc, tempFolder, waitFor, type OrthancServer, type TempFolder } from '@dicom-dispatch/harness';
import { Records, type DeliveryRecord } from '@dicom-dispatch/state/records';
import { checkPassword } from '@dicom-dispatch/console/password';
import { makeStudy } from '@dicom-dispatch/samples';
import { Redis } from 'ioredis';
import { unpackTar } from 'modern-tar';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { startFaultScp, type FaultScp } from './support/fault-scp.ts';
import { pacsTarget } from './support/pacs-target.ts';
import { compileCache, spawnCommand, startCommandHost, type CommandHost, type Run } from './support/run-commands.ts';
import { startDispatch, type RunningDispatch } from './support/start-dispatch.ts';
import { prefix } from './support/system.ts';

/** The command line against a running system with its own Redis, in the folder where the system was started. */

const main = fileURLToPath(import.meta.resolve('@dicom-dispatch/cli/main'));
const password = 'geheimer-als-geheim';
const patient = { PatientName: 'Geheimnis^Xaver', PatientID: 'PID-SECRET-4711' };

let orthanc: OrthancServer;
let scp: FaultScp;
let archive: TempFolder;
let system: RunningDispatch;
/** Where bundles and logs go. */
let desk: TempFolder;
let client: Redis;
let host: CommandHost;
let records: Records;

beforeAll(async () => {
  [orthanc, scp, archive, desk] = await Promise.all([
    startOrthanc({ users: { dispatch: password } }),
    startFaultScp(),
    tempFolder('archive'),
    tempFolder('desk'),
  ]);
  system = await startDispatch({
    env: { ORTHANC_PASSWORD: password },
    config: {
      sources: {
        main: { url: orthanc.url, username: 'dispatch', password: '${ORTHANC_PASSWORD}', pollInterval: '200ms' },
      },
      targets: { pacs: pacsTarget(scp, { attempts: 1 }), archive: { type: 'folder', path: archive.path } },
      rules: [{ name: 'all', targets: ['pacs', 'archive'], when: 'study.PatientID != "PID-SECRET-0815"' }],
    },
  });
  host = startCommandHost(surroundings());
  client = new Redis(join(system.folder, 'data', 'redis', 'redis.sock'));
  client.on('error', () => {});
  records = new Records(client, prefix);
});
afterAll(async () => {
  client?.disconnect();
  await host?.[Symbol.asyncDispose]();
  // Its Redis is a separate process, which a killed `up` would leave behind.
  if (system?.isRunning()) await system.kill('SIGTERM');
  await Promise.all([system?.stop(), orthanc?.stop(), scp?.down(), archive?.remove(), desk?.remove()]);
});

const surroundings = () => ({
  cwd: system.folder,
  env: { ORTHANC_PASSWORD: password },
});

/** A command, typed in the folder of the system. */
function dispatch(...args: string[]): Promise<Run> {
  return host.run(...args);
}

/** A command as a separate process, to check the exit code that a shell sees. */
function spawned(...args: string[]): Promise<Run> {
  return spawnCommand(surroundings(), args);
}

async function json<T>(...args: string[]): Promise<T> {
  const { code, out, err } = await dispatch(...args, '--json');
  expect(code, err).toBe(0);
  return JSON.parse(out) as T;
}

interface Study {
  readonly studyInstanceUid: string;
  readonly deliveries: readonly { deliveryId: string; target: string; state: string; held: boolean }[];
}

async function upload(accession: string): Promise<string> {
  const study = makeStudy({
    seed: accession,
    instancesPerSeries: 3,
    attributes: { ...patient, AccessionNumber: accession },
  });
  for (const { bytes } of study) await orthanc.upload(bytes);
  return study.studyInstanceUid;
}

/** Polls over our own connection: one process per poll would be slow. */
async function until(studyInstanceUid: string, target: string, ...states: DeliveryRecord['state'][]): Promise<string> {
  let seen: DeliveryRecord[] = [];
  return waitFor(
    async () => {
      seen = await records.deliveriesOfUid(studyInstanceUid, 'main');
      return seen.find((one) => one.target === target && states.includes(one.state))?.deliveryId;
    },
    {
      message: () =>
        `${target} ${states.join('/')}: ${JSON.stringify(seen.map((one) => [one.target, one.state, one.error]))}`,
    },
  );
}

async function bundle(file: string): Promise<Map<string, string>> {
  const entries = await unpackTar(gunzipSync(await readFile(file)));
  return new Map(
    entries.map(({ header, data }) => [header.name.split('/')[1] ?? '', Buffer.from(data ?? []).toString()]),
  );
}

describe('the command line', () => {
  let failed = '';
  let failedStudy = '';
  let goodStudy = '';

  it('shows a delivered, a failed and a paused delivery, with reasons', async () => {
    const paused = await dispatch('target', 'pause', 'archive');
    expect(paused, system.output()).toMatchObject({ code: 0 });
    expect(paused.out).toContain('archive is paused');
    goodStudy = await upload('ACC-GOOD');
    await until(goodStudy, 'pacs', 'delivered');
    scp.answer = () => 0xa900;
    failedStudy = await upload('ACC-BAD');
    failed = await until(failedStudy, 'pacs', 'failed', 'partial');

    const [status, studies, study, deliveries] = await Promise.all([
      spawned('status', '--check'),
      dispatch('studies'),
      dispatch('study', 'ACC-BAD'),
      dispatch('deliveries', '--target', 'pacs', '--state', 'delivered'),
    ]);
    expect(status.code, status.err).toBe(3);
    expect(status.out).toContain('2 studies routed, 1 dispatcher running');
    expect(status.out).toMatch(/^archive +folder +paused +2/m);
    expect(status.out).toMatch(/^! /m);
    expect(studies.out).toMatch(/Geheimnis, Xaver +ACC-BAD .*archive:waiting/);
    expect(study.out).toMatch(/The target archive is paused by \S+ \(command line\)\./);
    expect(study.out).toContain('rule all: matches');
    expect(study.out).toContain(failed);
    expect(deliveries.out.split('\n').filter((line) => line.startsWith('d-'))).toHaveLength(1);
  });

  it('shows the same to programs, and to those who watch', async () => {
    const [{ targets, sources }, workers, rules, cache] = await Promise.all([
      json<{ targets: object[]; sources: object[] }>('status'),
      json<{ pid: number }[]>('workers'),
      json<{ targets: string[] }>('rules', 'ACC-GOOD'),
      json<{ redis: { usedBytes: number } }>('cache', 'stats'),
    ]);
    expect(targets).toMatchObject([
      { name: 'pacs', paused: false },
      { name: 'archive', paused: true },
    ]);
    expect(sources).toMatchObject([{ name: 'main', followed: true }]);
    expect(workers).toMatchObject([{ pid: system.pid() }]);
    expect(rules.targets.toSorted()).toEqual(['archive', 'pacs']);
    expect(cache.redis.usedBytes).toBeGreaterThan(0);
    const watched = execFile(process.execPath, [main, 'targets', '--watch', '--json'], {
      cwd: system.folder,
      env: { NODE_COMPILE_CACHE: compileCache, ...process.env, ORTHANC_PASSWORD: password },
    });
    let lines = '';
    watched.stdout?.on('data', (chunk: string) => (lines += chunk));
    await waitFor(() => lines.split('\n').length > 2, { message: () => `two lines: ${lines}` });
    watched.kill('SIGINT');
    for (const line of lines.trim().split('\n').slice(0, 2)) expect(JSON.parse(line)).toHaveLength(2);
  });

  it('shows a receipt of what a target has confirmed, as a table, JSON and CSV', async () => {
    const [table, asJson, csv, none] = await Promise.all([
      dispatch('receipt', 'ACC-GOOD'),
      dispatch('receipt', goodStudy, '--target', 'pacs', '--format', 'json'),
      dispatch('receipt', 'ACC-GOOD', '--target', 'pacs', '--format', 'csv'),
      dispatch('receipt', 'ACC-GOOD', '--target', 'nowhere'),
    ]);
    expect(table.out).toMatch(/^pacs: \d+ delivered$/m);
    expect(table.out).toMatch(/delivered +[\d.]+ kB +[0-9a-f]{64} +\d{4}-.* 1 +status 0000H/);
    const { targets } = JSON.parse(asJson.out) as { targets: { target: string; delivered: number; lines: object[] }[] };
    expect(targets).toMatchObject([{ target: 'pacs' }]);
    expect(targets[0]?.lines[0]).toMatchObject({ state: 'delivered', attempt: 1 });
    expect(csv.out.trim().split('\r\n').length).toBe(1 + (targets[0]?.delivered ?? 0));
    expect(none).toMatchObject({ code: 5 });
  });

  it('packs what a support case needs, without secrets and patient data', async () => {
    const log = join(desk.path, 'dispatch.log');
    await writeFile(
      log,
      [
        JSON.stringify({
          level: 'error',
          msg: 'odd',
          study: failedStudy,
          PatientName: 'Nobody',
          note: `by ${password}`,
        }),
        `cannot write /archive/geheimnis/${patient.PatientID}/1.dcm (http://anna:wort@host/)`,
        '',
      ].join('\n'),
    );
    const file = join(desk.path, 'bundle.tar.gz');
    const run = await dispatch('diagnose', '--output', file, '--log', log);
    expect(run, run.err).toMatchObject({ code: 0 });
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const files = await bundle(file);
    expect(JSON.parse(files.get('problems.json') ?? '')).toEqual({});
    expect([...files.keys()].toSorted()).toEqual([
      'README.txt',
      'cache.json',
      'config.json',
      'failures.json',
      'log.txt',
      'overview.json',
      'problems.json',
      'queues.json',
      'redis.json',
      'sources.json',
      'targets.json',
      'versions.json',
      'workers.json',
    ]);
    const all = [...files.values()].join('\n');
    for (const secret of [
      password,
      'Geheimnis',
      'Xaver',
      'PID-SECRET',
      'ACC-BAD',
      failedStudy,
      'Nobody',
      'anna:wort',
    ]) {
      expect(all.toLowerCase().includes(secret.toLowerCase()), secret).toBe(false);
    }
    expect(files.get('config.json')).toContain('[secret]');
    expect(files.get('config.json')).toContain(`"port": ${scp.port}`);
    expect(files.get('failures.json')).toContain(failed);
    expect(files.get('redis.json')).toContain('redis_version');
    expect(files.get('sources.json')).toContain('"DicomAet"');
    // The same study has the same word all over the bundle.
    const word = /\[uid [0-9a-f]{8}\]/.exec(files.get('log.txt') ?? '')?.[0] ?? 'none';
    expect(files.get('failures.json')).toContain(word);
    expect(files.get('log.txt')).toContain('/archive/[patient]/[patient]/1.dcm (http://[hidden]@host/)');
  });

  it('holds, cancels, releases and resumes; all of it is in the audit log', async () => {
    const [held, cancelled] = [
      await dispatch('hold', 'ACC-GOOD'),
      await dispatch('cancel', 'ACC-BAD', '--target', 'archive'),
    ];
    expect(held, held.err).toMatchObject({ code: 0 });
    expect(held.out).toMatch(/archive +held$/m);
    expect(held.out).toMatch(/pacs +not held: only a waiting delivery can be held/);
    expect(cancelled.out).toMatch(/archive +cancelled$/m);
    expect((await dispatch('target', 'resume', 'archive')).code).toBe(0);
    const [good] = (await json<{ studies: Study[] }>('studies', 'ACC-GOOD')).studies;
    expect(good?.deliveries.find(({ target }) => target === 'archive')).toMatchObject({ state: 'waiting', held: true });
    expect(await json<unknown>('release', '--all', '--yes')).toEqual({ matched: 1, done: 1, skipped: 0 });
    await until(goodStudy, 'archive', 'delivered');

    const audit = (await system.get('/api/audit?limit=50')).body as {
      entries: { who: string; action: string; subject: string }[];
    };
    const actions = audit.entries.filter(({ who }) => who.endsWith(' (command line)')).map(({ action }) => action);
    expect(actions).toEqual(expect.arrayContaining(['pause', 'hold', 'cancel', 'resume', 'bulk']));
  });

  it('retries failed deliveries, after showing their number, and routes again', async () => {
    const filter = ['retry', '--target', 'pacs', '--since', '1h'];
    const [dry, unasked] = await Promise.all([dispatch(...filter, '--dry-run'), dispatch(...filter)]);
    expect(dry).toMatchObject({ code: 0, out: 'retry would affect 1 delivery (pacs: 1)\n' });
    expect(unasked).toMatchObject({ code: 2, out: '' });
    expect(unasked.err).toContain('use --yes');
    scp.answer = () => 0;
    const retried = await dispatch('retry', 'ACC-BAD', '--target', 'pacs');
    expect(retried.out).toMatch(/pacs +retried$/m);
    await until(failedStudy, 'pacs', 'delivered');
    expect(await dispatch('retry', failed)).toMatchObject({ code: 1 });

    const before = scp.stores.length;
    const routed = await json<{ deliveries: { target: string }[] }>(
      'route',
      'ACC-GOOD',
      '--to',
      'pacs',
      '--everything',
    );
    expect(routed.deliveries).toMatchObject([{ target: 'pacs' }]);
    await waitFor(() => scp.stores.length === before + 3, { message: () => system.output() });
  });

  it('removes studies that have left their source, after listing them, and no others', async () => {
    const uid = await upload('ACC-OLD');
    for (const target of ['pacs', 'archive']) await until(uid, target, 'delivered');
    const [record] = await records.studiesOfUid(uid, 'main');
    await waitFor(async () => client.zscore(`${prefix}:study:completed`, record?.studyTaskId ?? ''));
    const there = await dispatch('forget', uid, '--yes');
    expect(there, there.err).toMatchObject({ code: 1 });
    expect(there.out).toContain('forgotten: 0 studies with 0 deliveries; kept: 1 still in the source');
    await orthanc.send('DELETE', `/studies/${record?.orthancStudyId}`);
    expect((await dispatch('forget')).err).toContain('--until');
    const [foreseen, unasked] = await Promise.all([
      dispatch('forget', '--until', '0m', '--dry-run'),
      dispatch('forget', uid),
    ]);
    expect(foreseen.out).toMatch(
      /^this would forget 1 study with 2 deliveries, about \d[\d.]* kB; kept: 2 still in the source$/m,
    );
    expect(unasked).toMatchObject({ code: 2, out: '' });
    expect(await json<object>('forget', uid, '--yes')).toEqual({
      studies: 1,
      forgotten: 1,
      deliveries: 2,
      kept: {},
      damaged: [],
    });
    expect(await client.keys(`*${uid}*`)).toEqual([]);
    expect(await dispatch('forget', uid, '--yes')).toMatchObject({ code: 5 });
    expect(await dispatch('study', uid)).toMatchObject({ code: 5 });
    const { entries } = (await system.get('/api/audit?limit=10')).body as { entries: { action: string }[] };
    expect(entries).toContainEqual(expect.objectContaining({ action: 'forget', subject: uid, outcome: 'done' }));
  });

  it('reports problems by its exit code', async () => {
    const elsewhere = join(desk.path, 'elsewhere.yaml');
    await writeFile(
      elsewhere,
      stringify({
        redis: { url: 'redis://127.0.0.1:1' },
        sources: { main: { url: 'http://127.0.0.1:1' } },
        targets: { a: { type: 'dummy' } },
      }),
    );
    const runs = await Promise.all([
      spawned('study', 'NOT-THERE'),
      dispatch('target', 'pause', 'nowhere'),
      dispatch('retry'),
      dispatch('retry', '--state', 'sour'),
      spawned('nonsense'),
      dispatch('config', 'check'),
      dispatch('target', 'test', 'pacs'),
      dispatch('target', 'concurrency', 'pacs', '0'),
      dispatch('cache', 'clear', '--yes'),
      spawned('status', '--config', elsewhere),
    ]);
    expect(
      runs.map(({ code }) => code),
      runs.map(({ err }) => err).join('\n'),
    ).toEqual([5, 5, 2, 2, 2, 0, 0, 2, 0, 4]);
  });

  it('completes words in a shell', async () => {
    const { out } = await spawned('completion', 'bash');
    const complete = (...words: string[]): Promise<string> =>
      new Promise((resolve) => {
        const script = `${out}\nCOMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _dispatch; echo "\${COMPREPLY[@]}"`;
        execFile('bash', ['-c', script], (_error, stdout) => resolve(stdout.trim()));
      });
    expect(await complete('dispatch', 'stu')).toBe('studies study');
    expect(await complete('dispatch', 'target', 'pa')).toBe('pause');
    expect(await complete('dispatch', 'retry', '--state', 'fa')).toBe('failed');
    expect(await complete('dispatch', 'retry', '--dr')).toBe('--dry-run');
    for (const shell of ['zsh', 'fish']) expect((await dispatch('completion', shell)).out).toContain('concurrency');
  });

  it('hashes a password that the console then accepts', async () => {
    const { code, out } = await spawnCommand(surroundings(), ['config', 'password'], 'a long enough one\n');
    expect(code).toBe(0);
    expect(out).toMatch(/^scrypt:32768:8:1:[\w-]+:[\w-]+\n$/);
    expect(await checkPassword('a long enough one', out.trim())).toBe(true);
    expect(await checkPassword('another long one', out.trim())).toBe(false);
    const short = await spawnCommand(surroundings(), ['config', 'password'], 'short\n');
    expect(short).toMatchObject({ code: 2, out: '', err: expect.stringContaining('at least 15') });
  });

  it('verifies that the audit log was not changed', async () => {
    const { code, out } = await dispatch('audit-log', 'verify', '--json');
    const verdict = JSON.parse(out) as { entries: number; broken: unknown[]; head: string };
    expect([code, verdict.broken]).toEqual([0, []]);
    expect(verdict.entries).toBeGreaterThan(3);
    expect((await dispatch('audit-log', 'verify', '--head', verdict.head)).code).toBe(0);
    const cut = await dispatch('audit-log', 'verify', '--head', 'f'.repeat(64));
    expect(cut).toMatchObject({ code: 3, out: expect.stringContaining('was removed') });
    const file = join(desk.path, 'audit.jsonl');
    await writeFile(file, '{"at":"2026-01-01T00:00:00Z","who":"x","hash":"00"}\nno JSON\n');
    expect((await dispatch('audit-log', 'verify', '--file', file)).err).toContain('audit.jsonl:2: not an entry');
  });

  it('reports that nothing is running, and still creates the support bundle', async () => {
    await system.kill('SIGTERM');
    const file = join(desk.path, 'afterwards.tar.gz');
    const [status, diagnosed] = await Promise.all([spawned('status'), spawned('diagnose', '--output', file)]);
    expect(status).toMatchObject({ code: 4, out: '' });
    expect(status.err).toMatch(/^dispatch: nothing is running: no redis\.url is configured/);
    expect(diagnosed).toMatchObject({ code: 0 });
    const files = await bundle(file);
    expect(files.get('problems.json')).toContain('nothing is running');
    expect(files.get('config.json')).toContain('"pacs"');
  });
});
