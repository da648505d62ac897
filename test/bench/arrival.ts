/**
 * Time from storing the last instance of a study in Orthanc to its confirmation at the target, if the study is sent during
 * reception: with the plugin's push and by polling, compared with Orthanc's own auto-routing in Lua and with a rule that
 * starts when stable. All of them follow the same Orthanc, so that each study is sent by all at the same time.
 *
 *   ./dispatch bench arrival --help
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { readLongCommand, freePort, startOrthanc, startRedis, tempFolder, waitFor } from '@dicom-dispatch/harness';
import { makeStudy } from '@dicom-dispatch/samples';
import { connect, createServer, peekPart10 } from 'dicom-dimse';
import { Redis } from 'ioredis';
import { startDispatch } from '../e2e/support/start-dispatch.ts';
import { productEnv, productFlags } from './product-env.ts';
import { describeMachine, median, table, usageOf, writeSection } from './report.ts';

const { values } = readLongCommand({
  usage: './dispatch bench arrival',
  about:
    'Time from the last instance of a study in Orthanc to its confirmation at the target, for studies that are sent during reception.',
  options: {
    studies: { type: 'number', default: 3, about: 'measured studies' },
    'warm-up': { type: 'number', default: 1, about: 'studies before them that are not measured' },
    instances: { type: 'number', default: 500, about: 'instances of 0.5 MB in each' },
    seconds: { type: 'number', default: 60, about: 'in which a study is received' },
    'stable-age': { type: 'number', default: 60, about: 'StableAge of Orthanc, in seconds' },
    commands: { type: 'boolean', about: 'also print the commands of Redis' },
    main: { type: 'string', about: 'command line of another version, to measure that' },
    write: { type: 'boolean', about: 'write the result into docs/performance.md' },
  },
});
const { studies, instances, seconds, 'warm-up': warmUp, 'stable-age': stableAgeSeconds } = values;
const plugin = fileURLToPath(new URL('../../orthanc-plugin/dicom_dispatch.py', import.meta.url));
const ways = {
  'start: arrival, with the plugin': { start: 'arrival', isPushed: true },
  'start: arrival, polling each second': { start: 'arrival', isPushed: false },
  'start: stable, with polling': { start: 'stable', isPushed: false },
} as const;
const lua = "Orthanc's auto-routing in Lua";

/** Time of the last C-STORE of each instance, by SOP Instance UID, and the number of C-STOREs; one such record for each sender. */
interface Arrived {
  readonly at: Map<string, number>;
  count: number;
  readonly port: number;
}

await using stack = new AsyncDisposableStack();
const folder = stack.use(await tempFolder('bench-arrival'));
const receivers = new Map<string, Arrived>();
for (const name of [...Object.keys(ways), lua]) receivers.set(name, await receiver());
const script = join(folder.path, 'route.lua');
await writeFile(
  script,
  'function OnStoredInstance(id, tags, metadata, origin) if origin["RequestOrigin"] ~= "Lua" then SendToModality(id, "target") end end\n',
);
const pushPort = await freePort();
const orthanc = stack.use(
  await startOrthanc({
    stableAgeSeconds,
    plugins: ['python'],
    pythonScript: plugin,
    modalities: { target: ['BENCH', '127.0.0.1', receivers.get(lua)?.port] },
    extraConfig: {
      LuaScripts: [script],
      DicomDispatch: { Url: `http://127.0.0.1:${pushPort}`, Source: 'main', Secret: 'bench' },
    },
    env: { TCP_NODELAY: '1' },
  }),
);
const running = new Map<string, { readonly dispatch: { pid(): number }; readonly redis: Redis }>();
for (const [name, { start, isPushed }] of Object.entries(ways)) {
  const redis = stack.use(await startRedis({ appendfsync: 'everysec' }));
  const dispatch = stack.use(
    await startDispatch({
      env: { ...productEnv, PUSH_SECRET: 'bench' },
      execArgv: productFlags,
      ...(values.main !== undefined && { main: values.main }),
      config: {
        sources: { main: { url: orthanc.url, ...(isPushed && { pushSecret: '${PUSH_SECRET}' }) } },
        targets: {
          pacs: { type: 'dicom', host: '127.0.0.1', port: receivers.get(name)?.port, calledAeTitle: 'BENCH' },
        },
        rules: [{ name: 'all', start, targets: ['pacs'] }],
        redis: { url: redis.url },
        ...(isPushed && { push: { listen: `127.0.0.1:${pushPort}` } }),
      },
    }),
  );
  running.set(name, { dispatch, redis: stack.adopt(new Redis(redis.url), (one) => one.disconnect()) });
}
// Studies that are not counted, as in a service that has run for some time: V8 has compiled the code of all of them.
for (let study = 0; study < warmUp; study += 1) await receive(studies + study);
await untilAllHave(warmUp * instances);
for (const arrived of receivers.values()) {
  arrived.at.clear();
  arrived.count = 0;
}
const before = await usage();
/** When each instance was stored in Orthanc, study by study. */
const stored: Map<string, number>[] = [];
for (let study = 0; study < studies; study += 1) stored.push(await receive(study));
const total = studies * instances;
await untilAllHave(total);
const after = await usage();

