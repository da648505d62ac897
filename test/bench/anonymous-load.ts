/**
 * Load that clients without an account can cause: 500 connections guess passwords, tokens, sessions and secrets of
 * pushes, begin sign-ins with long addresses, send endless bodies, open streams and request missing pages.
 *
 *   ./dispatch bench anonymous-load --help
 *
 * Everything runs on loopback. Deliveries continue meanwhile, alternating with and without the load, so that both are
 * measured on the same machine. Fails if deliveries are slower than 90 %, Redis grows by 1 MB, or an administrator waits longer
 * than a second.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readConfig } from '@dicom-dispatch/cli';
import { hashPassword } from '@dicom-dispatch/console/password';
import {
  readLongCommand,
  freePort,
  startHttpServer,
  startOrthanc,
  startRedis,
  tempFolder,
} from '@dicom-dispatch/harness';
import { createOrthancClient } from '@dicom-dispatch/orthanc';
import { openPipeline, routeAgain } from '@dicom-dispatch/pipeline';
import { connectRedis, createLogger } from '@dicom-dispatch/runtime';
import { makeStudy } from '@dicom-dispatch/samples';
import { startDispatch } from '../e2e/support/start-dispatch.ts';
import { startLoad } from './anonymous-callers.ts';
import { productEnv, productFlags } from './product-env.ts';
import { describeMachine, table, writeSection } from './report.ts';

const { values } = readLongCommand({
  usage: './dispatch bench anonymous-load',
  about: 'Load that clients without an account can cause, beside deliveries and an administrator.',
  options: {
    seconds: { type: 'number', default: 60, about: 'length of each measurement' },
    connections: { type: 'number', default: 500, about: 'connections of these clients' },
    write: { type: 'boolean', about: 'write the result into docs/security.md' },
  },
});
const { seconds, connections } = values;
const studies = 120;
const instances = 40;
const steps = 12;
const passwords = { ada: 'ada climbs the hill', bea: 'bea swims in the lake' } as const;
const token = 'token-of-the-benchmark-0123456789';

await using folder = await tempFolder('anonymous-load');
await using redis = await startRedis({ appendfsync: 'everysec' });
await using orthanc = await startOrthanc();
await using provider = await startHttpServer((_request, response) => {
  const { url } = provider;
  response.setHeader('content-type', 'application/json');
  response.end(
    JSON.stringify({
      issuer: url,
      authorization_endpoint: `${url}/authorize`,
      token_endpoint: `${url}/token`,
      jwks_uri: `${url}/jwks`,
    }),
  );
});
const file = async (name: string, text: string): Promise<{ file: string }> => {
  await writeFile(join(folder.path, name), text, { mode: 0o600 });
  return { file: join(folder.path, name) };
};
const archive = join(folder.path, 'archive');
await mkdir(archive);
const pushPort = await freePort();
await using dispatch = await startDispatch({
  env: productEnv,
  execArgv: productFlags,
  config: {
    sources: { main: { url: orthanc.url, pollInterval: '200ms', pushSecret: await file('push', 'between us') } },
    targets: { archive: { type: 'folder', path: archive, minFree: 0, concurrency: 2 } },
    rules: [{ name: 'all', targets: ['archive'] }],
    redis: { url: redis.url },
    push: { listen: `127.0.0.1:${pushPort}` },
    logging: { level: 'error' },
    console: {
      users: {
        ada: { password: await file('ada', await hashPassword(passwords.ada)), role: 'administrator' },
        bea: { password: await file('bea', await hashPassword(passwords.bea)), role: 'administrator' },
      },
      tokens: { bench: { token: await file('token', token), role: 'viewer' } },
      oidc: { issuer: provider.url, clientId: 'console', roles: { viewer: ['all'] } },
    },
  },
  untilReady: false,
});
const config = await readConfig(dispatch.configFile);
const log = createLogger('bench', { level: 'error', format: 'json' });
const connection = connectRedis(redis.url, 'bench', log);
const pipeline = openPipeline(config, connection);
const client = createOrthancClient({ url: orthanc.url });
const queue = pipeline.queues.target('archive');

console.log(`uploading ${studies} studies of ${instances} instances`);
await queue.pause();
for (let index = 0; index < studies; index += 1) {
  for (const { bytes } of makeStudy({ seed: `load ${index}`, instancesPerSeries: instances, rows: 64, columns: 64 }))
    await orthanc.upload(bytes);
}
const ids = await orthanc.studies();

/** Adds deliveries, so that there are always some waiting. */
const supply = new AbortController();
let next = 0;
const supplying = (async () => {
  while (!supply.signal.aborted) {
    const counts = await queue.getJobCounts('waiting', 'prioritized', 'delayed');
    const waiting = Object.values(counts).reduce((sum, one) => sum + one, 0);
    if (waiting >= 40) await sleep(100);
    else {
      const request = { source: 'main', orthancStudyId: ids[(next += 1) % ids.length]!, everything: true };
      await routeAgain(pipeline, request, client, { name: 'bench' }).catch((error: unknown) => console.error(error));
    }
  }
})();

interface SignIn {
  readonly who: string;
  readonly ms: number;
  readonly status: number;
}
const signIns: SignIn[] = [];
let device = '';

