import type { KeyRow } from './key-row.ts';

/** How far each source has been followed, and what is put off. */
export const sourceKeys: readonly KeyRow[] = [
  {
    keys: ['feed:SOURCE', 'sweep:SOURCE'],
    kind: 'key',
    what: 'how far a source is followed and swept; the place in the feed is in both, so that either may be lost alone',
    lives: 'always',
    backup: 'first',
  },
  {
    keys: ['lease:SOURCE'],
    kind: 'key',
    what: 'which router follows a source',
    lives: 'seconds after its router has ended',
    backup: 'no',
  },
  {
    keys: ['feed-later:SOURCE', 'feed-later:SOURCE:tries'],
    kind: 'key',
    what: 'studies that cannot be read for a reason of their own: when each is tried again, and why (at most 10,000 a source)',
    lives: 'until they can be read, or are gone',
    backup: 'first',
  },
  {
    keys: ['misdated:SOURCE'],
    kind: 'key',
    what: 'studies that came while the clock of the source was set back, with the numbers of their changes: whatever their dates say, the sweep looks at them, and they are no old ones',
    lives: 'until the sweep has seen them, 90 days at most',
    backup: 'first',
  },
  {
    keys: ['settled:SOURCE'],
    kind: 'key',
    what: 'after Redis lost data: what a router had noted of the studies, so that what had arrived is not sent again; studies that the source had before it was followed, and that are dated later',
    lives: 'until they change',
    backup: 'first',
  },
  {
    keys: ['feed-status:SOURCE'],
    kind: 'key',
    what: 'what the router that leads a source tells of it: what fails, its clock, another source on the same database',
    lives: '30 seconds after the last word',
    backup: 'no',
  },
  {
    keys: ['waits:SOURCE', 'waits-since:SOURCE STUDY'],
    kind: 'key',
    what: 'studies that are not whole yet: when to look again, and since when each rule waits',
    lives: 'until they are routed',
    backup: 'first',
  },
  {
    keys: ['left:SOURCE', 'forgetting:SOURCE'],
    kind: 'key',
    what: 'studies that may be forgotten soon, and how far the router has looked for them',
    lives: 'a week; always',
    backup: 'no',
  },
];
