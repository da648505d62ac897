import type { Config } from '@dicom-dispatch/core';
import { findStudies, pullStudy, pullToFolder, pullToSource } from '@dicom-dispatch/operations/pull';
import type { RetrieveProgress } from '@dicom-dispatch/target-kit';
import { CommandError, exitCodes } from '../exit.ts';
import { readConfig } from '../read-config.ts';
import { untilInterrupted } from './until-interrupted.ts';

export interface PullOptions {
  readonly config: string;
  readonly target: string;
  readonly study?: string;
  readonly accession?: string;
  readonly series?: readonly string[];
  readonly toFolder?: string;
  readonly toSource?: string;
  readonly json?: boolean;
}

/** Maximum number of studies of one accession number. */
const maxStudies = 50;
/** Maximum number of problems that are listed. */
const maxShown = 20;

const again = 'run the same command again to retrieve missing instances';

/** Retrieves a study, or all studies of an accession number, from a target into a folder or a source, with progress. */
export async function pullNow(options: PullOptions): Promise<void> {
  const { target, study, accession, series, toFolder, toSource } = options;
  if ((toFolder === undefined) === (toSource === undefined)) {
    throw new CommandError('set a destination: --to-folder FOLDER or --to-source NAME', exitCodes.usage);
  }
  if ((study === undefined) === (accession === undefined)) {
    throw new CommandError('set a study: --study UID or --accession NUMBER', exitCodes.usage);
  }
  if (accession !== undefined && /[*?\\]/.test(accession)) {
    throw new CommandError('--accession accepts no wildcards: use "dispatch find" to list matches', exitCodes.usage);
  }
  const config = await readConfig(options.config);
  const studies = study === undefined ? await studiesOf(config, target, accession ?? '') : [study];
  let failed = 0;
  for (const one of studies) failed += await pullOne(config, one, { ...options, series });
  if (failed > 0) throw new CommandError(`${target} did not send ${failed} instances; ${again}`);
}

/** @throws CommandError if the target has no study with the accession number */
async function studiesOf(config: Config, target: string, accession: string): Promise<string[]> {
  const found = await untilInterrupted('stopped', async (signal) => {
    const uids: string[] = [];
    const query = { accessionNumber: accession };
    for await (const { studyInstanceUid } of findStudies({ config: () => config }, target, query, signal)) {
      uids.push(studyInstanceUid);
      if (uids.length > maxStudies) break;
    }
    return uids;
  });
  if (found.length === 0) throw new CommandError(`${target} has no study ${accession}`, exitCodes.notFound);
  if (found.length <= maxStudies) return found;
  throw new CommandError(`${target} has more than ${maxStudies} studies ${accession}: pull each by --study`);
}

/** @returns the number of instances that the target did not return */
async function pullOne(config: Config, study: string, options: PullOptions): Promise<number> {
  const { target, series, toFolder, toSource } = options;
  const display = showProgress();
  const result = await untilInterrupted(`stopped; ${again}`, async (signal) => {
    const destination =
      toFolder === undefined ? await pullToSource(config, toSource ?? '', study) : await pullToFolder(toFolder, study);
    try {
      return await pullStudy(
        { config: () => config },
        {
          target,
          studyInstanceUid: study,
          seriesInstanceUids: series,
          destination,
          progress: display.show,
          signal,
        },
      );
    } finally {
      display.end();
      await destination.close();
    }
  });
  const { completed, failed, problems = [] } = result;
  if (options.json === true)
    console.log(JSON.stringify({ target, studyInstanceUid: study, completed, failed, problems }));
  else console.log(`${completed} instances of study ${study} are in ${toFolder ?? `source ${toSource}`}`);
  for (const { sopInstanceUid, reason } of problems.slice(0, maxShown)) {
    console.error(sopInstanceUid === undefined ? reason : `${sopInstanceUid}: ${reason}`);
  }
  return failed;
}

/** Shows progress on standard error: one line that changes on a terminal, otherwise a new line every few seconds. */
function showProgress(): { show(progress: RetrieveProgress): void; end(): void } {
  const isTerminal = process.stderr.isTTY;
  let shownAt = 0;
  let isOpen = false;
  return {
    show({ completed, failed, remaining }) {
      const isLast = remaining === 0;
      if (!isLast && Date.now() - shownAt < (isTerminal ? 100 : 5_000)) return;
      shownAt = Date.now();
      const text = `${completed} completed, ${remaining ?? '?'} remaining, ${failed} failed`;
      process.stderr.write(isTerminal ? `\r\u001B[K${text}` : `${text}\n`);
      isOpen = isTerminal;
    },
    end() {
      if (isOpen) process.stderr.write('\n');
      isOpen = false;
    },
  };
}
