import type { Change, OrthancClient } from '@dicom-dispatch/orthanc';
import type { FeedState, Fingerprint } from '@dicom-dispatch/state/feed';

/**
 * How many numbers before the cursor each read begins: PostgreSQL commits out of order, so number 2 can appear after 3 and 4
 * were read. The caller drops changes that were already seen.
 */
export const trailingWindow = 200;
const pageSize = 1000;
/** Changes of this number of other studies are remembered: the newest may be deleted. */
const maxAnchors = 8;

export interface FeedPage {
  /** Changes on the page, of any type; including those of the trailing window. */
  readonly changes: readonly Change[];
  readonly isLast: boolean;
  /** Start of the next page. */
  readonly next: number;
}

/** One page of the feed from `since` on. The `Last` of the response is used for paging only, and only if a page is empty. */
export async function readPage(
  orthanc: Pick<OrthancClient, 'changes'>,
  since: number,
  signal: AbortSignal,
): Promise<FeedPage> {
  const page = await orthanc.changes({ since, limit: pageSize }, { signal });
  const highest = page.Changes.reduce((highestSoFar, change) => Math.max(highestSoFar, change.Seq), since);
  return {
    changes: page.Changes,
    isLast: page.Done,
    next: page.Changes.length > 0 ? highest : Math.max(since, page.Last),
  };
}

/**
 * Whether the feed is not the followed one: the database was emptied, or restored from a backup.
 *
 * - the remembered change has another resource or date under its number, or
 * - the newest change has a lower number than ours and yet is newer.
 *
 * Lower numbers alone prove nothing: deleting the newest study removes its events.
 */
export function isAnotherFeed(
  remembered: Fingerprint | undefined,
  sameNumber: Change | undefined,
  newest: Change | undefined,
): boolean {
  if (!remembered) return false;
  if (sameNumber && (sameNumber.ID !== remembered.id || sameNumber.Date !== remembered.date)) return true;
  return newest !== undefined && newest.Seq < remembered.seq && newest.Date > remembered.date;
}

/** The state with the cursor at the highest change of a page. */
export function advanced(state: FeedState, changes: readonly Change[]): FeedState {
  let last: Change | undefined;
  for (const change of changes) if (change.Seq > (last?.Seq ?? state.seq)) last = change;
  if (!last) return state;
  return {
    ...state,
    seq: last.Seq,
    fingerprint: { seq: last.Seq, id: last.ID, date: last.Date },
    anchors: nextAnchors(state, last.ID),
  };
}

/** The changes remembered before, one of each resource, without that of the newest. */
function nextAnchors({ fingerprint, anchors = [] }: FeedState, newestId: string): readonly Fingerprint[] {
  const all = [...anchors, ...(fingerprint ? [fingerprint] : [])];
  const last = new Map(all.map((one) => [one.id, one]));
  last.delete(newestId);
  return [...last.values()].toSorted((one, other) => one.seq - other.seq).slice(-maxAnchors);
}