/** Signs in like a browser: from an address, with its cookies. */
function signIn(
  name: keyof typeof passwords,
  from: string,
  cookie = '',
): Promise<{ status: number; ms: number; cookies: string[] }> {
  const body = new URLSearchParams({ name, password: passwords[name] }).toString();
  const started = performance.now();
  return new Promise((resolve, reject) => {
    const sent = request(
      `${dispatch.url}/sign-in`,
      {
        method: 'POST',
        localAddress: from,
        headers: { 'content-type': 'application/x-www-form-urlencoded', cookie },
        agent: false,
      },
      (answer) => {
        answer.resume();
        answer.once('end', () => {
          const cookies = answer.headers['set-cookie'] ?? [];
          resolve({ status: answer.statusCode ?? 0, ms: performance.now() - started, cookies });
        });
      },
    );
    sent.once('error', reject);
    sent.end(body);
  });
}

/**
 * An administrator with a known browser, from the attackers' own address and with the name that they guess; and one from
 * elsewhere.
 */
async function signInAsAdministrators(when: string): Promise<void> {
  const known = await signIn('ada', '127.0.0.1', device);
  signIns.push({ who: `a known browser, from the address of the load, ${when}`, ...known });
  const elsewhere = await signIn('bea', '127.0.0.2');
  signIns.push({ who: `a new browser, from another address, ${when}`, ...elsewhere });
}

async function sentBytes(): Promise<number> {
  const answer = await fetch(`${dispatch.url}/metrics`, { headers: { authorization: `Bearer ${token}` } });
  return [...(await answer.text()).matchAll(/^dispatch_sent_bytes_total\{[^}]*\} (\S+)$/gm)].reduce(
    (sum, [, value]) => sum + Number(value),
    0,
  );
}

async function bytesPerSecond(durationMs: number): Promise<number> {
  const from = performance.now();
  const before = await sentBytes();
  await sleep(durationMs);
  const after = await sentBytes();
  return (after - before) / ((performance.now() - from) / 1000);
}

async function datasetBytes(): Promise<number> {
  return Number(/used_memory_dataset:(\d+)/.exec(await connection.info('memory'))?.[1] ?? 0);
}

const mark = (await signIn('ada', '127.0.0.1')).cookies.find((one) => one.startsWith('dispatch-device-'));
device = mark?.split(';')[0] ?? '';
const targets = { console: dispatch.url, push: `http://127.0.0.1:${pushPort}` };
const totals = new Map<number, number>();
const endLoad = async (load: ReturnType<typeof startLoad>): Promise<void> => {
  await load.stop();
  for (const [status, count] of load.statuses) totals.set(status, (totals.get(status) ?? 0) + count);
};

console.log(`deliveries with and without ${connections} connections, in turns`);
await queue.resume();
await sleep(10_000);
const turnMs = (seconds * 1000) / (steps / 2);
const speeds: Record<'without' | 'with', number[]> = { without: [], with: [] };
for (let step = 0; step < steps; step += 1) {
  if (step % 2 === 0) {
    speeds.without.push(await bytesPerSecond(turnMs));
    await signInAsAdministrators('without load');
    continue;
  }
  const load = startLoad(targets, connections);
  speeds.with.push(await bytesPerSecond(turnMs));
  await signInAsAdministrators('under load and deliveries');
  await endLoad(load);
  await sleep(2_000);
}
supply.abort();
await supplying;

console.log('Redis and sign-ins, without deliveries');
await queue.pause();
await sleep(5_000);
const bytesBefore = await datasetBytes();
const load = startLoad(targets, connections);
const until = Date.now() + seconds * 1000;
while (Date.now() < until) {
  await signInAsAdministrators('under load');
  await sleep(2_000);
}
await endLoad(load);
const grownBytes = (await datasetBytes()) - bytesBefore;

const mb = (bytes: number): string => (bytes / 1e6).toFixed(2);
const mean = (list: readonly number[]): number => list.reduce((sum, one) => sum + one, 0) / list.length;
const ratio = mean(speeds.with) / mean(speeds.without);
const people = [...Map.groupBy(signIns, ({ who }) => who)].map(([who, list]) => ({
  who,
  slowest: Math.max(...list.map(({ ms }) => ms)),
  refused: list.filter(({ status }) => status !== 303).length,
  count: list.length,
}));
const lines = [
  [
    'deliveries under load',
    `${Math.round(ratio * 100)} % of their speed without (${mb(mean(speeds.with))} of ${mb(mean(speeds.without))} MB/s)`,
    'at least 90 %',
  ],
  ['growth of Redis in the time', `${Math.round(grownBytes / 1000)} kB`, 'below 1000 kB'],
  ...people.map(({ who, slowest, refused, count }) => [
    `sign-in with ${who}, slowest of ${count}`,
    `${Math.round(slowest)} ms${refused > 0 ? `, ${refused} refused` : ''}`,
    who.endsWith('without load') ? '' : 'within 1000 ms',
  ]),
];
const answered = [...totals]
  .sort(([a], [b]) => a - b)
  .map(([status, count]) => `${status === 0 ? 'closed' : status}: ${count}`);
const text = `${table(['', 'measured', 'wanted'], lines)}

${connections} connections for ${seconds} s with deliveries and ${seconds} s without; what they got: ${answered.join(', ')}. ${await describeMachine(['Redis', 'Orthanc'])}`;
console.log(`\n${text}`);
console.log(`turns: ${speeds.without.map((one, index) => `${mb(one)}/${mb(speeds.with[index] ?? 0)}`).join(' ')}`);
if (values.write) await writeSection('security.md', 'anonymous load', text);

client.close();
await pipeline.close();
connection.disconnect();
const isGood =
  ratio >= 0.9 && grownBytes < 1_000_000 && people.every(({ slowest, refused }) => slowest < 1_000 && refused === 0);
process.exitCode = isGood ? 0 : 1;
