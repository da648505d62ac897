/**
 * Sends third-party DICOM files, from Debian and npm packages, through the complete system to a folder, a DICOM
 * receiver, a DICOMweb server and an Orthanc, and compares the arrived ones with those of the source: each instance is
 * identical there, or its delivery names it with a reason.
 *
 *   ./dispatch chaos files --help
 */
import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  readLongCommand,
  startOrthanc,
  startRedis,
  startStorescp,
  tempFolder,
  waitFor,
  type OrthancServer,
} from '@dicom-dispatch/harness';
import { startDispatch, type RunningDispatch } from '../e2e/support/start-dispatch.ts';
import { datasetOf } from './files/dataset.ts';
import { fetchFiles, type ListedFile } from './files/fetch-files.ts';

const { values } = readLongCommand({
  usage: './dispatch chaos files',
  about:
    'Sends third-party DICOM files, from Debian and npm packages, through the complete system, and compares what arrives with the source.',
  options: {
    list: { type: 'boolean', about: 'regenerate the list of files' },
    write: { type: 'boolean', about: 'write the result into docs/reliability.md' },
  },
});
const listFile = new URL('files/list.json', import.meta.url);
const targets = ['folder', 'dicom', 'dicomweb', 'orthanc'] as const;
type Target = (typeof targets)[number];

const fetched = await fetchFiles((line) => console.log(line));
if (values.list) {
  const listed = fetched.map(({ bytes: _bytes, ...file }) => file);
  await writeFile(listFile, `${JSON.stringify(listed, undefined, 1)}\n`);
}
const list = JSON.parse(await readFile(listFile, 'utf8')) as ListedFile[];
const wanted = new Set(list.map(({ sha256 }) => sha256));
const files = fetched.filter(({ sha256 }) => wanted.has(sha256));
console.log(`${files.length} of the ${list.length} listed files`);

await using redis = await startRedis();
await using source = await startOrthanc({ stableAgeSeconds: 2 });
await using web = await startOrthanc({ plugins: ['dicomweb'], overwriteInstances: true });
await using peer = await startOrthanc({ overwriteInstances: true });
await using scp = await startStorescp({ acceptAll: true });
await using folder = await tempFolder('real-files');

let refusedBySource = 0;
for (const file of files) {
  await source.upload(file.bytes).catch((error: unknown) => {
    refusedBySource += 1;
    console.log(`not stored by Orthanc: ${file.package} ${file.path}: ${String(error).slice(0, 120)}`);
  });
}
const instances = (await source.get('/instances?expand')) as readonly {
  ID: string;
  MainDicomTags: { SOPInstanceUID: string };
}[];

const again = { attempts: 5, backoff: { first: '200ms', max: '1s' } };
await using dispatch = await startDispatch({
  config: {
    sources: {
      main: {
        url: source.url,
        pollInterval: '200ms',
        startFrom: '1970-01-01',
        sweep: { every: '2s', settle: '2s' },
      },
    },
    targets: {
      folder: { type: 'folder', path: folder.path, ...again },
      dicom: { type: 'dicom', host: scp.host, port: scp.port, calledAeTitle: scp.aet, ...again },
      dicomweb: { type: 'dicomweb', url: `${web.url}/dicom-web`, ...again },
      orthanc: { type: 'orthanc', url: peer.url, ...again },
    },
    rules: [{ name: 'all', targets }],
    redis: { url: redis.url },
  },
});

interface Delivery {
  readonly deliveryId: string;
  readonly orthancStudyId: string;
  readonly target: Target;
  readonly state: string;
  readonly error?: { readonly code: string; readonly message: string };
  /** The note of a delivery that arrived: two patients whose instances have the same UIDs. */
  readonly notice?: string;
}
const studies = await source.studies();
const ends = new Set(['delivered', 'partial', 'failed', 'cancelled', 'source-gone', 'resolved']);
let seen: Delivery[] = [];
/** What has ended, or waits for a reason that it names. */
const isAtRest = ({ state, error }: Delivery): boolean =>
  ends.has(state) || (state === 'waiting' && error !== undefined);
await waitFor(
  async () => {
    seen = await listDeliveries(dispatch);
    return seen.length >= studies.length * targets.length && seen.every(({ state }) => ends.has(state));
  },
  { intervalMs: 2_000 },
).catch(() => {});
if (seen.length < studies.length * targets.length || !seen.every(isAtRest)) {
  console.log(`not at rest: ${summary(seen)}`);
  process.exitCode = 1;
}
const deliveries = seen;
console.log(`${studies.length} studies, ${instances.length} instances; ${summary(deliveries)}`);

