/**
 * Duration of the pages of the console and of commands of the CLI with a long history: ./dispatch bench console [STUDIES]
 *
 * Each page is loaded as a browser does it, over loopback, one after the other; median, 95th percentile and slowest are reported.
 * The limits: 500 ms for a page and 1 s for a search (95th percentile). Searches query a real Orthanc.
 */
import { performance } from 'node:perf_hooks';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readLongCommand, readNumbers, startOrthanc, startRedis, tempFolder } from '@dicom-dispatch/harness';
import { makeStudy } from '@dicom-dispatch/samples';
import { parseConfig, targetQueue } from '@dicom-dispatch/core';
import { connectRedis, createLogger, createMetrics, queueOptions } from '@dicom-dispatch/runtime';
import { startConsole } from '@dicom-dispatch/console';
import { targetSchemas } from '@dicom-dispatch/targets/schemas';
import { Queue } from 'bullmq';
import { openFormat } from '@dicom-dispatch/state/keys';
import { Records } from '@dicom-dispatch/state/records';
import { seedRecords } from '../e2e/console-seed.ts';
import { runCli } from '../e2e/support/run-cli.ts';

const { positionals } = readLongCommand({
  usage: './dispatch bench console',
  about: 'Duration of the pages of the console and of commands with a history of STUDIES, default 100000.',
  positionals: '[STUDIES]',
  options: {},
});
const [studies] = readNumbers(positionals, 100_000);
const targets = ['pacs', 'archive', 'workstation', 'cloud'];
const runs = 40;
const barMs = { page: 500, search: 1_000 };
const studiesInOrthanc = 200;
const jobsInQueue = 5_000;

await using redis = await startRedis({ appendonly: false });
await using orthanc = await startOrthanc();
const names = ['Sato^Hanako', 'Müller^Jörg', 'Essai^Greta', 'Exempel^Emma'];
for (let index = 0; index < studiesInOrthanc; index += 1) {
  const attributes = { PatientName: names[index % names.length] ?? '', AccessionNumber: `A${index}` };
  for (const { bytes } of makeStudy({
    seed: `bench ${index}`,
    instancesPerSeries: 1,
    rows: 8,
    columns: 8,
    attributes,
  })) {
    await orthanc.upload(bytes);
  }
}
const parsed = parseConfig(
  {
    sources: { main: { url: orthanc.url } },
    targets: Object.fromEntries(targets.map((name) => [name, { type: 'dummy' }])),
    rules: [
      { name: 'archive', targets },
      { name: 'elsewhere', targets: ['archive', 'workstation'] },
    ],
    console: { listen: '127.0.0.1:0' },
  },
  Object.values(targetSchemas) as never,
);
if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
const { prefix } = parsed.config.redis;
const log = createLogger('bench', { level: 'error', format: 'json' });
const connection = connectRedis(redis.url, 'bench', log);
await openFormat(connection, prefix);
const records = new Records(connection, prefix);
const started = performance.now();
await seedRecords(connection, studies, targets);
for (const target of targets) {
  const queue = new Queue(targetQueue(target), queueOptions(connection, prefix));
  await queue.addBulk(
    Array.from({ length: jobsInQueue }, (_, index) => ({
      name: 'delivery',
      data: {},
      opts: { jobId: `seed-${index}` },
    })),
  );
  await queue.close();
}
const seededS = (performance.now() - started) / 1000;
const console_ = await startConsole({ config: parsed.config, redis: connection, log, metrics: createMetrics() });
const [delivery] = (await records.deliveries({ state: 'failed', limit: 1 })).records;
const middle = Date.now() - (studies / 2) * 60_000;