const atStable = cpuOf('start: stable, with polling');
const rows = Array.from(receivers, ([name, { at, count }]) => {
  const late = stored.map((times) => ([...times].at(-1) ?? ['', 0]) as [string, number]);
  const last = late.map(([uid, time]) => (at.get(uid) ?? Number.NaN) - time);
  const all = stored.flatMap((times) => Array.from(times, ([uid, time]) => (at.get(uid) ?? Number.NaN) - time));
  const cpu = running.has(name) ? cpuOf(name) : undefined;
  return [
    name,
    inMs(median(last)),
    inMs(quantile(all, 0.5)),
    inMs(quantile(all, 0.99)),
    count - total,
    cpu === undefined ? '' : `${cpu.toFixed(2)} s`,
    cpu === undefined ? '' : `${Math.round((cpu / atStable) * 100)} %`,
    cpu === undefined ? '' : `${redisCpuOf(name).toFixed(2)} s`,
    cpu === undefined ? '' : callsOf(name).reduce((sum, [, calls]) => sum + calls, 0),
  ];
});
const text = `${studies} CT of ${instances} instances of 0.5 MB, each received by C-STORE within ${seconds} s; StableAge ${stableAgeSeconds} s. From an instance's C-STORE response by Orthanc to that of the target: the last of a study (median of ${studies}), and all of them.

${table(['', 'last', 'p50', 'p99', 'sent twice', 'CPU', 'of stable', 'CPU of Redis', 'its commands'], rows)}

CPU is that of router, dispatcher and console in one process from the first instance to the last delivery, waiting for stability included${warmUp > 0 ? `; ${warmUp} such studies before them are not counted` : ''}. ${await describeMachine(['Redis', 'Orthanc'])} All of it shares these cores.`;
if (values.write) await writeSection('performance.md', 'arrival', text);
console.log(text);
if (values.commands)
  for (const name of running.keys())
    console.log(name, Object.fromEntries(callsOf(name).filter(([, calls]) => calls > 0)));

async function untilAllHave(count: number): Promise<void> {
  await waitFor(() => [...receivers.values()].every(({ at }) => at.size === count), {
    timeoutMs: (stableAgeSeconds + 120) * 1_000,
    message: () => JSON.stringify(Array.from(receivers, ([name, { at }]) => [name, at.size])),
  });
  // Until the deliveries have ended.
  await sleep(5_000);
}

async function receiver(): Promise<Arrived> {
  const arrived: { at: Map<string, number>; count: number; port: number } = { at: new Map(), count: 0, port: 0 };
  const server = stack.use(
    createServer({
      presentationContexts: ({ transferSyntaxes }) => transferSyntaxes[0],
      handlers: {
        async store({ sopInstanceUid, dataSet }) {
          for await (const _ of dataSet);
          arrived.at.set(sopInstanceUid, performance.now());
          arrived.count += 1;
          return 0;
        },
      },
    }),
  );
  arrived.port = (await server.listen({ port: 0, host: '127.0.0.1' })).port;
  return arrived;
}

/** Sends a study to Orthanc at an even pace. */
async function receive(study: number): Promise<Map<string, number>> {
  const times = new Map<string, number>();
  const files = [...makeStudy({ seed: `arrival ${study}`, instancesPerSeries: instances, rows: 512, columns: 512 })];
  const [first] = files;
  if (!first) return times;
  const { meta } = await peekPart10([first.bytes.subarray(0, 4096)]);
  const association = await connect({
    host: '127.0.0.1',
    port: orthanc.dicomPort,
    callingAeTitle: 'BENCH_CT',
    calledAeTitle: orthanc.aet,
    presentationContexts: [{ abstractSyntax: meta.sopClassUid, transferSyntaxes: [meta.transferSyntaxUid] }],
  });
  const begun = performance.now();
  for (const [index, { bytes, sopInstanceUid }] of files.entries()) {
    await sleep(Math.max(0, begun + (index * seconds * 1_000) / instances - performance.now()));
    await association.store([bytes]);
    times.set(sopInstanceUid, performance.now());
  }
  await association.release();
  // Making the next study blocks this process, and with it the receivers.
  await sleep(2_000);
  return times;
}

interface Usage {
  readonly cpuSeconds: number;
  readonly redisCpuSeconds: number;
  /** Calls by command, those of scripts included. */
  readonly calls: ReadonlyMap<string, number>;
}

async function usage(): Promise<Map<string, Usage>> {
  const all = Array.from(running, async ([name, { dispatch, redis }]) => {
    const text = await redis.info('cpu', 'commandstats');
    const cpu = [...text.matchAll(/^used_cpu_(?:user|sys):([0-9.]+)/gm)].map(([, seconds]) => Number(seconds));
    const calls = [...text.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)].map(
      ([, command = '', count]) => [command, Number(count)] as const,
    );
    const { cpuSeconds } = await usageOf(dispatch.pid());
    const redisCpuSeconds = cpu.reduce((sum, one) => sum + one, 0);
    return [name, { cpuSeconds, redisCpuSeconds, calls: new Map(calls) }] as const;
  });
  return new Map(await Promise.all(all));
}

function cpuOf(name: string): number {
  return (after.get(name)?.cpuSeconds ?? 0) - (before.get(name)?.cpuSeconds ?? 0);
}

function redisCpuOf(name: string): number {
  return (after.get(name)?.redisCpuSeconds ?? 0) - (before.get(name)?.redisCpuSeconds ?? 0);
}

/** Commands to Redis, the most frequent first. */
function callsOf(name: string): [command: string, calls: number][] {
  const known = before.get(name)?.calls;
  return Array.from(after.get(name)?.calls ?? [], ([command, calls]): [string, number] => [
    command,
    calls - (known?.get(command) ?? 0),
  ]).toSorted(([, one], [, other]) => other - one);
}

function quantile(all: readonly number[], share: number): number {
  const sorted = [...all].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

function inMs(ms: number): string {
  return ms > 10_000 ? `${(ms / 1_000).toFixed(1)} s` : `${Math.round(ms)} ms`;
}
