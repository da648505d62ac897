/** One row of the table of keys in docs/architecture.md. */
export interface KeyRow {
  /**
   * Keys or channels without the prefix. Words in capitals stand for a value without a colon; `…` and `*` for any rest.
   */
  readonly keys: readonly string[];
  readonly kind: 'key' | 'channel';
  readonly what: string;
  readonly lives: string;
  /**
   * Whether a backup has it:
   *
   * - `first`: yes, all of these as of one moment, before the studies
   * - `before`: yes, before the studies and after those, each at its own time
   * - `study`: yes, with the study that it is of
   * - `last`: yes, after the studies
   * - `no`: it is made anew, is of no use to anybody later, or is secret
   */
  readonly backup: 'first' | 'before' | 'study' | 'last' | 'no';
}

/**
 * Every key and channel of ours in Redis: the only list of them. `redis-keys.ts` builds them, the table in
 * docs/architecture.md is written from it, and tests look that nothing else is in Redis.
 */
export const keyTable: readonly KeyRow[] = [
  {
    keys: ['format'],
    kind: 'key',
    what: 'version of the format of all keys below (`packages/state/src/keys/migrate.ts`)',
    lives: 'always',
    backup: 'first',
  },
  { keys: ['format-lock'], kind: 'key', what: 'held by the process that migrates', lives: 'a minute', backup: 'no' },
  {
    keys: ['restoring'],
    kind: 'key',
    what: 'the backup that is being put back; no service starts meanwhile',
    lives: 'until all of it is there',
    backup: 'no',
  },
  {
    keys: ['generation'],
    kind: 'key',
    what: 'marks the data as those that every process remembers: a Redis that lost something is noticed by it (docs/decisions/0015-lost-redis.md)',
    lives: 'always',
    backup: 'first',
  },
  {
    keys: ['generation-beats', 'generation-lock'],
    kind: 'key',
    what: 'the last sign of life of each process; held by the router that recovers',
    lives: '7 days after its process has ended; 30 seconds',
    backup: 'no',
  },
  {
    keys: ['processes', 'process:ID'],
    kind: 'key',
    what: 'processes of ours, and what each tells of itself: its services, host and clock',
    lives: '7 days; 20 seconds after the last beat',
    backup: 'no',
  },
  {
    keys: ['study:*', 'target-NAME:*'],
    kind: 'key',
    what: "BullMQ's queues; a study's record is `study:SOURCE:STUDY` (below)",
    lives: 'jobs: 7 days after success; after failure until removed, or the study is forgotten',
    backup: 'no',
  },
  {
    keys: ['ledger:SOURCE:STUDY:TARGET…'],
    kind: 'key',
    what: 'what the target has confirmed (docs/decisions/0013-ledger-layout.md)',
    lives: 'until its study is forgotten',
    backup: 'study',
  },
  {
    keys: ['ledger-folding'],
    kind: 'key',
    what: 'how far the ledgers of deliveries that an older version has finished are folded',
    lives: 'until all are',
    backup: 'first',
  },
  {
    keys: ['uids:SHARD', 'uid-studies:SHARD'],
    kind: 'key',
    what: 'which studies may share a SOP Instance UID at targets that know instances by it (docs/decisions/0020-shared-uids.md)',
    lives: 'until the study is forgotten',
    backup: 'last',
  },
  {
    keys: ['study:SOURCE:STUDY', 'study-deliveries:SOURCE:STUDY', 'delivery:ID', 'events:ID'],
    kind: 'key',
    what: "records of studies (STUDY is Orthanc's id, here as everywhere below) and deliveries, and timelines of deliveries",
    lives:
      'until the study is forgotten: `records.keep` after its last change, when its source no longer has it ([what, and why](decisions/0010-what-may-be-forgotten.md))',
    backup: 'study',
  },
  {
    keys: ['index:…'],
    kind: 'key',
    what: 'their ids by state, target, error, rule, source and time, those that are open, and those of studies by Study Instance UID and by keyed hashes of accession number, Patient ID and series UIDs (docs/decisions/0011-studies-are-found-by-keyed-hashes.md) (`packages/state/src/records/delivery-index.ts`): lists read only the records that they show',
    lives: 'with the records ([how](decisions/0014-record-layout.md))',
    backup: 'no',
  },
  {
    keys: ['cancelled:DELIVERY'],
    kind: 'key',
    what: 'an operator does not want the delivery; looked at before and during each attempt',
    lives: '90 days',
    backup: 'study',
  },
  {
    keys: ['task:ID'],
    kind: 'key',
    what: 'what is to be done in the source when all deliveries of a study task have succeeded, and how far that is',
    lives: 'until the study is forgotten',
    backup: 'last',
  },
  {
    keys: ['priors:SOURCE:STUDY'],
    kind: 'key',
    what: 'which earlier studies go along with a study to each target, why those, and how far that is (docs/decisions/0022-priors.md)',
    lives: 'until the study is forgotten',
    backup: 'before',
  },
  {
    keys: ['pulling:SOURCE:UID'],
    kind: 'key',
    what: 'instances of an earlier study, by Study Instance UID, that is being pulled into a source: rules do not route it',
    lives: 'until the pull has ended, 7 days at most',
    backup: 'first',
  },
  {
    keys: ['pulling:SOURCE:UID:lock'],
    kind: 'key',
    what: 'which dispatcher pulls an earlier study',
    lives: 'half a minute',
    backup: 'no',
  },
  {
    keys: ['fetches', 'fetch:ID'],
    kind: 'key',
    what: 'studies that a console gets from a target into a source, and how far each is',
    lives: 'a day',
    backup: 'no',
  },
  {
    keys: ['batches', 'batches-open', 'batch:ID', 'batch-todo:ID'],
    kind: 'key',
    what: "routings of many studies by hand, how far each is, and Orthanc's ids of the studies that are left (at most 200,000)",
    lives: '90 days after its end',
    backup: 'first',
  },
  {
    keys: ['reconcile:lease', 'reconcile:report'],
    kind: 'key',
    what: 'which process reconciles records and jobs, and what it found last',
    lives: 'a minute; always',
    backup: 'no',
  },
  {
    keys: ['held'],
    kind: 'key',
    what: 'ids of deliveries that wait for a release',
    lives: 'until released',
    backup: 'study',
  },
  {
    keys: ['changes', 'cancel', 'arrivals'],
    kind: 'channel',
    what: 'changes of records as `SOURCE STUDY`; ids of deliveries whose attempt is to stop at once; instances that have come of studies that are still being received, and the end of that',
    lives: '',
    backup: 'no',
  },
  {
    keys: ['feed:SOURCE', 'sweep:SOURCE'],
    kind: 'key',
    what: 'how far a source is followed and swept',
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
    what: 'after Redis lost data: what a router had noted of the studies, so that what had arrived is not sent again',
    lives: 'until they change, 90 days at most',
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
  {
    keys: ['circuit:TARGET', 'circuit:TARGET:probe', 'circuit:TARGET:waiting'],
    kind: 'key',
    what: 'an open circuit, and the deliveries that are woken when it closes',
    lives: 'until it closes',
    backup: 'no',
  },
  {
    keys: ['answered'],
    kind: 'key',
    what: 'when each target last confirmed or refused an instance',
    lives: 'always',
    backup: 'last',
  },
  {
    keys: ['turn:SOURCE:STUDY:TARGET…'],
    kind: 'key',
    what: 'which delivery of a study is under way, and which wait for its end',
    lives: 'until its end',
    backup: 'no',
  },
  {
    keys: ['choices:SOURCE STUDY'],
    kind: 'key',
    what: 'the member that each group has chosen for a study',
    lives: '180 days',
    backup: 'study',
  },
  {
    keys: ['turn:GROUP'],
    kind: 'key',
    what: 'counts the choices of a group that goes round',
    lives: 'always',
    backup: 'last',
  },
  {
    keys: ['targets'],
    kind: 'key',
    what: 'every target that has got a delivery, to find those removed since',
    lives: 'until nothing waits for it',
    backup: 'last',
  },
  {
    keys: ['limits', 'limits-configured'],
    kind: 'key',
    what: 'concurrency and rate of targets that an operator has set, and those of the configuration that were applied last',
    lives: 'until the configuration is reloaded; always',
    backup: 'last',
  },
  {
    keys: ['learnt'],
    kind: 'key',
    what: 'a lower concurrency that a receiver allows',
    lives: 'always',
    backup: 'no',
  },
  {
    keys: ['starts'],
    kind: 'key',
    what: 'how many deliveries of each target have started',
    lives: 'always',
    backup: 'last',
  },
  {
    keys: ['paused'],
    kind: 'key',
    what: 'who paused each target, and when',
    lives: 'until it is resumed',
    backup: 'first',
  },
  {
    keys: ['workers', 'worker:ID'],
    kind: 'key',
    what: 'dispatchers, and what each does',
    lives: 'a day; 20 seconds after the last heartbeat',
    backup: 'no',
  },
  {
    keys: ['stats:TARGET:MINUTE', 'stats-hour:TARGET:HOUR'],
    kind: 'key',
    what: 'deliveries and bytes of one minute, of one hour (since 1970), for the plots of the console',
    lives: 'two days; eight days',
    backup: 'last',
  },
  {
    keys: ['durations-hour:TARGET:HOUR', 'durations-day:TARGET:DAY'],
    kind: 'key',
    what: 'how long deliveries of one hour, of one day took by stage, counted in buckets',
    lives: 'three hours; nine days',
    backup: 'last',
  },
  {
    keys: ['reload', 'reload:ID:STEP', 'reloads'],
    kind: 'key',
    what: 'calls to read the configuration again (`reload` is a channel), and the answers of each process',
    lives: 'answers: 10 minutes',
    backup: 'no',
  },
  {
    keys: ['configuration-draft', 'configuration-lock'],
    kind: 'key',
    what: 'the change of the configuration that is being prepared in the console, with what it was made from; held while one is applied',
    lives: 'until applied or discarded; a minute',
    backup: 'no',
  },
  {
    keys: ['mail:NAME'],
    kind: 'key',
    what: 'what came for a delivery from outside, e.g. a report on a storage commitment',
    lives: 'until read, 30 days at most',
    backup: 'last',
  },
  {
    keys: ['receipt:DELIVERY', 'receipt-open:DELIVERY'],
    kind: 'key',
    what: 'what the target said of each instance (docs/decisions/0018-receipt-layout.md); of a delivery under way, before it is packed',
    lives: '`receipts.keep`; until the end of the attempt',
    backup: 'study',
  },
  {
    keys: ['target-audits', 'target-audit-findings:TARGET', 'target-audit-history:TARGET'],
    kind: 'key',
    what: 'how far the audit of each target is, what it found by study, and what the last 100 found',
    lives: 'until the next audit',
    backup: 'last',
  },
  {
    keys: ['target-audits-asked', 'target-audit-lease:TARGET'],
    kind: 'key',
    what: 'what operators want of an audit, and which dispatcher makes it',
    lives: 'until it is taken; a minute',
    backup: 'no',
  },
  {
    keys: ['places:TARGET'],
    kind: 'key',
    what: 'where a target is and was, and the ledger of each place',
    lives: 'always',
    backup: 'last',
  },
  {
    keys: ['memory:TARGET'],
    kind: 'key',
    what: 'which place a target is, e.g. the mark of its folder',
    lives: 'until replaced',
    backup: 'last',
  },
  {
    keys: ['state:DELIVERY'],
    kind: 'key',
    what: 'what a handler keeps through attempts',
    lives: 'until the delivery ends',
    backup: 'study',
  },
  {
    keys: ['cache:…'],
    kind: 'key',
    what: 'intermediate results (docs/decisions/0012-cache-layout.md)',
    lives: 'within their budget',
    backup: 'no',
  },
  {
    keys: ['notify:…'],
    kind: 'key',
    what: 'notifications: a queue of BullMQ, what waits for a digest, what has been sent',
    lives: 'until sent; a week',
    backup: 'no',
  },
  {
    keys: ['audit', 'audit-head'],
    kind: 'key',
    what: 'what operators did, each entry with a hash over the one before; the hash of the newest',
    lives: '`console.audit.keep`; always',
    backup: 'first',
  },
  {
    keys: ['audit-queries'],
    kind: 'key',
    what: 'searches in the console that an audit record repository has to know of, encrypted',
    lives: 'the newest 10,000',
    backup: 'last',
  },
  {
    keys: ['audit-forwarded'],
    kind: 'key',
    what: 'how far the audit log has got to a file and to syslog',
    lives: 'always',
    backup: 'last',
  },
  {
    keys: ['audit-deliveries', 'audit-leader'],
    kind: 'key',
    what: 'which deliveries the audit log to syslog has told of; which console forwards it',
    lives: '10 minutes; seconds',
    backup: 'no',
  },
  {
    keys: ['refused'],
    kind: 'key',
    what: 'what the console refused, counted by the minute',
    lives: 'the newest 20,000',
    backup: 'last',
  },
  {
    keys: ['session:HASH', 'sessions-ended-before'],
    kind: 'key',
    what: 'sessions of the console, and names whose older sessions an administrator has ended',
    lives: 'as configured',
    backup: 'no',
  },
  {
    keys: ['sessions-ended'],
    kind: 'channel',
    what: 'ends of sessions, for streams on other consoles',
    lives: '',
    backup: 'no',
  },
  {
    keys: ['sign-in:KIND:WINDOW'],
    kind: 'key',
    what: 'counters of failed attempts to sign in, 16 kB each',
    lives: '16 minutes',
    backup: 'no',
  },
];

/** The rows as the table of docs/architecture.md. */
export function keyTableMarkdown(): string {
  const rows = keyTable.map(({ keys, kind, what, lives, backup }) => {
    const names = keys.map((key) => `\`:${key}\``).join(', ');
    const isSaved = backup === 'no' ? '' : 'yes';
    return `| ${kind === 'channel' ? `channels ${names}` : names} | ${what} | ${lives} | ${isSaved} |`;
  });
  return ['| Key | What | Lives | In a backup |', '|---|---|---|---|', ...rows].join('\n');
}

const saved = Map.groupBy(
  keyTable
    .filter(({ backup }) => backup !== 'study' && backup !== 'no')
    .flatMap(({ keys, backup }) => keys.map((key) => ({ backup, first: firstPart(key), pattern: patternOf(key) }))),
  ({ first }) => first,
);

/**
 * Whether a backup reads a key by itself, and when; quick, since it is asked of every key.
 *
 * @param name - without the prefix
 */
export function backupOf(name: string): 'first' | 'before' | 'last' | undefined {
  const row = saved.get(firstPart(name))?.find(({ pattern }) => pattern.test(name));
  return row?.backup as ReturnType<typeof backupOf>;
}

function firstPart(name: string): string {
  return name.split(':', 1)[0] ?? '';
}

/** The row that a key belongs to; undefined for a key that nobody has entered. */
export function rowOfKey(prefix: string, key: string): KeyRow | undefined {
  if (!key.startsWith(`${prefix}:`)) return undefined;
  const rest = key.slice(prefix.length + 1);
  return keyTable.find(({ keys }) => keys.some((pattern) => patternOf(pattern).test(rest)));
}

function patternOf(key: string): RegExp {
  const source = key
    .split(/([A-Z]+|…|\*)/)
    .map((part) => {
      if (part === '…' || part === '*') return '.*';
      return /^[A-Z]+$/.test(part) ? '[^:]+' : part.replaceAll(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`);
    })
    .join('');
  return new RegExp(`^${source}$`, 's');
}
