import type { OrthancClient, Study } from '@dicom-dispatch/orthanc';
import type { FeedState } from '@dicom-dispatch/state/feed';
import { readPage } from './read-feed.ts';

/** A feed that has advanced this far since the start is not read for it: dates are used then. */
const maxChanges = 200_000;

/** Which of these studies the source had before it was followed, although they are dated later. */
export type ThereBefore = (studies: readonly Study[]) => Promise<ReadonlySet<string>>;

/**
 * Finds studies that a source had before it was followed with `startFrom: now`, and whose dates are later, because a clock
 * was wrong when they arrived: the change feed has no change of them since. For the first sweep; later ones find studies
 * whose events were lost.
 *
 * If the feed is no longer the followed one, or was cut, it finds none: all are routed then.
 *
 * @param epochNow - of the feed, as it is followed now
 * @returns undefined if dates must be used
 */
export function thereBefore(
  orthanc: Pick<OrthancClient, 'changes' | 'lastChange' | 'studies'>,
  { epoch, beganAt, datedUpTo, floor }: FeedState,
  epochNow: () => number | undefined,
  signal: AbortSignal,
): ThereBefore | undefined {
  if (beganAt === undefined || datedUpTo === undefined || floor !== undefined) return undefined;
  const came = new Set<string>();
  let readTo = beganAt;

  return async (studies) => {
    const suspects = studies.filter(({ LastUpdate: date }) => date !== undefined && date > datedUpTo);
    if (suspects.length === 0 || !(await readOn())) return new Set();
    const old = new Set<string>();
    for (const { ID } of suspects) {
      if (!came.has(ID) && !(await hasNewInstance(ID))) old.add(ID);
    }
    return epochNow() === epoch ? old : new Set();
  };

  /**
   * Reads the feed up to its newest change. The studies were listed before: their changes are included.
   *
   * @returns false if dates must be used
   */
  async function readOn(): Promise<boolean> {
    const newest = (await orthanc.lastChange({ signal }))?.Seq ?? 0;
    // Another database, or all changes were deleted: later studies are not in it.
    if (newest < readTo || newest - (beganAt ?? 0) > maxChanges) return false;
    for (let isLast = false; !isLast;) {
      const page = await readPage(orthanc, readTo, signal);
      for (const { ID } of page.changes) came.add(ID);
      isLast = page.isLast || page.next <= readTo;
      readTo = page.next;
    }
    return true;
  }

  async function hasNewInstance(orthancStudyId: string): Promise<boolean> {
    const series = await orthanc.studies.series(orthancStudyId, { signal });
    return series.some(({ Instances: ids }) => ids.some((id) => came.has(id)));
  }
}
