// Measures the memory of the ledger and the cache in Redis, and writes it into docs/capacity.md:
//   ./dispatch bench cache-memory --help
import { randomBytes, randomInt } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { IntermediateCache } from '@dicom-dispatch/cache';
import { createLedger, type Confirmation } from '@dicom-dispatch/state/ledger';
import { cacheConfig, contentHash, formatBytes, Secret, type ManifestInstance } from '@dicom-dispatch/core';
import { readLongCommand, startRedis } from '@dicom-dispatch/harness';
import { keepManifest } from '@dicom-dispatch/pipeline';
import { Redis } from 'ioredis';

const { values } = readLongCommand({
  usage: './dispatch bench cache-memory',
  about: 'Memory of the ledger and the cache in Redis.',
  options: {
    studies: { type: 'number', default: 1000, about: 'studies' },
    instances: { type: 'number', default: 500, about: 'instances in each' },
    write: { type: 'boolean', about: 'write the result into docs/capacity.md' },
  },
});
const { studies, instances } = values;
const million = 1_000_000;

await using server = await startRedis({ appendfsync: 'everysec', args: ['--auto-aof-rewrite-percentage', '0'] });
const redis = new Redis(server.url);
const version = /redis_version:(\S+)/.exec(await redis.info('server'))?.[1];

async function figure(section: string, name: string): Promise<number> {
  return Number(new RegExp(`${name}:(\\d+)`).exec(await redis.info(section))?.[1]);
}

interface Measured {
  readonly bytes: number;
  readonly fileBytes: number;
}

/** Runs `fill` on an empty Redis and returns the resulting size. */
async function measure(fill: () => Promise<void>): Promise<Measured> {
  await redis.flushall();
  await redis.call('MEMORY', 'PURGE');
  const [memory, file] = [await figure('memory', 'used_memory'), await figure('persistence', 'aof_current_size')];
  await fill();
  return {
    bytes: (await figure('memory', 'used_memory')) - memory,
    fileBytes: (await figure('persistence', 'aof_current_size')) - file,
  };
}

/** UIDs of a CT scanner: root, machine, date, series, number. */
function scannerUids(study: number): { study: string; series: string; instance: (number: number) => string } {
  const root = `1.2.840.113619.2.55.3.604688119.969.${1_268_071_029 + study}`;
  return {
    study: `${root}.320`,
    series: `${root}.321`,
    instance: (number) => `${root}.${330 + (number % 4)}.${number + 1}`,
  };
}

/** UIDs derived from a UUID (PS3.5 section B.2). */
function uuidUids(): ReturnType<typeof scannerUids> {
  const uid = () => `2.25.${BigInt(`0x${randomBytes(16).toString('hex')}`)}`;
  return { study: uid(), series: uid(), instance: uid };
}

const lastUpdate = '20260101T120107';

function orthancId(): string {
  return randomBytes(20)
    .toString('hex')
    .replaceAll(/(.{8})(?=.)/g, '$1-');
}

function manifestOf(uids: ReturnType<typeof scannerUids>): ManifestInstance[] {
  return Array.from({ length: instances }, (_, number) => {
    const sizeBytes = 526_000 + randomInt(900);
    return {
      sopInstanceUid: uids.instance(number),
      seriesInstanceUid: uids.series,
      studyInstanceUid: uids.study,
      sopClassUid: '1.2.840.10008.5.1.4.1.1.2',
      transferSyntaxUid: '1.2.840.10008.1.2.1',
      instanceNumber: number + 1,
      sizeBytes,
      sourceId: orthancId(),
      version: `20260101T1200${String(number % 60).padStart(2, '0')}/${sizeBytes}`,
    };
  });
}

async function fillLedger(uidsOf: (study: number) => ReturnType<typeof scannerUids>): Promise<void> {
  const ledger = createLedger(redis);
  for (let study = 0; study < studies; study += 1) {
    const uids = uidsOf(study);
    const deliveryId = `d-${randomBytes(10).toString('hex')}`;
    const lock = { lockKey: `{dicom-dispatch}:lock`, token: 'bench' };
    await redis.set(lock.lockKey, lock.token);
    const ids = { orthancStudyId: orthancId(), studyInstanceUid: uids.study };
    const key = { source: 'main', ...ids, target: 'pacs-archive' };
    const entries: Confirmation[] = manifestOf(uids).map(({ sopInstanceUid, seriesInstanceUid, version }) => ({
      sopInstanceUid,
      seriesInstanceUid,
      version,
      attempt: 1,
      deliveryId,
    }));
    // What eight lanes confirm at the same time is one call.
    for (let at = 0; at < entries.length; at += 8) await ledger.confirm(key, entries.slice(at, at + 8), lock);
    await ledger.fold(key, entries);
  }
}

const scanner = await measure(() => fillLedger(scannerUids));
const uuid = await measure(() => fillLedger(uuidUids));

