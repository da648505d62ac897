import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { formatBytes } from '@dicom-dispatch/core';
import { endStates, Records, type DeliveryRecord } from '@dicom-dispatch/state/records';
import { connectRedis, createLogger } from '@dicom-dispatch/runtime';
import { demoStudies, type SampleStudy } from '@dicom-dispatch/samples';
import { exitCodes } from '../exit.ts';
import { readConfig } from '../read-config.ts';
import { startServices } from '../start-services.ts';
import { arrivedInFolder, arrivedInOrthanc, datasetHash, type Arrived } from './check-arrival.ts';
import { demoConfig } from './demo-config.ts';
import { freePort, startOrthancProcess } from './orthanc-process.ts';
import { ProgressDisplay, type ShownStudy } from './progress-display.ts';

export interface DemoOptions {
  readonly once?: boolean;
  readonly keep?: string;
}

const longestMs = 5 * 60_000;
const source = 'hospital';
const crossSections = ['CT', 'MR'];

interface UploadedStudy {
  readonly study: SampleStudy;
  readonly title: string;
  readonly targets: readonly string[];
  /** SOP Instance UID to hash of the generated data set. */
  readonly expected: Arrived;
}

/**
 * Runs the complete system on this machine. Ctrl-C, an error and the end with `--once` remove everything that was started.
 *
 * @returns the exit code: 0 only if every study arrived completely at all its targets
 */
export async function runDemo(options: DemoOptions): Promise<number> {
  const stopping = new AbortController();
  const interrupt = (): void => stopping.abort();
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  const ends: (() => Promise<unknown>)[] = [];
  const folder =
    options.keep === undefined ? await mkdtemp(join(tmpdir(), 'dicom-dispatch-demo-')) : resolve(options.keep);
  if (options.keep === undefined) ends.push(() => rm(folder, { recursive: true, force: true }));
  try {
    return await play(folder, options, stopping.signal, ends);
  } catch (error) {
    if (stopping.signal.aborted) return exitCodes.interrupted;
    throw error;
  } finally {
    console.log('cleaning up');
    for (const end of ends.reverse()) await end().catch((error: unknown) => console.error(error));
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
  }
}

async function play(
  folder: string,
  options: DemoOptions,
  signal: AbortSignal,
  ends: (() => Promise<unknown>)[],
): Promise<number> {
  console.log('starting Orthanc as the source, and another as the PACS');
  const archiveFolder = join(folder, 'archive');
  await mkdir(archiveFolder, { recursive: true });
  const [hospital, pacs] = await Promise.all([
    startOrthancProcess(join(folder, 'source-orthanc'), 'HOSPITAL'),
    startOrthancProcess(join(folder, 'pacs-orthanc'), 'PACS'),
  ]);
  ends.push(
    () => hospital.stop(),
    () => pacs.stop(),
  );

  console.log('starting Redis, router, dispatcher and console');
  const configFile = join(folder, 'dispatch.yaml');
  const listen = `127.0.0.1:${await freePort()}`;
  await writeFile(
    configFile,
    demoConfig({
      folder,
      sourceUrl: hospital.url,
      pacs: { port: pacs.dicomPort, aeTitle: pacs.aeTitle },
      archiveFolder,
      listen,
    }),
  );
  const logFile = join(folder, 'dispatch.log');
  const services = await startServices(await readConfig(configFile), ['console', 'router', 'dispatcher'], {
    logFile,
    signal,
  });
  ends.push(() => services.stop());
  services.failed.catch(() => {});
  const redis = connectRedis(
    services.redis,
    'demo',
    createLogger('demo', { level: 'error', format: 'json', file: logFile }),
  );
  ends.push(async () => redis.disconnect());
  const records = new Records(redis, '{dicom-dispatch}');

  console.log('uploading sample studies');
  const uploaded: UploadedStudy[] = [];
  for (const study of demoStudies()) {
    signal.throwIfAborted();
    uploaded.push(await upload(study, (bytes) => hospital.client.uploadInstance(bytes)));
  }
  const bytes = uploaded.reduce((sum, { expected }) => sum + expected.size, 0);
  console.log(
    `${uploaded.length} studies, ${bytes} instances; Orthanc reports them as stable one second after their last instance\n`,
  );

  const all = await watch(uploaded, records, signal);
  const isWhole = report(uploaded, all, {
    pacs: await arrivedInOrthanc(pacs.client),
    archive: await arrivedInFolder(archiveFolder),
  });
  console.log(`
console:        ${services.url}   (queues: ${services.url}/queues)
source Orthanc: ${hospital.url}
PACS Orthanc:   ${pacs.url}
archive folder: ${archiveFolder}
configuration:  ${configFile}
log:            ${logFile}`);
  if (!options.once) {
    console.log('\nThe system keeps running: send more studies to the source, and open the console. Ctrl-C stops it.');
    await sleep(2 ** 31 - 1, undefined, { signal }).catch(() => {});
  }
  return isWhole ? exitCodes.done : exitCodes.failed;
}

