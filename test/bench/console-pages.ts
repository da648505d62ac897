/**
 * How long the pages of the console take with a long history: ./dispatch pnpm exec node test/bench/console-pages.ts [STUDIES]
 */
import { performance } from 'node:perf_hooks';
import { startRedis } from '@dicom-dispatch/harness';
import { parseConfig } from '@dicom-dispatch/core';
import { connectRedis, createLogger, createMetrics } from '@dicom-dispatch/runtime';
import { startConsole } from '@dicom-dispatch/console';
import { targetSchemas } from '@dicom-dispatch/targets/schemas';
import { seedRecords } from '../e2e/console-seed.ts';

const studies = Number(process.argv[2] ?? 100_000);
const targets = ['pacs', 'archive', 'workstation', 'cloud'];
const runs = 15;

await using redis = await startRedis({ appendonly: false });
const parsed = parseConfig(
  {
    sources: { main: { url: 'http://127.0.0.1:1' } },
    targets: Object.fromEntries(targets.map((name) => [name, { type: 'dummy' }])),
    rules: [{ name: 'archive', targets }],
    console: { listen: '127.0.0.1:0', patientData: false },
  },
  Object.values(targetSchemas) as never,
);
if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
const log = createLogger('bench', { level: 'error', format: 'json' });
const connection = connectRedis(redis.url, 'bench', log);
await seedRecords(connection, studies, targets);
const console_ = await startConsole({ config: parsed.config, redis: connection, log, metrics: createMetrics() });

const paths = [
  '/studies',
  '/studies?state=failed',
  '/studies?rule=archive&target=pacs',
  '/studies?rule=nothing-has-this',
  '/studies/main/1.2.826.0.1.3680043.99.5000',
  '/deliveries',
  '/deliveries?state=failed&target=pacs&stage=transfer&code=target-full',
  '/targets',
  '/targets/pacs',
  '/metrics',
  '/queues/api/queues',
];
console.log(`${studies} studies, ${studies * 2} deliveries; ms of ${runs} loads: median, slowest`);
for (const path of paths) {
  const times: number[] = [];
  for (let run = 0; run < runs; run += 1) {
    const start = performance.now();
    const answer = await fetch(console_.url + path, { headers: { accept: 'text/html' } });
    await answer.text();
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  console.log(
    `${(times[Math.floor(runs / 2)] ?? 0).toFixed(0).padStart(6)} ${(times.at(-1) ?? 0).toFixed(0).padStart(6)}  ${path}`,
  );
}
await console_.stop();
connection.disconnect();