let manifestBytes = 0;
const unlimited = cacheConfig.parse({ maxMemory: 0, secret: new Secret('a key for benchmarks') });
const manifests = await measure(async () => {
  const cache = await IntermediateCache.open(redis, unlimited);
  for (let study = 0; study < studies; study += 1) {
    const uids = scannerUids(study);
    const manifest = manifestOf(uids);
    manifestBytes += Buffer.byteLength(JSON.stringify(manifest));
    const moment = { source: 'main', orthancStudyId: orthancId(), contentHash: contentHash(manifest), lastUpdate };
    await keepManifest(cache, moment, manifest);
    const tags = Buffer.from(JSON.stringify(tagsOf(uids.study)));
    await cache.put('study', `main/tags/${uids.study}`, tags, { confidential: true });
  }
});
const accounted = (await (await IntermediateCache.open(redis, unlimited)).stats())?.bytes ?? 0;

function tagsOf(studyInstanceUid: string): unknown {
  const study = {
    StudyDate: '20260101',
    StudyDescription: 'CT abdomen and pelvis with contrast',
    AccessionNumber: randomBytes(6).toString('hex'),
    PatientID: randomBytes(5).toString('hex'),
    ReferringPhysicianName: 'Example^Physician',
    InstitutionName: 'Example Hospital',
  };
  return {
    studyInstanceUid,
    study,
    series: { [`${studyInstanceUid}.1`]: { Modality: 'CT', SeriesDescription: 'axial 1 mm' } },
  };
}

/** Confirmations a second of lanes that each await theirs before the next. */
async function rate(lanes: number): Promise<string> {
  await redis.flushall();
  const ledger = createLedger(redis);
  const key = { source: 'main', orthancStudyId: orthancId(), studyInstanceUid: '1.2.3', target: 'pacs' };
  const start = performance.now();
  await Promise.all(
    Array.from({ length: lanes }, async (_, lane) => {
      for (let number = lane; number < 4_000; number += lanes) {
        await ledger.confirm(key, [{ sopInstanceUid: `1.2.3.${number}`, version: 'v', attempt: 1, deliveryId: 'd-1' }]);
      }
    }),
  );
  return Math.round(4_000 / ((performance.now() - start) / 1000)).toLocaleString('en');
}
const rates = [await rate(1), await rate(8)];
redis.disconnect();

const count = studies * instances;
const row = (name: string, { bytes, fileBytes }: Measured) =>
  `| ${name} | ${(bytes / count).toFixed(1)} B | ${formatBytes((bytes / studies) * 1000)} | **${formatBytes((bytes / studies) * million)}** | ${formatBytes((fileBytes / studies) * million)} |`;
const perStudy = accounted / studies;
const text = `Measured by \`./dispatch bench cache-memory --write\` on Redis ${version} with ${studies.toLocaleString('en')} studies of ${instances} instances,
confirmed in batches of eight under the lock of the delivery. The values are \`used_memory\` of Redis and include keys and indexes.

| | per instance | 1,000 studies | 1,000,000 studies | append-only file, before a rewrite |
| --- | --- | --- | --- | --- |
${row('ledger, one target, UIDs of a scanner', scanner)}
${row('ledger, one target, UIDs under 2.25', uuid)}
${row('cache without a budget: manifest and tags', manifests)}

- The ledger grows with the number of targets: two targets use twice as much. It is never evicted; the ledger of a study that left its
  source is removed after \`records.keep\`.
- The cache uses at most \`cache.maxMemory\`. The manifest of a study (${formatBytes(manifestBytes / studies)} as JSON) and its tags (encrypted) are
  accounted as ${formatBytes(perStudy)}, measured ${formatBytes(manifests.bytes / studies)}: the default of 256 MB is sufficient for the last ${Math.floor(256_000_000 / perStudy).toLocaleString('en')} studies.
- Give Redis 1.5 times the sum of ledger and cache: a rewrite of the append-only file copies pages that change
  meanwhile. For 1,000,000 such studies at one target this is ${formatBytes(((scanner.bytes / studies) * million + 256_000_000) * 1.5)}.`;
console.log(text);
// Not for the document: it depends on other load of the machine.
console.log(`ledger: ${rates[0]} confirmations/s where each is awaited before the next, ${rates[1]} from eight lanes`);

if (values.write) {
  const path = join(import.meta.dirname, '../../docs/capacity.md');
  const [begin, end] = ['<!-- begin cache-memory -->', '<!-- end cache-memory -->'];
  const before = await readFile(path, 'utf8').catch(
    () => `# Capacity\n\n## Ledger and cache in Redis\n\n${begin}\n${end}\n`,
  );
  const [head, rest = ''] = before.split(begin);
  const tail = rest.split(end)[1] ?? '\n';
  await writeFile(path, `${head}${begin}\n${text}\n${end}${tail}`);
}