/** Orthanc's id of an instance to why it is not there, by target. */
const reasons = new Map<Target, Map<string, string>>(targets.map((target) => [target, new Map()]));
for (const { deliveryId, orthancStudyId, target, state, error, notice } of deliveries) {
  if (state === 'delivered' && notice === undefined) continue;
  const { body } = await dispatch.get(`/api/deliveries/${deliveryId}/instances?state=quarantined&limit=5000`);
  const { instances: entries } = body as { instances: { sopInstanceUid: string; code?: string; message?: string }[] };
  const named = new Map(entries.map((entry) => [entry.sopInstanceUid, `${entry.code}: ${entry.message}`]));
  // The study as a whole: nothing of it arrived.
  const whole = notice ?? (named.size === 0 && error !== undefined ? `${error.code}: ${error.message}` : undefined);
  for (const { ID, MainDicomTags } of (await source.get(`/studies/${orthancStudyId}/instances`)) as typeof instances) {
    const reason = named.get(MainDicomTags.SOPInstanceUID) ?? whole;
    if (reason !== undefined) reasons.get(target)?.set(ID, reason);
  }
}

const received: Record<Target, ReadonlySet<string>> = {
  folder: await hashesOfFolder(folder.path, sha256),
  dicom: await hashesOfFolder(scp.receivedFolder, (bytes) => sha256(datasetOf(bytes))),
  dicomweb: await hashesOfOrthanc(web, (bytes) => sha256(datasetOf(bytes))),
  orthanc: await hashesOfOrthanc(peer, sha256),
};
const table: string[] = [
  '| Target | identical | not accepted, with a reason | missing or different |',
  '|---|---:|---:|---:|',
];
for (const target of targets) {
  const counts = { identical: 0, refused: 0, missing: 0 };
  for (const { ID, MainDicomTags } of instances) {
    const bytes = await source.getBytes(`/instances/${ID}/file`);
    // A receiver of data sets writes its own file meta information; STOW-RS needs one if the source has none.
    const isSame = received[target].has(sha256(bytes)) || received[target].has(sha256(datasetOf(bytes)));
    const reason = reasons.get(target)?.get(ID);
    if (isSame) counts.identical += 1;
    else if (reason !== undefined) {
      counts.refused += 1;
      console.log(`${target} refused ${MainDicomTags.SOPInstanceUID}: ${reason}`);
    } else {
      counts.missing += 1;
      console.log(`${target} MISSING OR DIFFERENT ${ID} ${MainDicomTags.SOPInstanceUID}`);
    }
  }
  if (counts.missing > 0) process.exitCode = 1;
  table.push(`| ${target} | ${counts.identical} | ${counts.refused} | **${counts.missing}** |`);
}
const result = [
  `${files.length} files of ${new Set(files.map((file) => file.package)).size} packages; ${files.length - refusedBySource} stored by Orthanc as ${instances.length} instances of ${studies.length} studies (several files repeat an instance).`,
  '',
  ...table,
].join('\n');
console.log(result);
if (values.write) {
  const file = new URL('../../docs/reliability.md', import.meta.url);
  const text = await readFile(file, 'utf8');
  await writeFile(file, text.replace(/(<!-- files -->\n)[\s\S]*?(\n<!-- end files -->)/, `$1${result}$2`));
}

async function listDeliveries(system: RunningDispatch): Promise<Delivery[]> {
  const all: Delivery[] = [];
  let next: string | undefined;
  do {
    const query = next === undefined ? '' : `&cursor=${encodeURIComponent(next)}`;
    const { body } = await system.get(`/api/deliveries?limit=500${query}`);
    const page = body as { deliveries: Delivery[]; next?: string };
    all.push(...page.deliveries);
    next = page.next;
  } while (next !== undefined);
  return all;
}

function summary(all: readonly Delivery[]): string {
  const states = Map.groupBy(all, ({ target, state, error }) => `${target} ${state}${error ? ` ${error.code}` : ''}`);
  return [...states].map(([state, { length }]) => `${state}: ${length}`).join(', ');
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

async function hashesOfFolder(path: string, hash: (bytes: Buffer) => string): Promise<Set<string>> {
  const hashes = new Set<string>();
  for (const entry of await readdir(path, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) hashes.add(hash(await readFile(join(entry.parentPath, entry.name))));
  }
  return hashes;
}

async function hashesOfOrthanc(orthanc: OrthancServer, hash: (bytes: Buffer) => string): Promise<Set<string>> {
  const hashes = new Set<string>();
  for (const id of (await orthanc.get('/instances')) as string[]) {
    hashes.add(hash(await orthanc.getBytes(`/instances/${id}/file`)));
  }
  return hashes;
}
