/**
 * Throughput of instances from a real Orthanc: fetch(), fetch() without gzip, undici, and this client,
 * with a reader that keeps the chunks and with one that releases them.
 * Sets: 500 instances of 0.5 MB, 2,000 of 21 kB. `node test/bench/orthanc-fetch.ts [rounds]`; prints medians and ratios.
 */
import { startOrthanc } from '@dicom-dispatch/harness';
import { makeStudy } from '@dicom-dispatch/samples';
import { Pool } from 'undici';

import { createOrthancClient } from '../../src/index.ts';
import type { OrthancClient } from '../../src/index.ts';

interface Way {
  name: string;
  fetchOne: (id: string) => Promise<number>;
}

interface Result {
  megabytesPerSecond: number;
  cpuMsPerInstance: number;
}

const rounds = Number(process.argv[2] ?? 3);
const parallel = 4;
const sets = [
  { name: '500 x 0.5 MB', count: 500, side: 512 },
  { name: '2000 x 21 kB', count: 2000, side: 101 },
];

for (const set of sets) {
  await using server = await startOrthanc({ extraConfig: { HttpCompressionEnabled: true } });
  const ids = await fill(server.url, set.count, set.side);
  const pool = new Pool(server.url, { connections: parallel, keepAliveTimeoutThreshold: 100 });
  const plain = new Pool(server.url, { connections: parallel });
  await using client = createOrthancClient({ url: server.url, maxConnections: parallel });
  const ways: Way[] = [
    { name: 'fetch()', fetchOne: (id) => viaFetch(`${server.url}/instances/${id}/file`, {}) },
    {
      name: 'fetch(), identity',
      fetchOne: (id) => viaFetch(`${server.url}/instances/${id}/file`, { 'accept-encoding': 'identity' }),
    },
    { name: 'undici', fetchOne: (id) => viaUndici(plain, id) },
    { name: 'undici, threshold 100', fetchOne: (id) => viaUndici(pool, id) },
    { name: 'ours', fetchOne: async (id) => sizeOf((await client.instanceFile(id)).body) },
    { name: 'ours, releasing', fetchOne: (id) => releasing(client, id) },
  ];
  print(`${set.name}, ${parallel} at once, median of ${rounds}`);
  const results = new Map<string, Result>();
  // Orthanc compresses for the first one, which is very slow: a tenth of the set is sufficient.
  for (const way of ways)
    results.set(way.name, await measure(way, way.name === 'fetch()' ? ids.slice(0, set.count / 10) : ids));
  const ours = results.get('ours, releasing')?.megabytesPerSecond ?? 0;
  for (const [name, result] of results) {
    const ratio = (ours / result.megabytesPerSecond).toFixed(2);
    const speed = result.megabytesPerSecond.toFixed(0).padStart(6);
    print(`  ${name.padEnd(22)}${speed} MB/s  ${result.cpuMsPerInstance.toFixed(3)} ms CPU each  last is ${ratio} x`);
  }
  print(`  resident memory now ${Math.round(process.memoryUsage().rss / 1e6)} MB`);
  await Promise.all([pool.destroy(), plain.destroy()]);
}

async function fill(url: string, count: number, side: number): Promise<string[]> {
  const [first] = makeStudy({ instancesPerSeries: 1, rows: side, columns: side });
  if (first === undefined) throw new Error('no sample');
  const ids: string[] = [];
  for (let index = 0; index < count; index += 1) {
    // Same pixels, another UID of the same length.
    const uid = `${first.sopInstanceUid.slice(0, -5)}${String(10_000 + index)}`;
    const bytes = Buffer.from(first.bytes.toString('latin1').replaceAll(first.sopInstanceUid, uid), 'latin1');
    const answer = await fetch(`${url}/instances`, { method: 'POST', body: new Uint8Array(bytes) });
    ids.push(((await answer.json()) as { ID: string }).ID);
  }
  return ids;
}

async function measure(way: Way, ids: readonly string[]): Promise<Result> {
  await run(way, ids.slice(0, 100));
  const speeds: number[] = [];
  const cpus: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const cpu = process.cpuUsage();
    const start = performance.now();
    const bytes = await run(way, ids);
    speeds.push(bytes / 1000 / (performance.now() - start));
    const used = process.cpuUsage(cpu);
    cpus.push((used.user + used.system) / 1000 / ids.length);
  }
  return { megabytesPerSecond: median(speeds), cpuMsPerInstance: median(cpus) };
}

async function run(way: Way, ids: readonly string[]): Promise<number> {
  const rest = ids.values();
  let bytes = 0;
  async function work(): Promise<void> {
    for (const id of rest) bytes += await way.fetchOne(id);
  }
  await Promise.all(Array.from({ length: parallel }, work));
  return bytes;
}

async function viaFetch(url: string, headers: Record<string, string>): Promise<number> {
  const answer = await fetch(url, { headers });
  return answer.body === null ? 0 : sizeOf(answer.body);
}

async function viaUndici(pool: Pool, id: string): Promise<number> {
  const answer = await pool.request({ method: 'GET', path: `/instances/${id}/file` });
  return sizeOf(answer.body);
}

async function releasing(client: OrthancClient, id: string): Promise<number> {
  const file = await client.instanceFile(id);
  let size = 0;
  for await (const chunk of file.body) {
    size += chunk.length;
    file.release(chunk);
  }
  return size;
}

async function sizeOf(body: AsyncIterable<Uint8Array>): Promise<number> {
  let size = 0;
  for await (const chunk of body) size += chunk.length;
  return size;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function median(values: number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? 0;
}
