import type { SourceConfig } from '@dicom-dispatch/core';
import type { Change } from '@dicom-dispatch/orthanc';
import { openSource, type OrthancClient } from '@dicom-dispatch/sources';
import { seenChanges, type FeedState, type Fingerprint } from '@dicom-dispatch/state/feed';

type Verdict = 'same' | 'different' | 'unknown';

/** How long the result that two databases are different is valid. */
const believedMs = 600_000;
const askMs = 5_000;

export interface SharedDatabaseDependencies {
  readonly source: string;
  /** All sources as they are now, in the order of the configuration. */
  sources(): Readonly<Record<string, SourceConfig>>;
  /** How far a source has been followed; undefined when it never was. */
  feed(source: string): Promise<FeedState | undefined>;
  /** Default `openSource`. */
  readonly open?: (config: SourceConfig) => Promise<OrthancClient>;
}

/**
 * Detects whether a source uses the same database as another one, e.g. two Orthancs on one PostgreSQL: each study would be
 * routed twice. The same change feed shows this (docs/failure-modes.md); for an unavailable source, its previously seen feed.
 *
 * One of the two is followed: the one that was followed on this database before, otherwise the first one in the
 * configuration.
 */
export class SharedDatabase {
  readonly #dependencies: SharedDatabaseDependencies;
  readonly #clients = new Map<string, { readonly config: SourceConfig; readonly opened: Promise<OrthancClient> }>();
  readonly #different = new Map<string, { readonly until: number; readonly own: Fingerprint | undefined }>();
  /** The result of the last comparison that had one. */
  #sameAs: string | undefined;

  constructor(dependencies: SharedDatabaseDependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * The followed source with the same database; undefined if there is none, as far as can be determined: an unknown source
   * that does not respond stops no other.
   *
   * @throws OrthancError if `own` cannot be queried
   */
  async find(own: OrthancClient, signal: AbortSignal): Promise<string | undefined> {
    const { source, feed } = this.#dependencies;
    const sources = this.#dependencies.sources();
    const names = Object.keys(sources);
    for (const [index, name] of names.entries()) {
      const config = sources[name];
      if (name === source || !config) continue;
      const place = `${name} ${config.url}`;
      if (await this.#isStillDifferent(place, own, signal)) continue;
      const [mine, theirs] = await Promise.all([feed(source), feed(name)]);
      const isFollowed = await isFollowedOn(own, mine, signal);
      const isOtherFollowed = await isFollowedOn(own, theirs, signal);
      const isNamedFirst = index < names.indexOf(source);
      if (isFollowed === isOtherFollowed ? !isNamedFirst : !isOtherFollowed) continue;
      let verdict = await compareFeeds(own, () => this.#client(name, config), signal);
      if (verdict === 'unknown' && theirs) verdict = await compareWithSeen(own, seenChanges(theirs), signal);
      // The changes may have been deleted: what was found before holds until another result.
      if (verdict === 'same' || (verdict === 'unknown' && name === this.#sameAs)) {
        this.#sameAs = name;
        return name;
      }
      if (name === this.#sameAs) this.#sameAs = undefined;
      if (verdict !== 'different') continue;
      const newest = await own.lastChange({ signal, timeoutMs: askMs });
      this.#different.set(place, { until: performance.now() + believedMs, own: newest && printOf(newest) });
    }
    return undefined;
  }

  /** Whether a result "different" is still valid: not if the source itself has another database since. */
  async #isStillDifferent(place: string, own: OrthancClient, signal: AbortSignal): Promise<boolean> {
    const known = this.#different.get(place);
    if (!known?.own || known.until < performance.now()) return false;
    return (await compareWithSeen(own, [known.own], signal)) === 'same';
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#clients.values()].map(async ({ opened }) => (await opened).close()));
  }

  #client(name: string, config: SourceConfig): Promise<OrthancClient> {
    const known = this.#clients.get(name);
    if (known?.config === config) return known.opened;
    known?.opened.then((client) => client.close()).catch(() => {});
    const opened = (this.#dependencies.open ?? openSource)(config);
    this.#clients.set(name, { config, opened });
    opened.catch(() => this.#clients.delete(name));
    return opened;
  }
}

/** Whether changes of this feed were dealt with before; if they were deleted, whether any were. */
async function isFollowedOn(own: OrthancClient, state: FeedState | undefined, signal: AbortSignal): Promise<boolean> {
  const seen = state ? seenChanges(state) : [];
  return seen.length > 0 && (await compareWithSeen(own, seen, signal)) !== 'different';
}

function printOf({ Seq: seq, ID: id, Date: date }: Change): Fingerprint {
  return { seq, id, date };
}

/** Whether a feed has the newest change of another one that can still be compared. A copy of a database has older ones too. */
async function compareWithSeen(
  own: OrthancClient,
  seen: readonly Fingerprint[],
  signal: AbortSignal,
): Promise<Verdict> {
  for (const { seq, id, date } of seen) {
    const { Changes: found } = await own.changes({ since: seq - 1, limit: 1 }, { signal, timeoutMs: askMs });
    const change = found.find(({ Seq }) => Seq === seq);
    if (change) return change.ID === id && change.Date === date ? 'same' : 'different';
  }
  return 'unknown';
}

/** Two feeds are one when each has the newest change of the other. A copy of a database has the old ones too. */
async function compareFeeds(
  own: OrthancClient,
  open: () => Promise<OrthancClient>,
  signal: AbortSignal,
): Promise<Verdict> {
  const options = { signal, timeoutMs: askMs };
  const newest = await own.lastChange(options);
  if (!newest) return 'unknown';
  try {
    const other = await open();
    const there = await other.changes({ since: newest.Seq - 1, limit: 1 }, options);
    if (!there.Changes.some(isSame(newest))) return (await has(own, newest)) ? 'different' : 'unknown';
    const otherNewest = await other.lastChange(options);
    if (!otherNewest) return 'unknown';
    const here = await own.changes({ since: otherNewest.Seq - 1, limit: 1 }, options);
    if (here.Changes.some(isSame(otherNewest))) return 'same';
    return (await has(other, otherNewest)) ? 'different' : 'unknown';
  } catch (error) {
    if (signal.aborted) throw error;
    return 'unknown';
  }

  /** Whether it still has a change that it had a moment ago: deleting a study removes its changes. */
  async function has(orthanc: OrthancClient, change: Change): Promise<boolean> {
    const { Changes: found } = await orthanc.changes({ since: change.Seq - 1, limit: 1 }, options);
    return found.some(isSame(change));
  }
}

function isSame(one: Change) {
  return (other: Change): boolean => other.Seq === one.Seq && other.ID === one.ID && other.Date === one.Date;
}
