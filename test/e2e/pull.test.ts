import { spawn } from 'node:child_process';
import { readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  freePort,
  hashDataset,
  leasePort,
  listReceived,
  startFaultProxy,
  startOrthanc,
  tempFolder,
  waitFor,
  type FaultProxy,
  type OrthancServer,
  type PortLease,
  type TempFolder,
} from '@dicom-dispatch/harness';
import { makeStudy } from '@dicom-dispatch/samples';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { commandLine } from './support/programs.ts';
import { compileCache, startCommandHost, type CommandHost } from './support/run-commands.ts';

let pacs: OrthancServer;
let source: OrthancServer;
let slow: FaultProxy;
let moveTo: PortLease;
let folder: TempFolder;
let config: string;
let host: CommandHost;
const study = makeStudy({ seed: 'pull e2e', series: 3, instancesPerSeries: 4, rows: 96, columns: 96 });
const other = makeStudy({ seed: 'pull other', series: 1, instancesPerSeries: 1, rows: 16, columns: 16 });
const datasets = new Map([...study].map(({ sopInstanceUid, bytes }) => [sopInstanceUid, hashDataset(bytes)]));

beforeAll(async () => {
  moveTo = await leasePort();
  [pacs, source, folder] = await Promise.all([
    startOrthanc({
      plugins: ['dicomweb'],
      modalities: { us: ['DISPATCH', '127.0.0.1', moveTo.port] },
      extraConfig: { DicomAlwaysAllowFind: true, DicomAlwaysAllowGet: true, DicomAlwaysAllowMove: true },
    }),
    startOrthanc(),
    tempFolder('pull'),
  ]);
  for (const { bytes } of [...study, ...other]) await pacs.upload(bytes);
  slow = await startFaultProxy({ port: pacs.dicomPort, bytesPerSecond: 100_000 });
  const dicom = { type: 'dicom', host: '127.0.0.1', calledAeTitle: pacs.aet };
  config = join(folder.path, 'dispatch.yaml');
  await writeFile(
    config,
    stringify({
      sources: { main: { url: source.url } },
      targets: {
        get: { ...dicom, port: pacs.dicomPort },
        move: {
          ...dicom,
          port: pacs.dicomPort,
          retrieve: 'move',
          moveTo: { aeTitle: 'DISPATCH', listen: `127.0.0.1:${moveTo.port}` },
        },
        slow: { ...dicom, port: slow.port },
        web: { type: 'dicomweb', url: `${pacs.url}/dicom-web` },
        rest: { type: 'orthanc', url: pacs.url },
        dead: { ...dicom, port: await freePort() },
        deaf: { type: 'dummy' },
      },
      rules: [{ name: 'all', targets: ['get'] }],
    }),
  );
  host = startCommandHost({ cwd: folder.path, env: {} });
});
afterAll(async () => {
  await host?.[Symbol.asyncDispose]();
  await slow?.stop();
  await Promise.all([pacs?.stop(), source?.stop(), folder?.remove()]);
  moveTo?.release();
});

interface Run {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function dispatch(args: readonly string[]): Promise<Run> {
  return host.run(...args, '--config', config);
}

/** The command-line tool as a separate process that is disturbed while it runs. */
function dispatchAnd(args: readonly string[], whileRunning: (interrupt: () => void) => Promise<void>): Promise<Run> {
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', commandLine, ...args, '--config', config],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { NODE_COMPILE_CACHE: compileCache, ...process.env },
    },
  );
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  const ended = new Promise<Run>((resolve) => child.once('close', (code) => resolve({ code, out, err })));
  const meanwhile = whileRunning(() => void child.kill('SIGINT')).catch((error: unknown) => {
    child.kill('SIGKILL');
    throw error;
  });
  return Promise.all([ended, meanwhile]).then(([run]) => run);
}

async function filesIn(path: string): Promise<Map<string, string>> {
  return new Map((await listReceived(path)).map((file) => [file.sopInstanceUid, file.datasetSha256]));
}

describe('find', () => {
  it('prints a table, and reports if there is more than requested', async () => {
    const run = await dispatch(['find', '--target', 'get', '--limit', '1']);
    expect(run.code).toBe(0);
    const [head, line, ...more] = run.out.trimEnd().split('\n');
    expect(head).toMatch(/^PATIENT +NAME +ACCESSION +DATE +DESCRIPTION +MOD +SERIES +INST +STUDY$/);
    expect([study, other].some(({ studyInstanceUid }) => line?.endsWith(studyInstanceUid))).toBe(true);
    expect(more).toEqual([]);
    expect(run.err).toContain('there are more than 1');
  });

  it.each([
    ['get', '--accession', study.accessionNumber],
    ['web', '--patient', study.patientId],
    ['rest', '--study', study.studyInstanceUid],
  ])('finds a study at %s by %s', async (target, option, value) => {
    const run = await dispatch(['find', '--target', target, option, value, '--json']);
    const found = JSON.parse(run.out) as { studyInstanceUid: string; series: unknown[] }[];
    expect(found.map((one) => [one.studyInstanceUid, one.series.length])).toEqual([[study.studyInstanceUid, 3]]);
  });

  it.each(['get', 'web', 'rest'])('filters on series, at %s', async (target) => {
    const run = await dispatch(['find', '--target', target, '--series', 'Modality=XX']);
    expect(run).toMatchObject({ code: 0, out: '(none)\n' });
  });

  it.each(['get', 'web', 'rest'])(
    'rejects a name that is not a keyword, with the nearest one, at %s',
    async (target) => {
      for (const [typed, meant] of [
        ['Modalty', 'Modality'],
        ['seriesdescription', 'SeriesDescription'],
      ]) {
        const run = await dispatch(['find', '--target', target, '--series', `${typed}=CT`]);
        expect(run).toMatchObject({ code: 2, out: '' });
        expect(run.err).toContain(`"${typed}": it is not a DICOM keyword; the nearest is ${meant}`);
      }
    },
  );

  it.each(['web', 'rest'])('does not list everything by a keyword that no series has, at %s', async (target) => {
    const run = await dispatch(['find', '--target', target, '--series', 'BodyPartExamined=NOWHERE']);
    expect(run).toMatchObject({ code: 0, out: '(none)\n' });
  });

  it.each([
    [['find', '--target', 'deaf'], 2, 'a target of type dummy cannot be searched'],
    [['find', '--target', 'dead'], 4, 'target-unreachable'],
    [['pull', '--target', 'get', '--study', '1.2'], 2, '--to-folder FOLDER or --to-source NAME'],
    [['pull', '--target', 'get', '--study', '1.2', '--to-folder', '/etc/hostname'], 1, 'cannot write to'],
  ])('%j exits with %i and says why', async (args, code, text) => {
    const run = await dispatch(args);
    expect(run).toMatchObject({ code, out: '' });
    expect(run.err).toContain(text);
    expect(run.err).not.toMatch(/\n\s+at /);
  });
});

