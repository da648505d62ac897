/** One row of the table of keys in docs/architecture.md. */
export interface KeyRow {
  /**
   * Keys or channels without the prefix. Words in capitals stand for a value without a colon; `…` and `*` for any rest.
   */
  readonly keys: readonly string[];
  readonly kind: 'key' | 'channel';
  readonly what: string;
  readonly lives: string;
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
  },
  { keys: ['format-lock'], kind: 'key', what: 'held by the process that migrates', lives: 'a minute' },
  {
    keys: ['generation', 'generation-beats', 'generation-lock'],
    kind: 'key',
    what: 'marks the data as those that every process remembers: a Redis that lost something is noticed by it (docs/decisions/0015-lost-redis.md)',
    lives: 'always; a beat: 7 days after its process has ended; the lock: 30 seconds',
  },
  {
    keys: ['processes', 'process:ID'],
    kind: 'key',
    what: 'processes of ours, and what each tells of itself: its services, host and clock',
    lives: '7 days; 20 seconds after the last beat',
  },
  {
    keys: ['study:*', 'target-NAME:*'],
    kind: 'key',
    what: "BullMQ's queues; a study's record is `study:SOURCE:STUDY` (below)",
    lives: 'jobs: 7 days after success; after failure until removed, or the study is forgotten',
  },
  {
    keys: ['ledger:SOURCE:STUDY:TARGET…'],
    kind: 'key',
    what: 'what the target has confirmed (docs/decisions/0013-ledger-layout.md)',
    lives: 'until its study is forgotten',
  },
  {
    keys: ['ledger-folding'],
    kind: 'key',
    what: 'how far the ledgers of deliveries that an older version has finished are folded',
    lives: 'until all are',
  },
  {
    keys: ['uids:SHARD', 'uid-studies:SHARD'],
    kind: 'key',
    what: 'which studies may share a SOP Instance UID at targets that know instances by it (docs/decisions/0020-shared-uids.md)',
    lives: 'until the study is forgotten',
  },
  {
    keys: ['study:SOURCE:STUDY', 'study-deliveries:SOURCE:STUDY', 'delivery:ID', 'events:ID'],
    kind: 'key',
    what: "records of studies (STUDY is Orthanc's id, here as everywhere below) and deliveries, and timelines of deliveries",
    lives:
      'until the study is forgotten: `records.keep` after its last change, when its source no longer has it ([what, and why](decisions/0010-what-may-be-forgotten.md))',
  },
  {
    keys: ['index:…'],
    kind: 'key',
    what: 'their ids by state, target, error, rule, source and time, those that are open, and those of studies by Study Instance UID and by keyed hashes of accession number, Patient ID and series UIDs (docs/decisions/0011-studies-are-found-by-keyed-hashes.md) (`packages/state/src/records/delivery-index.ts`): lists read only the records that they show',
    lives: 'with the records ([how](decisions/0014-record-layout.md))',
  },
  {
    keys: ['cancelled:DELIVERY'],
    kind: 'key',
    what: 'an operator does not want the delivery; looked at before and during each attempt',
    lives: '90 days',
  },
  {
    keys: ['task:ID'],
    kind: 'key',
    what: 'what is to be done in the source when all deliveries of a study task have succeeded, and how far that is',
    lives: 'until the study is forgotten',
  },
  {
    keys: ['priors:SOURCE:STUDY'],
    kind: 'key',
    what: 'which earlier studies go along with a study to each target, why those, and how far that is (docs/decisions/0022-priors.md)',
    lives: 'until the study is forgotten',
  },
  {
    keys: ['pulling:SOURCE:UID', 'pulling:SOURCE:UID:lock'],
    kind: 'key',
    what: 'instances of an earlier study, by Study Instance UID, that is being pulled into a source: rules do not route it; which dispatcher pulls it',
    lives: 'until the pull has ended, 7 days at most; half a minute',
  },
  {
    keys: ['fetches', 'fetch:ID'],
    kind: 'key',
    what: 'studies that a console gets from a target into a source, and how far each is',
    lives: 'a day',
  },
  {
    keys: ['batches', 'batches-open', 'batch:ID', 'batch-todo:ID'],
    kind: 'key',
    what: "routings of many studies by hand, how far each is, and Orthanc's ids of the studies that are left (at most 200,000)",
    lives: '90 days after its end',
  },
  {
    keys: ['reconcile:lease', 'reconcile:report'],
    kind: 'key',
    what: 'which process reconciles records and jobs, and what it found last',
    lives: 'a minute; always',
  },
  { keys: ['held'], kind: 'key', what: 'ids of deliveries that wait for a release', lives: 'until released' },
  {
    keys: ['changes', 'cancel', 'arrivals'],
    kind: 'channel',
    what: 'changes of records as `SOURCE STUDY`; ids of deliveries whose attempt is to stop at once; instances that have come of studies that are still being received, and the end of that',
    lives: '',
  },
  {
    keys: ['feed:SOURCE', 'lease:SOURCE', 'sweep:SOURCE'],
    kind: 'key',
    what: 'how far a source is followed, and by which router',
    lives: 'always',
  },
  {
    keys: ['feed-later:SOURCE', 'feed-later:SOURCE:tries'],
    kind: 'key',
    what: 'studies that cannot be read for a reason of their own: when each is tried again, and why (at most 10,000 a source)',
    lives: 'until they can be read, or are gone',
  },
  {
    keys: ['misdated:SOURCE'],
    kind: 'key',
    what: 'studies that came while the clock of the source was set back, with the numbers of their changes: the sweep looks at them whatever their dates say',
    lives: 'until the sweep has seen them, 90 days at most',
  },
  {
    keys: ['settled:SOURCE'],
    kind: 'key',
    what: 'after Redis lost data: what a router had noted of the studies, so that what had arrived is not sent again',
    lives: 'until they change, 90 days at most',
  },
  {
    keys: ['feed-status:SOURCE'],
    kind: 'key',
    what: 'what the router that leads a source tells of it: what fails, its clock, another source on the same database',
    lives: '30 seconds after the last word',
  },
  {
    keys: ['waits:SOURCE', 'waits-since:SOURCE STUDY'],
    kind: 'key',
    what: 'studies that are not whole yet: when to look again, and since when each rule waits',
    lives: 'until they are routed',
  },
  {
    keys: ['left:SOURCE', 'forgetting:SOURCE'],
    kind: 'key',
    what: 'studies that may be forgotten soon, and how far the router has looked for them',
    lives: 'a week; always',
  },
  {
    keys: ['circuit:TARGET', 'circuit:TARGET:probe', 'circuit:TARGET:waiting'],
    kind: 'key',
    what: 'an open circuit, and the deliveries that are woken when it closes',
    lives: 'until it closes',
  },
  {
    keys: ['answered'],
    kind: 'key',
    what: 'when each target last confirmed or refused an instance',
    lives: 'always',
  },
  {
    keys: ['turn:SOURCE:STUDY:TARGET…'],
    kind: 'key',
    what: 'which delivery of a study is under way, and which wait for its end',
    lives: 'until its end',
  },
  {
    keys: ['choices:SOURCE STUDY', 'turn:GROUP'],
    kind: 'key',
    what: 'the member that each group has chosen for a study; counts the choices of a group that goes round',
    lives: '180 days; always',
  },
  {
    keys: ['targets'],
    kind: 'key',
    what: 'every target that has got a delivery, to find those removed since',
    lives: 'until nothing waits for it',
  },
  {
    keys: ['limits'],
    kind: 'key',
    what: 'concurrency and rate of targets that an operator has set',
    lives: 'until the configuration is reloaded',
  },
  {
    keys: ['limits-configured', 'learnt', 'starts'],
    kind: 'key',
    what: 'the configured concurrency and rate of each target that were applied last; a lower concurrency that a receiver allows; how many deliveries of each have started',
    lives: 'always',
  },
  { keys: ['paused'], kind: 'key', what: 'who paused each target, and when', lives: 'until it is resumed' },
  {
    keys: ['workers', 'worker:ID'],
    kind: 'key',
    what: 'dispatchers, and what each does',
    lives: 'a day; 20 seconds after the last heartbeat',
  },
  {
    keys: ['stats:TARGET:MINUTE', 'stats-hour:TARGET:HOUR'],
    kind: 'key',
    what: 'deliveries and bytes of one minute, of one hour (since 1970), for the plots of the console',
    lives: 'two days; eight days',
  },
  {
    keys: ['durations-hour:TARGET:HOUR', 'durations-day:TARGET:DAY'],
    kind: 'key',
    what: 'how long deliveries of one hour, of one day took by stage, counted in buckets',
    lives: 'three hours; nine days',
  },
  {
    keys: ['reload', 'reload:ID:STEP', 'reloads'],
    kind: 'key',
    what: 'calls to read the configuration again (`reload` is a channel), and the answers of each process',
    lives: 'answers: 10 minutes',
  },
  {
    keys: ['configuration-draft', 'configuration-lock'],
    kind: 'key',
    what: 'the change of the configuration that is being prepared in the console, with what it was made from; held while one is applied',
    lives: 'until applied or discarded; a minute',
  },
  {
    keys: ['mail:NAME'],
    kind: 'key',
    what: 'what came for a delivery from outside, e.g. a report on a storage commitment',
    lives: 'until read, 30 days at most',
  },
  {
    keys: ['receipt:DELIVERY', 'receipt-open:DELIVERY'],
    kind: 'key',
    what: 'what the target said of each instance (docs/decisions/0018-receipt-layout.md); of a delivery under way, before it is packed',
    lives: '`receipts.keep`; until the end of the attempt',
  },
  {
    keys: ['target-audits', 'target-audit-findings:TARGET', 'target-audit-history:TARGET'],
    kind: 'key',
    what: 'how far the audit of each target is, what it found by study, and what the last 100 found',
    lives: 'until the next audit',
  },
  {
    keys: ['target-audits-asked', 'target-audit-lease:TARGET'],
    kind: 'key',
    what: 'what operators want of an audit, and which dispatcher makes it',
    lives: 'until it is taken; a minute',
  },
  {
    keys: ['places:TARGET'],
    kind: 'key',
    what: 'where a target is and was, and the ledger of each place',
    lives: 'always',
  },
  {
    keys: ['memory:TARGET'],
    kind: 'key',
    what: 'which place a target is, e.g. the mark of its folder',
    lives: 'until replaced',
  },
  {
    keys: ['state:DELIVERY'],
    kind: 'key',
    what: 'what a handler keeps through attempts',
    lives: 'until the delivery ends',
  },
  {
    keys: ['cache:…'],
    kind: 'key',
    what: 'intermediate results (docs/decisions/0012-cache-layout.md)',
    lives: 'within their budget',
  },
  {
    keys: ['notify:…'],
    kind: 'key',
    what: 'notifications: a queue of BullMQ, what waits for a digest, what has been sent',
    lives: 'until sent; a week',
  },
  {
    keys: ['audit', 'audit-head'],
    kind: 'key',
    what: 'what operators did, each entry with a hash over the one before; the hash of the newest',
    lives: '`console.audit.keep`; always',
  },
  {
    keys: ['audit-queries'],
    kind: 'key',
    what: 'searches in the console that an audit record repository has to know of, encrypted',
    lives: 'the newest 10,000',
  },
  {
    keys: ['audit-forwarded', 'audit-deliveries', 'audit-leader'],
    kind: 'key',
    what: 'how far the audit log has got to a file and to syslog; which console forwards it',
    lives: 'always; 10 minutes; seconds',
  },
  {
    keys: ['refused'],
    kind: 'key',
    what: 'what the console refused, counted by the minute',
    lives: 'the newest 20,000',
  },
  {
    keys: ['session:HASH', 'sessions-ended-before'],
    kind: 'key',
    what: 'sessions of the console, and names whose older sessions an administrator has ended',
    lives: 'as configured',
  },
  { keys: ['sessions-ended'], kind: 'channel', what: 'ends of sessions, for streams on other consoles', lives: '' },
  {
    keys: ['sign-in:KIND:WINDOW'],
    kind: 'key',
    what: 'counters of failed attempts to sign in, 16 kB each',
    lives: '16 minutes',
  },
];

/** The rows as the table of docs/architecture.md. */
export function keyTableMarkdown(): string {
  const rows = keyTable.map(({ keys, kind, what, lives }) => {
    const names = keys.map((key) => `\`:${key}\``).join(', ');
    return `| ${kind === 'channel' ? `channels ${names}` : names} | ${what} | ${lives} |`;
  });
  return ['| Key | What | Lives |', '|---|---|---|', ...rows].join('\n');
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
