import { OrthancError, type OrthancClient, type Study } from '@dicom-dispatch/orthanc';

const probeMs = 5_000;

export interface StudyPage {
  /** How many studies the source lists on this page. */
  readonly count: number;
  readonly studies: readonly Study[];
  /** Studies that it lists and cannot show. */
  readonly unread: readonly { readonly id: string; readonly error: unknown }[];
  /** Studies that were not read, because they are postponed. */
  readonly notDue: readonly string[];
}

/**
 * A page of studies. If the complete page cannot be read although the source responds, because of a study on it, each study
 * is read separately.
 *
 * @param notDue - which of some studies are postponed: those are not read now
 * @throws OrthancError if the source cannot be queried
 */
export async function readStudyPage(
  orthanc: OrthancClient,
  page: { readonly since: number; readonly limit: number },
  notDue: (orthancStudyIds: readonly string[]) => Promise<ReadonlySet<string>>,
  signal: AbortSignal,
): Promise<StudyPage> {
  try {
    const studies = await orthanc.studies.list(page, { signal });
    return { count: studies.length, studies, unread: [], notDue: [] };
  } catch (error) {
    if (signal.aborted || !(error instanceof OrthancError)) throw error;
    await orthanc.system({ timeoutMs: probeMs, signal });
  }
  const ids = await orthanc.studies.ids(page, { signal });
  const studies: Study[] = [];
  const unread: { id: string; error: unknown }[] = [];
  const putOff = await notDue(ids);
  for (const id of ids) {
    if (putOff.has(id)) continue;
    try {
      studies.push(await orthanc.studies.read(id, { signal }));
    } catch (error) {
      if (signal.aborted) throw error;
      await orthanc.system({ timeoutMs: probeMs, signal });
      if (!(await isGone(orthanc, id, error, signal))) unread.push({ id, error });
    }
  }
  return { count: ids.length, studies, unread, notDue: [...putOff] };
}

async function isGone(orthanc: OrthancClient, id: string, error: unknown, signal: AbortSignal): Promise<boolean> {
  if (!(error instanceof OrthancError) || error.code !== 'not-found') return false;
  return orthanc.studies.exists(id, { signal }).then(
    (exists) => !exists,
    () => false,
  );
}