describe('pull', () => {
  it.each(['get', 'move', 'web', 'rest'])('gets a study from %s into a folder', async (target) => {
    const to = join(folder.path, target);
    const run = await dispatch(['pull', '--target', target, '--study', study.studyInstanceUid, '--to-folder', to]);
    expect(run.err).toMatch(/12 completed, 0 remaining, 0 failed\n$/);
    expect(run).toMatchObject({ code: 0, out: `12 instances of study ${study.studyInstanceUid} are in ${to}\n` });
    expect(await filesIn(to)).toEqual(datasets);
  });

  it('gets only what is missing', async () => {
    const to = join(folder.path, 'get');
    const path = join(to, study.studyInstanceUid);
    const [gone = '', kept = ''] = await readdir(path);
    await rm(join(path, gone));
    const before = await stat(join(path, kept), { bigint: true });
    const args = ['pull', '--target', 'move', '--study', study.studyInstanceUid, '--to-folder', to, '--json'];
    expect(JSON.parse((await dispatch(args)).out)).toMatchObject({ completed: 12, failed: 0 });
    expect(await filesIn(to)).toEqual(datasets);
    expect((await stat(join(path, kept), { bigint: true })).ctimeNs).toBe(before.ctimeNs);
  });

  it('gets one series into the Orthanc of a source, then the rest', async () => {
    const args = ['pull', '--target', 'get', '--study', study.studyInstanceUid, '--to-source', 'main'];
    const [{ seriesInstanceUid } = { seriesInstanceUid: '' }] = [...study];
    const series = await dispatch([...args, '--series', seriesInstanceUid]);
    expect(series.out).toContain('4 instances');
    expect((await source.sopInstanceUids()).length).toBe(4);
    expect((await dispatch(args)).code).toBe(0);
    expect(await source.sopInstanceUids()).toEqual([...datasets.keys()].sort());
  });

  it('stops at Ctrl-C without incomplete files, and continues when it is called again', async () => {
    const to = join(folder.path, 'interrupted');
    const args = ['pull', '--study', study.studyInstanceUid, '--to-folder', to];
    const path = join(to, study.studyInstanceUid);
    const whole = async (): Promise<string[]> =>
      (await readdir(path).catch(() => [])).filter((name) => name.endsWith('.dcm'));
    const run = await dispatchAnd([...args, '--target', 'slow'], async (interrupt) => {
      await waitFor(async () => (await whole()).length > 0);
      interrupt();
    });
    expect(run.code).toBe(130);
    expect(run.err).toContain('run the same command again to retrieve missing instances');
    const names = await readdir(path);
    expect(names.filter((name) => !name.endsWith('.dcm'))).toEqual([]);
    expect(names.length).toBeLessThan(12);
    expect((await dispatch([...args, '--target', 'get'])).code).toBe(0);
    expect(await filesIn(to)).toEqual(datasets);
  });

  it('reports that the target has no such study', async () => {
    const run = await dispatch(['pull', '--target', 'get', '--study', '1.2.3.4', '--to-folder', folder.path]);
    expect(run).toMatchObject({ code: 5, out: '' });
    expect(run.err).toContain('get has none of the requested instances of study 1.2.3.4');
  });
});

describe('target test', () => {
  it('prints the checks as a table and exits with 0', async () => {
    const run = await dispatch(['target', 'test', 'get']);
    expect(run).toMatchObject({ code: 0, err: '' });
    const lines = run.out.trimEnd().split('\n');
    expect(lines[0]).toMatch(/^CHECK +RESULT +MS +DETAIL$/);
    expect(lines.slice(1).map((line) => line.split(/ +/).slice(0, 2))).toEqual([
      ['resolve', 'ok'],
      ['connect', 'ok'],
      ['associate', 'ok'],
      ['echo', 'ok'],
      ['storage', 'ok'],
    ]);
  });

  it('exits with 1 when one fails, with the remedy', async () => {
    const run = await dispatch(['target', 'test', 'dead']);
    expect(run.code).toBe(1);
    expect(run.out).toMatch(/^connect +FAILED/m);
    expect(run.out).toMatch(/^associate +skipped/m);
    expect(run.err).toMatch(/^connect: Check that the target is running/);
  });
});
