// Measures dicom-dimse against DCMTK's senders and Orthanc's own store, paired in one run on the same data:
//   ./dispatch bench dimse-send --help
import { readFile, writeFile } from 'node:fs/promises';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readLongCommand, startFaultProxy, startOrthanc, startStorescp } from '@dicom-dispatch/harness';
import type { OrthancServer } from '@dicom-dispatch/harness';
import { makeSet } from './dimse-sets.ts';
import type { BenchSet, SetName } from './dimse-sets.ts';
import { measureProcess, median } from './dimse-measure.ts';
import type { SenderReport, SenderTask } from './dimse-sender.ts';

const { values } = readLongCommand({
  usage: './dispatch bench dimse-send',
  about: "dicom-dimse against DCMTK's senders and Orthanc's own store, paired in one run on the same data.",
  options: {
    sets: { type: 'list', of: ['A', 'B', 'C', 'D'], about: 'sets of instances' },
    runs: { type: 'number', default: 5, about: 'rounds of each measurement' },
    modes: {
      type: 'list',
      of: ['nodelay', 'default'],
      about: 'with TCP_NODELAY for all peers, or unset, as in Debian',
    },
    receivers: {
      type: 'list',
      of: ['storescp', 'orthanc', 'distant'],
      about: 'distant is storescp behind 20 ms of round trip',
    },
    senders: { type: 'string', default: '', about: 'pattern that names of senders must match' },
    'slow-runs': { type: 'number', default: 5, about: 'rounds of a sender that takes longer than 10 s' },
    data: {
      type: 'string',
      default: join(tmpdir(), 'dicom-dimse-bench'),
      about: 'folder of the instances, which are kept',
    },
    write: { type: 'boolean', about: 'update the measured rows in dimse-send.json, and BENCHMARKS.md from it' },
  },
});
const SLOW_SECONDS = 10;
const MB = 1_000_000;
const sender = fileURLToPath(new URL('dimse-sender.ts', import.meta.url));

type Mode = 'nodelay' | 'default';
type Receiver = 'storescp' | 'orthanc' | 'distant';

interface Run {
  readonly seconds: number;
  readonly cpuSeconds: number | undefined;
  readonly peakBytes: number | undefined;
}

interface Contestant {
  readonly name: string;
  run(): Promise<Run>;
}

interface Row extends Run {
  readonly set: SetName;
  readonly mode: Mode;
  readonly receiver: Receiver;
  readonly name: string;
  readonly megabytesPerSecond: number;
  readonly instancesPerSecond: number;
  readonly runs: number;
}

const rows: Row[] = [];
for (const name of values.sets) {
  const set = await makeSet(values.data, name);
  for (const mode of values.modes) await measureSet(set, mode);
}
console.log(render(rows));
if (values.write) await write();

async function write(): Promise<void> {
  const store = new URL('dimse-send.json', import.meta.url);
  const earlier = existsSync(store) ? (JSON.parse(await readFile(store, 'utf8')) as Row[]) : [];
  const isRenewed = (old: Row): boolean =>
    rows.some(({ set, mode, receiver }) => old.set === set && old.mode === mode && old.receiver === receiver);
  const all = [...earlier.filter((old) => !isRenewed(old)), ...rows].sort((a, b) => order(a).localeCompare(order(b)));
  await writeFile(store, `${JSON.stringify(all, undefined, 2)}\n`);
  const text = `# Benchmarks of dicom-dimse

Written by \`./dispatch bench dimse-send --write\`. Each row is the median of its runs. The senders take turns, on the same data.
Peers: DCMTK ${version('storescp')}, Orthanc ${version('Orthanc')}; Node ${process.version}; ${cpus().length} cores, loopback.

Sets: A, CT, 500 x 0.5 MB; B, 2,000 x 21 kB; C, multi-frame, 4 x 210 MB; D, JPEG, 200 x 125 kB. Peers "nodelay" run with
\`TCP_NODELAY=1\` in their environment, peers "default" without it, as Debian starts them. The receiver "distant" is storescp behind a
round-trip time of 20 ms. "disk" reads files; "REST" reads from a running Orthanc, as a dispatcher does; Orthanc's store reads its own
storage. A ratio above 1 means that dicom-dimse was faster.

Before the measurement dicom-dimse has sent 60 instances (none for set C), because a dispatcher runs for months. The start of Node and
the listing of instances are not measured.

${render(all)}`;
  await writeFile(fileURLToPath(new URL('../../packages/dicom-dimse/BENCHMARKS.md', import.meta.url)), text);
}

