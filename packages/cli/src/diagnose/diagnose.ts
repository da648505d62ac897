import { readFile } from 'node:fs/promises';
import { arch, cpus, freemem, loadavg, platform, release, totalmem, uptime } from 'node:os';
import { formatBytes, type Config } from '@dicom-dispatch/core';
import { ConfigError } from '@dicom-dispatch/runtime';
import { CommandError } from '../exit.ts';
import { openSystem } from '../operate/with-system.ts';
import { withStore } from '../read-config.ts';
import { collectors, patientWords } from './collect-facts.ts';
import { readLogTail } from './read-log-tail.ts';
import { redactConfig, secretsOf } from './redact-config.ts';
import { Scrubber } from './scrubber.ts';
import { writeBundle } from './write-bundle.ts';

export interface DiagnoseOptions {
  readonly config: string;
  readonly output?: string;
  readonly log?: string;
  readonly lines: number;
  readonly json?: boolean;
}

const readme = `Content of this bundle for a support case of dicom-dispatch:

  versions.json   of dicom-dispatch, Node and the host
  config.json     the configuration; secrets, user names and e-mail addresses are hidden
  overview.json   counts, workers.json, sources.json (with /system of each Orthanc), targets.json (circuits, errors)
  queues.json     content of the queues; redis.json: INFO of Redis; cache.json: content of the cache
  failures.json   the latest deliveries that failed or wait after a failure, with their timelines
  log.txt         the last lines of the log, if one was given
  problems.json   what could not be read, and why

Removed: all secrets; UIDs and Orthanc ids, replaced by words that identify the same study only
within this bundle; names in DICOM format; e-mail addresses; names and numbers of the patients whose deliveries are
included, if the sources provided them. Host names, AE titles and addresses of servers are kept, because an analysis
needs them. Check the bundle before you send it.
`;

/**
 * Writes the data for a support case into one file, without secrets and patient data. Parts that cannot be read are omitted and
 * named in the file: an unavailable service may be the problem.
 */
export async function diagnose(options: DiagnoseOptions): Promise<void> {
  const problems: Record<string, string> = {};
  const facts: Record<string, unknown> = { 'versions.json': await readVersions() };
  let inUse = '';
  const config = await attempt('config.json', () =>
    withStore(options.config, async (store) => {
      inUse = await store.current.read().then(
        ({ text }) => text,
        () => '',
      );
      return store.load();
    }),
  );
  const ofHost = await readFile(options.config, 'utf8').catch(() => '');
  const scrubber = new Scrubber(secretsOf([ofHost, inUse], config, process.env));
  if (config) {
    facts['config.json'] = redactConfig(config);
    await collect(config);
  }
  const files = new Map([['README.txt', readme]]);
  if (options.log !== undefined) {
    const { log } = options;
    const tail = await attempt('log.txt', () => readLogTail(log, options.lines, scrubber));
    if (tail !== undefined) files.set('log.txt', tail);
  }
  facts['problems.json'] = problems;
  for (const [name, value] of Object.entries(facts)) {
    files.set(name, `${JSON.stringify(scrubber.value(value), undefined, 2)}\n`);
  }
  await write(files);

  async function collect(config: Config): Promise<void> {
    const system = await attempt('redis.json', () => openSystem(config));
    if (!system) return;
    try {
      scrubber.hide((await attempt('patient names', () => patientWords(system))) ?? []);
      for (const [name, read] of Object.entries(collectors)) {
        const value = await attempt(name, () => read(system));
        if (value !== undefined) facts[name] = value;
      }
    } finally {
      await system.close();
    }
  }

  async function attempt<T>(name: string, act: () => Promise<T>): Promise<T | undefined> {
    try {
      return await act();
    } catch (error) {
      problems[name] = error instanceof ConfigError ? error.format() : String(error);
      return undefined;
    }
  }

  async function write(files: ReadonlyMap<string, string>): Promise<void> {
    const stamp = new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '');
    const folder = `dispatch-diagnose-${stamp}`;
    const path = options.output ?? `${folder}.tar.gz`;
    const { sizeBytes } = await writeBundle(path, folder, files).catch((error: NodeJS.ErrnoException) => {
      throw new CommandError(`${path} cannot be written (${error.code}): set another file with --output`);
    });
    if (options.json === true) {
      console.log(JSON.stringify({ file: path, sizeBytes, files: [...files.keys()], problems: Object.keys(problems) }));
      return;
    }
    console.log(`${path}: ${files.size} files, ${formatBytes(sizeBytes)}`);
    for (const [name, why] of Object.entries(problems)) console.log(` not included: ${name}: ${scrubber.text(why)}`);
    console.log('Secrets and patient data are removed as far as they are known. Check the file before you send it.');
  }
}

async function readVersions(): Promise<unknown> {
  const text = await readFile(new URL('../../package.json', import.meta.url), 'utf8');
  const { version } = JSON.parse(text) as { version: string };
  return {
    at: new Date().toISOString(),
    dispatch: version,
    node: process.versions,
    machine: {
      platform: platform(),
      release: release(),
      arch: arch(),
      cpus: cpus().length,
      loadAverage: loadavg(),
      memoryBytes: totalmem(),
      freeMemoryBytes: freemem(),
      upForSeconds: Math.round(uptime()),
    },
  };
}
