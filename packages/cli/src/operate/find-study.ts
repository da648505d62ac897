import { listStudies, type StudySummary } from '@dicom-dispatch/console/views';
import { CommandError, exitCodes } from '../exit.ts';
import type { System } from './with-system.ts';

/**
 * The study of an id: Study Instance UID, Orthanc id, accession number, patient id, or id of a delivery.
 *
 * @throws CommandError if there is none, or more than one
 */
export async function findStudy(system: System, id: string): Promise<StudySummary> {
  const { studies, silentSources, notSearched } = await listStudies(system, { search: id, limit: 20 });
  const [study, ...others] = studies;
  const silent =
    silentSources.length > 0 ? ` (not queried, because they do not respond: ${silentSources.join(', ')})` : '';
  if (!study)
    throw new CommandError(
      [`there is no study "${id}"${silent}`, ...(silent === '' ? notSearched : [])].join('. '),
      silent === '' ? exitCodes.notFound : exitCodes.unreachable,
    );
  if (others.length > 0) {
    throw new CommandError(
      `"${id}" matches ${studies.length} studies; give one by its Orthanc id:\n${studies.map(line).join('\n')}`,
    );
  }
  return study;
}

function line({ orthancStudyId, studyInstanceUid, source }: StudySummary): string {
  return `  ${orthancStudyId}  ${studyInstanceUid} in ${source}`;
}
