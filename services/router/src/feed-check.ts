import type { OrthancClient } from '@dicom-dispatch/orthanc';
import { judgeDatabase } from '@dicom-dispatch/sources';
import { seenChanges, type FeedState } from '@dicom-dispatch/state/feed';
import { isAnotherFeed } from './read-feed.ts';

/** Interval for checking older changes while the newest seen one is missing. */
const lookEveryMs = 30_000;

/** Notices that the feed of a source is not the one that was followed. */
export class FeedCheck {
  readonly #orthanc: OrthancClient;
  readonly #signal: AbortSignal;
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(orthanc: OrthancClient, signal: AbortSignal) {
    this.#orthanc = orthanc;
    this.#signal = signal;
  }

  /** @throws OrthancError */
  async isAnother(state: FeedState): Promise<boolean> {
    const { fingerprint: remembered } = state;
    if (!remembered) return false;
    const options = { signal: this.#signal };
    const [page, newest] = await Promise.all([
      this.#orthanc.changes({ since: remembered.seq - 1, limit: 1 }, options),
      this.#orthanc.lastChange(options),
    ]);
    const same = page.Changes.find((change) => change.Seq === remembered.seq);
    if (isAnotherFeed(remembered, same, newest)) return true;
    if (same || performance.now() - this.#lookedAt < lookEveryMs) return false;
    this.#lookedAt = performance.now();
    return (await judgeDatabase(this.#orthanc, seenChanges(state), options)) === 'another';
  }
}
