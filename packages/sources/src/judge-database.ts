import type { CallOptions, Change } from '@dicom-dispatch/orthanc';
import type { OrthancClient } from './open-source.ts';

/** A change as it was seen in the feed of a database. */
export interface SeenChange {
  readonly seq: number;
  readonly id: string;
  readonly date: string;
}

/**
 * - `same`: a change that was seen is still there, or the feed has gone on from where it was
 * - `another`: the database was wiped, restored from a backup, or belongs to another server
 * - `unknown`: nothing that was seen is there, and nothing says otherwise, e.g. since all of it was deleted
 */
export type DatabaseVerdict = 'same' | 'another' | 'unknown';

/**
 * Whether the database behind a source is the one whose changes were seen. Orthanc gives a database no identity of its own
 * (`DatabaseServerIdentifier` names a server), so its change feed has to do: two databases do not have the same change, to the second,
 * under the same number.
 *
 * @param seen - the newest change first
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
  // Numbers are given once and go up with time: this feed has gone on from where it was, or it is an older one that is longer.
  return newest.Date >= last.date ? 'same' : 'another';
}

/**
 * What one change says of the feed:
 *
 * - another resource or date under its number: the feed is another one
 * - the newest change has a lower number and yet is younger: the same
 *
 * Lower numbers alone prove nothing: deleting the newest study takes its events away.
 */
function compare(seen: SeenChange, sameNumber: Change | undefined, newest: Change | undefined): DatabaseVerdict {
  if (sameNumber) return sameNumber.ID === seen.id && sameNumber.Date === seen.date ? 'same' : 'another';
  return newest !== undefined && newest.Seq < seen.seq && newest.Date > seen.date ? 'another' : 'unknown';
}