function order({ set, mode, receiver }: Row): string {
  return [mode === 'nodelay' ? 0 : 1, ['storescp', 'orthanc', 'distant'].indexOf(receiver), set].join();
}

/** The first version number in the output of a program. */
function version(program: string): string {
  const { stdout, stderr } = spawnSync(program, ['--version'], { encoding: 'utf8' });
  return /\d+\.\d+\.\d+/.exec(`${stdout}${stderr}`)?.[0] ?? 'of unknown version';
}

async function measureSet(set: BenchSet, mode: Mode): Promise<void> {
  const env = { ...process.env, ...(mode === 'nodelay' ? { TCP_NODELAY: '1' } : { TCP_NODELAY: undefined }) };
  await using scp = await startStorescp({ ignore: true, acceptAll: true, env });
  await using distant = await startFaultProxy({ port: scp.port, latencyMs: 10 });
  await using target = await startOrthanc({ name: 'target', aet: 'TARGET', env });
  const modalities = { scp: ['STORESCP', '127.0.0.1', scp.port], target: ['TARGET', '127.0.0.1', target.dicomPort] };
  await using source = await startOrthanc({ name: 'source', modalities, env });
  for (const file of readdirSync(set.folder)) await source.upload(await readFile(join(set.folder, file)));

  for (const receiver of values.receivers) {
    // Orthanc as receiver is of interest with both modes, the distant one with one set.
    if (receiver === 'distant' && (set.name !== 'A' || mode !== 'nodelay')) continue;
    const port = { storescp: scp.port, orthanc: target.dicomPort, distant: distant.port }[receiver];
    const contestants = contestantsFor(set, receiver, port, source, env).filter(({ name }) =>
      new RegExp(values.senders).test(name),
    );
    const measured = new Map(contestants.map((contestant) => [contestant.name, [] as Run[]]));
    const times = values.runs;
    // Round by round, so that other load of the machine affects all equally.
    for (let round = 0; round < times; round += 1) {
      for (const contestant of contestants) {
        const runs = measured.get(contestant.name) ?? [];
        const isSlow = (runs[0]?.seconds ?? 0) > SLOW_SECONDS;
        if (isSlow && runs.length >= values['slow-runs']) continue;
        runs.push(await contestant.run());
        if (receiver === 'orthanc') await wipe(target);
      }
    }
    for (const [name, runs] of measured) {
      const seconds = median(runs.map((one) => one.seconds));
      const row: Row = {
        set: set.name,
        mode,
        receiver,
        name,
        seconds,
        cpuSeconds: medianOf(runs.map((one) => one.cpuSeconds)),
        peakBytes: medianOf(runs.map((one) => one.peakBytes)),
        megabytesPerSecond: set.bytes / MB / seconds,
        instancesPerSecond: set.files / seconds,
        runs: runs.length,
      };
      rows.push(row);
      console.error(`${set.name} ${mode} ${receiver} ${name}: ${seconds.toFixed(3)} s`);
    }
  }
}

