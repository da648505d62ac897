import type { Association } from 'dicom-dimse';
import type { RetrieveRequest } from '../../contract/index.ts';
import { atLevel, findAll, findSeries } from './find-studies.ts';
import { textOf } from './texts.ts';

/** One instance as the target lists it. */
export interface ListedInstance {
  readonly sopInstanceUid: string;
  readonly seriesInstanceUid: string;
  /** Undefined where the receiver does not tell. */
  readonly sopClassUid: string | undefined;
}

/** The instances of a study, or of some of its series, by C-FIND at IMAGE level. */
export async function listInstances(
  association: Association,
  { studyInstanceUid, seriesInstanceUids }: RetrieveRequest,
  signal: AbortSignal,
): Promise<ListedInstance[]> {
  const series = await findSeries(association, studyInstanceUid, {}, signal);
  const wanted = seriesInstanceUids && new Set(seriesInstanceUids);
  const listed = new Map<string, ListedInstance>();
  for (const { seriesInstanceUid } of series) {
    if (wanted && !wanted.has(seriesInstanceUid)) continue;
    const query = {
      ...atLevel('IMAGE'),
      StudyInstanceUID: studyInstanceUid,
      SeriesInstanceUID: seriesInstanceUid,
      SOPInstanceUID: '',
      SOPClassUID: '',
    };
    for (const image of await findAll(association, query, signal)) {
      const sopInstanceUid = textOf(image['SOPInstanceUID']) ?? '';
      // It becomes part of a file name.
      if (!isUid(sopInstanceUid)) continue;
      const sopClassUid = textOf(image['SOPClassUID']) ?? '';
      listed.set(sopInstanceUid, {
        sopInstanceUid,
        seriesInstanceUid,
        sopClassUid: isUid(sopClassUid) ? sopClassUid : undefined,
      });
    }
  }
  return [...listed.values()];
}

function isUid(text: string): boolean {
  return /^[0-9.]{1,64}$/.test(text);
}
