import type { SourceConfig } from '@dicom-dispatch/core';
import type { Change } from '@dicom-dispatch/orthanc';
import { openSource, type OrthancClient } from '@dicom-dispatch/sources';

/** How long it is believed that two databases are two. */
const believedMs = 600_000;
const askMs = 5_000;

/**
 * Finds out whether a source is on the same database as one that is named before it, e.g. two Orthancs on one PostgreSQL: each
 * study would be routed twice. The same change feed tells (docs/failure-modes.md).
 */
export class SharedDatabase {
  readonly #others: ReadonlyMap<string, SourceConfig>;
  readonly #clients = new Map<string, Promise<OrthancClient>>();
  readonly #differsUntil = new Map<string, number>();

  /** @param sources - in the order of the configuration */
  constructor(source: string, sources: Readonly<Record<string, SourceConfig>>) {
    const names = Object.keys(sources);
    const before = names.slice(0, names.indexOf(source));
    this.#others = new Map(before.map((name) => [name, sources[name]!]));
  }

  /**
   * The source named before that is on the same database; undefined when there is none, as far as can be told: one that does not
   * answer stops nobody.
   *
   * @throws OrthancError when `own` cannot be asked
   */
  async find(own: OrthancClient, signal: AbortSignal): Promise<string | undefined> {
    for (const [name, config] of this.#others) {
      if ((this.#differsUntil.get(name) ?? 0) > performance.now()) continue;
      const verdict = await compareFeeds(own, () => this.#client(name, config), signal);
      if (verdict === 'same') return name;
      if (verdict === 'different') this.#differsUntil.set(name, performance.now() + believedMs);
    }
    return undefined;
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#clients.values()].map(async (opened) => (await opened).close()));
  }

  #client(name: string, config: SourceConfig): Promise<OrthancClient> {
    const known = this.#clients.get(name);
    if (known) return known;
    const opened = openSource(config);
    this.#clients.set(name, opened);
    opened.catch(() => this.#clients.delete(name));
    return opened;
  }
}

/** Two feeds are one when each has the newest change of the other. A copy of a database has the old ones too. */
async function compareFeeds(
  own: OrthancClient,
  open: () => Promise<OrthancClient>,
  signal: AbortSignal,
): Promise<'same' | 'different' | 'unknown'> {
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

  /** Whether it still has a change that it had a moment ago: a study that is deleted takes its changes away. */
  async function has(orthanc: OrthancClient, change: Change): Promise<boolean> {
    const { Changes: found } = await orthanc.changes({ since: change.Seq - 1, limit: 1 }, options);
    return found.some(isSame(change));
  }
}

function isSame(one: Change) {
  return (other: Change): boolean => other.Seq === one.Seq && other.ID === one.ID && other.Date === one.Date;
}
