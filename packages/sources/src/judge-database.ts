import type { CallOptions, Change } from '@dicom-dispatch/orthanc';
import type { OrthancClient } from './open-source.ts';

/** A change as it was seen in the feed of a database. */
export interface SeenChange {
  readonly seq: number;
  readonly id: string;
  readonly date: string;
}

/**
 * - `same`: a known change still exists, or the feed has continued from its position
 * - `another`: the database was emptied, restored from a backup, or belongs to another server
 * - `unknown`: no known change exists, and there is no contradiction, e.g. because all of them were deleted
 */
export type DatabaseVerdict = 'same' | 'another' | 'unknown';

/**
 * Whether the database behind a source is the known one. Orthanc gives a database no identity (`DatabaseServerIdentifier`
 * names a server), so its change feed is used: two databases do not have the same change, to the second, with the same
 * number.
 *
 * @param seen - known changes, newest first
 * @throws OrthancError
 */
export async function judgeDatabase(
  orthanc: Pick<OrthancClient, 'changes' | 'lastChange'>,
  seen: readonly SeenChange[],
  options?: CallOptions,
): Promise<DatabaseVerdict> {
  const newest = await orthanc.lastChange(options);
  let isAnother = false;
  for (const one of seen) {
    const page = await orthanc.changes({ since: one.seq - 1, limit: 1 }, options);
    const verdict = compare(
      one,
      page.Changes.find(({ Seq }) => Seq === one.seq),
      newest,
    );
    if (verdict === 'same') return 'same';
    isAnother ||= verdict === 'another';
  }
  if (isAnother) return 'another';
  const [last] = seen;
  if (!last || !newest || newest.Seq <= Math.max(...seen.map(({ seq }) => seq))) return 'unknown';
  // Numbers are assigned once and increase with time: this feed has continued from its position, or it is an older and
  // longer one.
  return newest.Date >= last.date ? 'same' : 'another';
}

/**
 * Conclusion from one change about the feed:
 *
 * - another resource or date under its number: the feed is another one
 * - the newest change has a lower number but is newer: the same
 *
 * Lower numbers alone prove nothing: deleting the newest study removes its events.
 */
function compare(seen: SeenChange, sameNumber: Change | undefined, newest: Change | undefined): DatabaseVerdict {
  if (sameNumber) return sameNumber.ID === seen.id && sameNumber.Date === seen.date ? 'same' : 'another';
  return newest !== undefined && newest.Seq < seen.seq && newest.Date > seen.date ? 'another' : 'unknown';
}
