import { atLevel } from './find-studies.ts';
import type { ListedInstance, Listing } from './list-instances.ts';
import { classesOf } from './storage-classes.ts';

/** UIDs in one identifier (List of UID Matching, PS3.4 section C.2.2.2.2). */
const instancesPerRequest = 50;
/** Number of SOP classes that can be offered on one association, each in all relevant transfer syntaxes. */
const maxClassesAtOnce = 8;

/** One C-GET or C-MOVE. */
export interface Retrieval {
  readonly identifier: Readonly<Record<string, unknown>>;
  /** SOP classes of the instances that it may return. */
  readonly sopClassUids: readonly string[];
}

/**
 * Requests for the missing instances: the complete study if it has unlisted instances in unknown series; complete series if all their
 * instances are missing, or if they have unlisted instances; otherwise lists of instances. Requests that need the same SOP classes are
 * adjacent.
 */
export function planRetrieval(
  studyInstanceUid: string,
  listing: Listing,
  missing: readonly ListedInstance[],
): Retrieval[] {
  const study = { StudyInstanceUID: studyInstanceUid };
  const classes = classesBySeries(listing);
  if (listing.gaps.some(({ seriesInstanceUid }) => seriesInstanceUid === undefined)) {
    const all = [...new Set([...classes.values()].flat())];
    return [
      { identifier: { ...atLevel('STUDY'), ...study }, sopClassUids: all.length > 0 ? all : classesOf(undefined) },
    ];
  }
  const plan: Retrieval[] = [];
  const listed = Map.groupBy(listing.instances, (one) => one.seriesInstanceUid);
  const wanted = Map.groupBy(missing, (one) => one.seriesInstanceUid);
  const withGaps = new Set(listing.gaps.map(({ seriesInstanceUid }) => seriesInstanceUid ?? ''));
  for (const seriesInstanceUid of new Set([...wanted.keys(), ...withGaps])) {
    const some = wanted.get(seriesInstanceUid) ?? [];
    const series = { ...study, SeriesInstanceUID: seriesInstanceUid };
    const sopClassUids = classes.get(seriesInstanceUid) ?? classesOf(undefined);
    if (withGaps.has(seriesInstanceUid) || some.length === listed.get(seriesInstanceUid)?.length) {
      plan.push({ identifier: { ...atLevel('SERIES'), ...series }, sopClassUids });
      continue;
    }
    for (let at = 0; at < some.length; at += instancesPerRequest) {
      const part = some.slice(at, at + instancesPerRequest).map(({ sopInstanceUid }) => sopInstanceUid);
      plan.push({ identifier: { ...atLevel('IMAGE'), ...series, SOPInstanceUID: part }, sopClassUids });
    }
  }
  return plan.toSorted((a, b) => a.sopClassUids.join().localeCompare(b.sopClassUids.join()));
}

/** A request for one instance. */
export function planOne(studyInstanceUid: string, listing: Listing, one: ListedInstance): Retrieval {
  const { sopInstanceUid, seriesInstanceUid, sopClassUid } = one;
  return {
    identifier: {
      ...atLevel('IMAGE'),
      StudyInstanceUID: studyInstanceUid,
      SeriesInstanceUID: seriesInstanceUid,
      SOPInstanceUID: sopInstanceUid,
    },
    sopClassUids:
      sopClassUid === undefined ? classesIn(listing, seriesInstanceUid) : (shared(listing) ?? [sopClassUid]),
  };
}

function classesBySeries(listing: Listing): Map<string, readonly string[]> {
  const all = shared(listing);
  const series = new Set([...listing.hints.keys(), ...listing.instances.map((one) => one.seriesInstanceUid)]);
  return new Map(Array.from(series, (uid) => [uid, all ?? classesIn(listing, uid)]));
}

/** The classes of the complete study, if all are known and few: then one association is sufficient. */
function shared({ instances, gaps }: Listing): readonly string[] | undefined {
  const classes = new Set(instances.map(({ sopClassUid }) => sopClassUid));
  const isKnown = gaps.length === 0 && !classes.has(undefined) && classes.size <= maxClassesAtOnce;
  return isKnown ? [...classes].filter((uid) => uid !== undefined).toSorted() : undefined;
}

/** The classes of one series: the listed ones, and if these are incomplete, those that the study or the modality suggests. */
function classesIn({ instances, gaps, hints }: Listing, seriesInstanceUid: string): readonly string[] {
  const some = instances.filter((one) => one.seriesInstanceUid === seriesInstanceUid);
  const known = some.flatMap(({ sopClassUid }) => sopClassUid ?? []);
  const hasAll =
    known.length > 0 &&
    known.length === some.length &&
    !gaps.some((gap) => gap.seriesInstanceUid === seriesInstanceUid);
  const hint = hints.get(seriesInstanceUid);
  const suggested = hint && hint.sopClassUids.length > 0 ? hint.sopClassUids : classesOf(hint?.modality);
  return [...new Set(hasAll ? known : [...known, ...suggested])].toSorted();
}
