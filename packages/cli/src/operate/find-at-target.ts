import { findKeptStudies } from '@dicom-dispatch/operations/pull';
import type { FoundStudy } from '@dicom-dispatch/target-kit';
import { readConfig } from '../read-config.ts';
import { formatTable } from './print-table.ts';
import { withCache } from './with-cache.ts';
import { untilInterrupted } from './until-interrupted.ts';

export interface FindOptions {
  readonly config: string;
  readonly target: string;
  readonly accession?: string;
  readonly patient?: string;
  readonly study?: string;
  readonly date?: string;
  /** Keyword to value. */
  readonly series?: Readonly<Record<string, string>>;
  readonly limit: number;
  readonly fresh?: boolean;
  readonly json?: boolean;
}

/** Searches a target and prints the results. The result of an equal search is cached, if the cache may store patient data. */
export async function findAtTarget(options: FindOptions): Promise<void> {
  const config = await readConfig(options.config);
  const { accession, patient, study, date, series, limit } = options;
  const query = {
    ...(accession !== undefined && { accessionNumber: accession }),
    ...(patient !== undefined && { patientId: patient }),
    ...(study !== undefined && { studyInstanceUid: study }),
    ...(date !== undefined && { studyDate: date }),
    ...(series && { series }),
  };
  const search = { query, limit: limit + 1 };
  const { studies, isKept } = await untilInterrupted('stopped', (signal) =>
    withCache(config, async (cache) => {
      const context = { config: () => config };
      const how = { signal, fresh: options.fresh === true };
      return findKeptStudies(context, options.target, search, cache, how);
    }),
  );
  const shown = studies.slice(0, limit);
  console.log(options.json === true ? JSON.stringify(shown) : tableOf(shown));
  if (isKept) console.error(`this result is from the cache: --fresh queries ${options.target} again`);
  if (studies.length > limit) console.error(`there are more than ${limit}: narrow the search, or raise --limit`);
}

function tableOf(studies: readonly FoundStudy[]): string {
  return formatTable(
    ['patient', 'name', 'accession', 'date', 'description', 'mod', 'series', 'inst', 'study'],
    studies.map(({ tags, series, ...study }) => [
      tags['PatientID'] ?? '-',
      cut(tags['PatientName'] ?? '-'),
      tags['AccessionNumber'] ?? '-',
      tags['StudyDate'] ?? '-',
      cut(tags['StudyDescription'] ?? '-'),
      [...new Set(series.flatMap((one) => one.tags['Modality'] ?? []))].join(',') || '-',
      series.length,
      String(study.instanceCount ?? '?'),
      study.studyInstanceUid,
    ]),
  );
}

/** A short text on one line, without control characters: the content of a tag must not control a terminal. */
function cut(text: string): string {
  const shown = text.replaceAll(/\p{Cc}/gu, ' ');
  return shown.length > 30 ? `${shown.slice(0, 29)}…` : shown;
}