async function upload(study: SampleStudy, send: (bytes: Buffer) => Promise<unknown>): Promise<UploadedStudy> {
  const expected = new Map<string, string>();
  const modalities = new Set<string>();
  for (const instance of study) {
    modalities.add(instance.modality);
    await send(instance.bytes);
    const { sopInstanceUid, hash } = await datasetHash(instance.bytes);
    expected.set(sopInstanceUid, hash);
  }
  const isCrossSection = crossSections.some((modality) => modalities.has(modality));
  return {
    study,
    title: `${[...modalities].join('/')} ${study.description}, ${study.seriesInstanceUids.length} series`,
    targets: isCrossSection ? ['pacs', 'archive'] : ['pacs'],
    expected,
  };
}

/** Shows progress until every delivery has ended. */
async function watch(
  uploaded: readonly UploadedStudy[],
  records: Records,
  signal: AbortSignal,
): Promise<DeliveryRecord[]> {
  const display = new ProgressDisplay(process.stdout);
  const deadline = Date.now() + longestMs;
  for (;;) {
    signal.throwIfAborted();
    const shown: ShownStudy[] = await Promise.all(
      uploaded.map(async ({ study, title }) => ({
        studyInstanceUid: study.studyInstanceUid,
        title,
        deliveries: await records.deliveriesOfUid(study.studyInstanceUid, source),
      })),
    );
    display.show(shown);
    const isDone = shown.every(
      ({ deliveries }, index) =>
        deliveries.length >= (uploaded[index]?.targets.length ?? 0) &&
        deliveries.every(({ state }) => endStates.includes(state)),
    );
    if (isDone || Date.now() > deadline) return shown.flatMap(({ deliveries }) => deliveries);
    await sleep(150, undefined, { signal });
  }
}

/** The table of deliveries, checked at the receivers. @returns whether everything arrived */
function report(
  uploaded: readonly UploadedStudy[],
  deliveries: readonly DeliveryRecord[],
  arrived: Readonly<Record<string, Arrived>>,
): boolean {
  const rows = uploaded.flatMap(({ study, title, targets, expected }) =>
    targets.map((target) => {
      const delivery = deliveries.find(
        (one) => one.target === target && one.studyInstanceUid === study.studyInstanceUid,
      );
      const there = arrived[target] ?? new Map<string, string>();
      const identical = [...expected].filter(([uid, hash]) => there.get(uid) === hash).length;
      const isWhole = delivery?.state === 'delivered' && identical === expected.size;
      return { title, target, delivery, identical, total: expected.size, isWhole };
    }),
  );
  const width = Math.max(...rows.map(({ title }) => title.length), 5);
  console.log(`\n${'study'.padEnd(width)}  target   state      at the receiver        sent      checked`);
  for (const { title, target, delivery, identical, total, isWhole } of rows) {
    console.log(
      `${title.padEnd(width)}  ${target.padEnd(8)} ${(delivery?.state ?? 'missing').padEnd(10)} ${`${identical} of ${total} identical`.padEnd(20)} ${formatBytes(delivery?.bytesSent ?? 0).padStart(9)}   ${isWhole ? 'yes' : 'NO'}`,
    );
  }
  const isWhole = rows.every((row) => row.isWhole);
  console.log(
    isWhole
      ? '\nEvery study arrived, each dataset byte for byte.'
      : '\nSomething is missing: the console and the log say what.',
  );
  return isWhole;
}