function contestantsFor(
  set: BenchSet,
  receiver: Receiver,
  port: number,
  source: OrthancServer,
  env: NodeJS.ProcessEnv,
): Contestant[] {
  const dcmtk = (command: string, args: readonly string[]): Contestant => ({
    name: command,
    run: () => measureProcess(command, [...args, '127.0.0.1', String(port), set.folder], env),
  });
  const ours = (name: string, task: Omit<SenderTask, 'port'>): Contestant => ({
    name: `dicom-dimse, ${name}`,
    async run() {
      const args = ['--disable-warning=ExperimentalWarning', sender, JSON.stringify({ port, ...task })];
      const { output } = await measureProcess(process.execPath, args, process.env);
      const own = JSON.parse(output) as SenderReport;
      if (own.sent !== set.files) throw new Error(`${own.sent} of ${set.files} instances were stored`);
      return own;
    },
  });
  const { url: orthanc } = source;
  const folder = set.folder;
  const early = { earlyByte: true };
  const all = [
    dcmtk('dcmsend', ['-nuc', '--scan-directories', ...(set.isCompressed ? ['--decompress-never'] : [])]),
    dcmtk('storescu', ['--scan-directories', ...(set.isCompressed ? ['-xs'] : [])]),
    {
      name: "Orthanc's store",
      run: () => orthancStore(source, receiver === 'orthanc' ? 'target' : 'scp'),
    },
    ours('disk, 1 association', { folder, associations: 1, ...early }),
    ours('REST, 1 association', { orthanc, associations: 1, ...early }),
    ours('REST, 2 associations', { orthanc, associations: 2, ...early }),
    ours('REST, 4 associations', { orthanc, associations: 4, ...early }),
  ];
  if (receiver !== 'distant') return all;
  return [
    ...all.filter(({ name }) => name === 'dcmsend'),
    ...all.slice(3),
    ours('REST, 8 associations', { orthanc, associations: 8, ...early }),
  ];
}

async function orthancStore(source: OrthancServer, modality: string): Promise<Run> {
  const Resources = await source.studies();
  const before = await usage(source.pid());
  const begun = performance.now();
  await source.send('POST', `/modalities/${modality}/store`, { Resources, Synchronous: true, Timeout: 600 });
  const seconds = (performance.now() - begun) / 1000;
  const after = await usage(source.pid());
  return { seconds, cpuSeconds: after.cpuSeconds - before.cpuSeconds, peakBytes: after.peakBytes };
}

async function usage(pid: number): Promise<{ cpuSeconds: number; peakBytes: number }> {
  const [status, stat] = await Promise.all([
    readFile(`/proc/${pid}/status`, 'utf8'),
    readFile(`/proc/${pid}/stat`, 'utf8'),
  ]);
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / 100,
    peakBytes: Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024,
  };
}

async function wipe(orthanc: OrthancServer): Promise<void> {
  for (const study of await orthanc.studies()) await orthanc.send('DELETE', `/studies/${study}`);
}

function medianOf(all: readonly (number | undefined)[]): number | undefined {
  const known = all.filter((one) => one !== undefined);
  return known.length === 0 ? undefined : median(known);
}

function render(rows: readonly Row[]): string {
  const lines = [
    '| set | peers | receiver | sender | s | MB/s | inst/s | CPU s | peak MB | × dcmsend | × Orthanc | runs |',
    '|---|---|---|---|---|---|---|---|---|---|---|---|',
  ];
  for (const row of rows) {
    const peer = (name: string): string => {
      const found = rows.find(
        (other) =>
          other.set === row.set && other.mode === row.mode && other.receiver === row.receiver && other.name === name,
      );
      return found === undefined || found === row ? '' : (found.seconds / row.seconds).toFixed(2);
    };
    lines.push(
      `| ${[
        row.set,
        row.mode,
        row.receiver,
        row.name,
        row.seconds.toFixed(3),
        row.megabytesPerSecond.toFixed(0),
        row.instancesPerSecond.toFixed(0),
        row.cpuSeconds?.toFixed(2) ?? '',
        row.peakBytes === undefined ? '' : (row.peakBytes / MB).toFixed(0),
        peer('dcmsend'),
        peer("Orthanc's store"),
        row.runs,
      ].join(' | ')} |`,
    );
  }
  return `${lines.join('\n')}\n`;
}