const [study] = await orthanc.studies();
const paths: readonly (string | { readonly post: string; readonly body: unknown })[] = [
  '/',
  '/studies',
  '/studies?state=held',
  '/studies?search=Hanako+Sato',
  '/studies?search=A42',
  '/studies?search=nobody+has+this',
  `/studies?search=${study}`,
  `/studies?search=${delivery?.studyInstanceUid}`,
  `/studies?search=${delivery?.deliveryId}`,
  '/studies?from=2026-01-01&to=2026-12-31&zone=Europe/Berlin',
  '/studies?state=failed',
  '/studies?target=pacs',
  '/studies?rule=archive&target=pacs&state=partial',
  '/studies?rule=nothing-has-this',
  '/studies?rule=elsewhere&target=pacs',
  `/studies?cursor=${Math.floor(middle)}`,
  `/studies/main/${delivery?.studyInstanceUid}`,
  '/deliveries',
  '/deliveries?state=held',
  '/deliveries?state=waiting',
  '/deliveries?state=failed&target=pacs&stage=transfer&code=target-full',
  '/deliveries?rule=archive&code=target-full',
  '/deliveries?rule=elsewhere&target=pacs',
  '/deliveries?code=target-unreachable',
  `/deliveries?cursor=${Math.floor(middle)}`,
  `/deliveries/${delivery?.deliveryId}`,
  '/targets',
  '/targets/pacs',
  '/sources',
  '/rules',
  '/workers',
  '/cache',
  '/batches',
  '/fetch',
  '/audit',
  '/queues',
  '/queues/api/queues?activeQueue=target-pacs&status=latest&page=1&jobsPerPage=10',
  '/metrics',
  { post: '/api/bulk/preview', body: { action: 'retry', filter: {} } },
  { post: '/api/bulk/preview', body: { action: 'retry', filter: { rule: 'archive' } } },
];
const info = await connection.info('memory');
const memoryMb = Number(/^used_memory:(\d+)/m.exec(info)?.[1] ?? 0) / 1e6;
console.log(
  `${studies} studies, ${studies * 2} deliveries, ${jobsInQueue} jobs a queue; filled in ${seededS.toFixed(0)} s; ` +
    `Redis ${memoryMb.toFixed(0)} MB; ms of ${runs} loads: median, 95th percentile, slowest`,
);
for (const path of paths) {
  const times: number[] = [];
  for (let run = 0; run < runs; run += 1) times.push(await load(path));
  times.sort((a, b) => a - b);
  const p95 = times[Math.ceil(runs * 0.95) - 1] ?? 0;
  const shown = [times[Math.floor(runs / 2)] ?? 0, p95, times.at(-1) ?? 0].map((ms) => ms.toFixed(0).padStart(6));
  const name = typeof path === 'string' ? path : `${path.post} ${JSON.stringify(path.body)}`;
  // A preview has no limit: it counts all deliveries that an action would affect.
  const bar = typeof path !== 'string' ? Infinity : name.includes('search=') ? barMs.search : barMs.page;
  console.log(`${shown.join(' ')}  ${name}${p95 > bar ? `  MISSED (${bar})` : ''}`);
}
await console_.stop();
connection.disconnect();

// The times of commands include the start of a process.
await using folder = await tempFolder('bench-console');
const config = { sources: { main: { url: orthanc.url } }, targets: {}, redis: { url: redis.url } };
for (const name of targets) Object.assign(config.targets, { [name]: { type: 'dummy' } });
await writeFile(join(folder.path, 'dispatch.yaml'), JSON.stringify(config));
for (const command of ['status', 'targets', 'deliveries --state failed', 'recover', 'backup all.gz']) {
  const began = performance.now();
  const { code, err } = await runCli(folder.path, ...command.split(' '));
  const seconds = ((performance.now() - began) / 1_000).toFixed(1);
  console.log(
    `${seconds.padStart(6)} s  dispatch ${command}${code === 0 ? '' : `  exit code ${code}: ${err.slice(0, 200)}`}`,
  );
}

async function load(path: (typeof paths)[number]): Promise<number> {
  const start = performance.now();
  const answer =
    typeof path === 'string'
      ? await fetch(console_.url + path, { headers: { accept: 'text/html' } })
      : await fetch(console_.url + path.post, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(path.body),
        });
  await answer.text();
  if (!answer.ok) throw new Error(`${JSON.stringify(path)}: ${answer.status}`);
  return performance.now() - start;
}
