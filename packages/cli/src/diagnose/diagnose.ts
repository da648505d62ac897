import { readFile } from 'node:fs/promises';
import { arch, cpus, freemem, loadavg, platform, release, totalmem, uptime } from 'node:os';
import { formatBytes, type Config } from '@dicom-dispatch/core';
import { ConfigError } from '@dicom-dispatch/runtime';
import { CommandError } from '../exit.ts';
import { openSystem } from '../operate/with-system.ts';
import { readConfig } from '../read-config.ts';
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

const readme = `What is in here, for a support case of dicom-dispatch:

  versions.json   of dicom-dispatch, Node and the machine
  config.json     the configuration; secrets, user names and e-mail addresses are hidden
  overview.json   counts, workers.json, sources.json (with /system of each Orthanc), targets.json (circuits, errors)
  queues.json     what is in which queue; redis.json: INFO of Redis; cache.json: what is kept
  failures.json   the latest deliveries that failed or wait after a failure, with their timelines
  log.txt         the last lines of the log, if one was given
  problems.json   what could not be read, and why

Taken out: secrets wherever they stood; UIDs and Orthanc's ids, for which there are words that mean the same study only
within this bundle; names in DICOM's writing; e-mail addresses; names and numbers of the patients whose deliveries are in
here, as far as the sources told them. Host names, AE titles and addresses of servers are left in: without them nothing can be
understood. Look through it before you send it.
`;

/**
 * Writes all that a support case needs into one file, without secrets and patient data. What cannot be read is left out
 * and named: that something does not answer is what the case may be about.
 */
export async function diagnose(options: DiagnoseOptions): Promise<void> {
  const problems: Record<string, string> = {};
  const facts: Record<string, unknown> = { 'versions.json': await readVersions() };
  const config = await attempt('config.json', () => readConfig(options.config));
  const scrubber = new Scrubber(await secretsOf(options.config, config, process.env));
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
      throw new CommandError(`${path} cannot be written (${error.code}): name another with --output`);
    });
    if (options.json === true) {
      console.log(JSON.stringify({ file: path, sizeBytes, files: [...files.keys()], problems: Object.keys(problems) }));
      return;
    }
    console.log(`${path}: ${files.size} files, ${formatBytes(sizeBytes)}`);
    for (const [name, why] of Object.entries(problems)) console.log(`  not in it: ${name}: ${scrubber.text(why)}`);
    console.log('Without secrets and patient data, as far as they can be known: look through it before you send it.');
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
