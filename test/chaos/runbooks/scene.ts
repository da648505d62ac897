import { cp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startOrthanc, startRedis, tempFolder, waitFor, type OrthancServer } from '@dicom-dispatch/harness';
import type { OrthancOptions, RedisServer, TempFolder } from '@dicom-dispatch/harness';
import { makeStudy } from '@dicom-dispatch/samples';
import { stringify } from 'yaml';
import { pacsTarget, quick } from '../../e2e/support/pacs-target.ts';
import { startDispatch, type RunningDispatch } from '../../e2e/support/start-dispatch.ts';
import { startFaultScp, type FaultScp } from '../../e2e/support/fault-scp.ts';
import { Runbook } from './book.ts';

/** A department: Orthanc as the source `main`, a PACS `pacs` that answers queries, a receiver `second`, a folder `archive`. */
export interface Department extends AsyncDisposable {
  readonly main: OrthancServer;
  readonly pacs: OrthancServer;
  readonly second: FaultScp;
  readonly archive: TempFolder;
  readonly redis: RedisServer;
  /** For backups and other files of the operator. */
  readonly backups: TempFolder;
  readonly dispatch: RunningDispatch;
  readonly book: Runbook;
  /** Uploads a study of one instance; returns its SOP Instance UID. */
  upload(accessionNumber: string, more?: Readonly<Record<string, string>>): Promise<string>;
  /** Changes the configuration file. */
  edit(change: (config: DepartmentConfig) => void, file?: string): Promise<void>;
  untilAtPacs(...uids: readonly string[]): Promise<void>;
}

export interface DepartmentConfig {
  targets: Record<string, object>;
  rules: { name: string; when?: string; targets: string[] }[];
  redis: Record<string, unknown>;
  [other: string]: unknown;
}

export async function startDepartment(title: string, more: Partial<DepartmentConfig> = {}): Promise<Department> {
  const [backups, archive] = await Promise.all([tempFolder('backups'), tempFolder('archive')]);
  const us: OrthancOptions = { modalities: { us: ['DISPATCH', '127.0.0.1', 104] } };
  const [main, pacs, second, redis] = await Promise.all([
    startOrthanc({ name: 'main', storageDir: join(backups.path, 'main') }),
    startOrthanc({ name: 'pacs', storageDir: join(backups.path, 'pacs'), ...us }),
    startFaultScp(),
    startRedis(),
  ]);
  let config: DepartmentConfig = {
    sources: { main: { url: main.url, pollInterval: '200ms', sweep: { settle: '2s' } } },
    targets: {
      pacs: { type: 'dicom', host: '127.0.0.1', port: pacs.dicomPort, calledAeTitle: pacs.aet, ...quick },
      second: pacsTarget(second),
      archive: { type: 'folder', path: archive.path, minFree: 0 },
    },
    rules: [{ name: 'new', when: 'study.StudyID != "OLD"', targets: ['pacs'] }],
    redis: { url: redis.url },
    ...more,
  };
  const dispatch = await startDispatch({ config });
  config = { ...config, console: { listen: new URL(dispatch.url).host } };
  const book = await Runbook.open(title, { folder: dispatch.folder, config: dispatch.configFile });
  return {
    main,
    pacs,
    second,
    archive,
    redis,
    backups,
    dispatch,
    book,
    async upload(accessionNumber, attributes = {}) {
      const study = makeStudy({
        seed: `${title} ${accessionNumber} ${attributes['StudyDate'] ?? ''}`,
        series: 1,
        instancesPerSeries: 1,
        rows: 16,
        columns: 16,
        attributes: { AccessionNumber: accessionNumber, ...attributes },
      });
      for (const { bytes } of study) await main.upload(bytes);
      return [...study][0]?.sopInstanceUid ?? '';
    },
    async edit(change, file = dispatch.configFile) {
      config = structuredClone(config);
      change(config);
      await writeFile(file, stringify(config));
    },
    untilAtPacs: (...uids) => untilAt(uids, () => pacs.sopInstanceUids(), 'pacs'),
    async [Symbol.asyncDispose]() {
      await dispatch.stop();
      await Promise.all([main.stop(), pacs.stop(), second[Symbol.asyncDispose](), redis.stop()]);
      await Promise.all([backups.remove(), archive.remove()]);
    },
  };
}

/** Waits until all instances are there. */
export async function untilAt(
  uids: readonly string[],
  there: () => Promise<readonly string[]> | readonly string[],
  where: string,
): Promise<void> {
  let lacking: readonly string[] = uids;
  const isThere = async (): Promise<boolean> => {
    const all = new Set(await there());
    lacking = uids.filter((uid) => !all.has(uid));
    return lacking.length === 0;
  };
  await waitFor(isThere, { message: () => `${lacking.length} instances at ${where}` });
}

/** The database and the files of an Orthanc as they are now, while it does not run. */
export async function copyStorage(from: string, to: string): Promise<void> {
  await rm(to, { recursive: true, force: true });
  await cp(from, to, { recursive: true });
}

/** @throws unless it holds */
export function check(holds: boolean, what: string): void {
  if (!holds) throw new Error(`not so: ${what}`);
}
