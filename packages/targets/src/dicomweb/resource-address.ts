import type { QidoQuery } from './qido.ts';

/** Whether a UID can be a segment of a path. One of dots only would address another resource (RFC 3986 section 5.2.4). */
export function fitsPath(uid: string): boolean {
  return !/^\.*$/.test(uid);
}

/**
 * A search for the series of a study, or for its instances or those of one series (PS3.18 section 10.6.1). UIDs that do not
 * fit into a path are keys.
 *
 * @param base - address of the service
 */
export function searchIn(
  base: string,
  level: 'series' | 'instances',
  studyInstanceUid: string,
  seriesInstanceUid?: string,
): Required<Pick<QidoQuery, 'address' | 'keys'>> {
  const isSeries = seriesInstanceUid !== undefined;
  if (!fitsPath(studyInstanceUid) || (isSeries && !fitsPath(seriesInstanceUid))) {
    const keys = { StudyInstanceUID: studyInstanceUid, ...(isSeries && { SeriesInstanceUID: seriesInstanceUid }) };
    return { address: `${base}/${level}`, keys };
  }
  const ofSeries = isSeries ? `/series/${encodeURIComponent(seriesInstanceUid)}` : '';
  return { address: `${base}/studies/${encodeURIComponent(studyInstanceUid)}${ofSeries}/${level}`, keys: {} };
}
