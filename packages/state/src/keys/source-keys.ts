import type { KeyRow } from './key-row.ts';

/** Position in the change feed of each source, and postponed studies. */
export const sourceKeys: readonly KeyRow[] = [
  {
    keys: ['feed:SOURCE', 'sweep:SOURCE'],
    kind: 'key',
    what: 'position in the change feed of a source, and progress of its sweep; the place in the feed is in both, so that either may be lost alone',
    lives: 'always',
    backup: 'first',
  },
  {
    keys: ['lease:SOURCE'],
    kind: 'key',
    what: 'lease of the router that follows a source',
    lives: 'seconds after its router has ended',
    backup: 'no',
  },
  {
    keys: ['feed-later:SOURCE', 'feed-later:SOURCE:tries'],
    kind: 'key',
    what: 'postponed studies with the next attempt and the reason (at most 10,000 per source)',
    lives: 'until they can be read, or no longer exist',
    backup: 'first',
  },
  {
    keys: ['misdated:SOURCE'],
    kind: 'key',
    what: 'studies that arrived while the clock of the source was set back, with the numbers of their changes: the sweep checks them independent of their dates, and treats them as new',
    lives: 'until the sweep has checked them, at most 90 days',
    backup: 'first',
  },
  {
    keys: ['settled:SOURCE'],
    kind: 'key',
    what: 'after Redis lost data: the notes of a router about the studies, so that arrived instances are not sent again; studies that the source had before it was followed, and that are dated later',
    lives: 'until they change',
    backup: 'first',
  },
  {
    keys: ['feed-status:SOURCE'],
    kind: 'key',
    what: 'status of a source from its leading router: failures, clock, another source with the same database',
    lives: '30 seconds after the last update',
    backup: 'no',
  },
  {
    keys: ['waits:SOURCE', 'waits-since:SOURCE STUDY'],
    kind: 'key',
    what: 'incomplete studies with the next check, and since when each rule waits',
    lives: 'until they are routed',
    backup: 'first',
  },
  {
    keys: ['left:SOURCE', 'forgetting:SOURCE'],
    kind: 'key',
    what: 'studies whose records may be removed soon, and the progress of this check',
    lives: 'a week; always',
    backup: 'no',
  },
];
