import { table } from './report.ts';

/** What the measures of the flow found, as far as an extrapolation needs it. */
export interface FlowFigures {
  readonly tasksPerSecond: number;
  readonly cpuMsPerTask: number;
  readonly cpuMsPerDelivery: number;
  readonly redisCpuMsPerDelivery: number;
  readonly bytesPerWaiting: number;
  readonly jobBytes: number;
  readonly recordBytes: number;
  readonly rssBytes: number;
  readonly sweepSeconds: number;
  readonly sweepWithPausesSeconds: number;
  readonly sweepStudies: number;
}

/** Assumed of a study: what docs/capacity.md measures the ledger with. */
const instances = 500;
const instanceBytes = 524_000;
/** Of the folded ledger an instance and target, UIDs as scanners make them; the first table of docs/capacity.md. */
const ledgerBytes = 6.4;
/** Busy hours against the mean of a day. */
const peak = 4;
/** How busy a core may be kept for long. */
const share = 0.6;
/** The default of `records.keep`; what has left is forgotten up to a week later. */
const keepDays = 90;
/** A server of which it is said how long it lasts. */
const redisBytes = 32e9;

/** What the figures mean for a hospital group, for the migration of an archive, and beyond one Redis. */
export function printCapacity(figures: FlowFigures): string {
  const studyBytes = instances * instanceBytes;
  const days = 86_400;
  const group = { studies: 5_000, targets: 3 };
  const perSecond = (group.studies / days) * peak;
  const deliveriesPerSecond = perSecond * group.targets;
  const ledgerPerDay = group.studies * group.targets * instances * ledgerBytes;
  const recordsPerDay = group.studies * group.targets * figures.recordBytes;
  const restingBytes = (ledgerPerDay + recordsPerDay) * (keepDays + 7);
  const jobs = Math.min(group.studies * 7, 10_000) * group.targets * figures.jobBytes;
  const million = 1_000_000;
  const link = 100e6;
  /** Of a mean day, in a second. */
  const newBytes = (group.studies * group.targets * studyBytes) / days;
  const redisLimit = (share * 1_000) / figures.redisCpuMsPerDelivery;
  const sweepOf = (studies: number): string =>
    `${minutes((figures.sweepSeconds / figures.sweepStudies) * studies)} (${minutes((figures.sweepWithPausesSeconds / figures.sweepStudies) * studies)} with the pauses of the default)`;
  return [
    `Extrapolated from the figures of [performance.md](performance.md) by \`./dispatch bench flow --write\`, for studies of ${instances} instances and ${gb(studyBytes)}; a core is meant to be busy for ${share * 100} % at most. CPU for the bytes comes on top and depends on the target: the CPU column of performance.md.`,
    '### A hospital group: 5,000 studies a day, three targets',
    table(
      ['', 'needed at peak', 'one process or core can', 'used'],
      [
        [
          'study tasks (router)',
          `${perSecond.toFixed(2)}/s`,
          `${figures.tasksPerSecond.toFixed(0)}/s`,
          percent(perSecond / figures.tasksPerSecond),
        ],
        [
          'deliveries (a dispatcher’s core, without the bytes)',
          `${deliveriesPerSecond.toFixed(2)}/s`,
          `${((share * 1_000) / figures.cpuMsPerDelivery).toFixed(0)}/s`,
          percent((deliveriesPerSecond * figures.cpuMsPerDelivery) / (share * 1_000)),
        ],
        [
          'deliveries (Redis’ core)',
          `${deliveriesPerSecond.toFixed(2)}/s`,
          `${redisLimit.toFixed(0)}/s`,
          percent(deliveriesPerSecond / redisLimit),
        ],
        [
          'bytes out',
          `${((deliveriesPerSecond * studyBytes) / 1e6).toFixed(0)} MB/s`,
          '118 MB/s on 1 Gbit/s',
          percent((deliveriesPerSecond * studyBytes) / 118e6),
        ],
        ['a sweep of 1,000,000 studies', 'once an hour', sweepOf(million), ''],
      ],
    ),
    `Redis holds at most ${gb(jobs)} of finished jobs (seven days, at most 10,000 a queue), and grows by ${gb(recordsPerDay)} of records and ${gb(ledgerPerDay)} of ledger a day. Where Orthanc is a gateway that deletes what it has passed on, that ends at ${gb(restingBytes)}: what has left is forgotten after \`records.keep\` (${keepDays} days). Where Orthanc is the archive, it goes on for as long as the archive grows.`,
    `What breaks first is the network: at peak the bytes want ${((deliveriesPerSecond * studyBytes * 8) / 1e9).toFixed(1)} Gbit/s, and Orthanc has to read each study once for each target. Next is memory of Redis: with an archive behind it, ${gb(redisBytes)} are full after ${((redisBytes * share) / (ledgerPerDay + recordsPerDay)).toFixed(0)} days (${share * 100} % of them: the rest is for the rewrite of its file). CPU of router and Redis is far away.`,
    `What to do: two dispatchers on two hosts (one is enough for the work, the other for when it fails), 10 Gbit/s at Orthanc, targets that are slow or far behind a \`rateLimit\` or a \`schedule\`. For a gateway a shorter \`records.keep\`: 30 days need ${gb((ledgerPerDay + recordsPerDay) * 37)}. For an archive, Redis for all studies that it holds, or fewer targets from here, of which one sends on. An archive that need not know any more what it sent long ago begins anew, when nothing waits, with another \`redis.prefix\` and \`startFrom\` at a date.`,
    '### A national archive: 1,000,000 studies to one target',
    table(
      ['', 'takes'],
      [
        ['routing all of it', hours(million / figures.tasksPerSecond)],
        ['the deliveries’ own work, on one core', hours((million * figures.cpuMsPerDelivery) / 1_000 / share)],
        [
          `the bytes (${((million * studyBytes) / 1e12).toFixed(0)} TB) at 100 MB/s`,
          hours((million * studyBytes) / 100e6),
        ],
        ['the bytes at 1 GB/s', hours((million * studyBytes) / 1e9)],
        ['memory of Redis while all wait', gb(million * figures.bytesPerWaiting)],
        ['memory of Redis afterwards: records', gb(million * figures.recordBytes)],
        ['memory of Redis afterwards: ledger', gb(million * instances * ledgerBytes)],
        ['a sweep', sweepOf(million)],
      ],
    ),
    'What breaks first is the link, or the disks that Orthanc reads from; then memory of Redis, by records and ledger. The queue itself does not mind: the cost of a delivery stays the same with 100,000 waiting (performance.md).',
    `New studies meanwhile go first: a batch has the priority \`background\`. Those of the group above take ${percent(newBytes / link)} of 100 MB/s, so the bytes of the archive take ${hours((million * studyBytes) / (link - newBytes))} instead; in that time they leave ${gb(((recordsPerDay + ledgerPerDay) * million * studyBytes) / (link - newBytes) / days)} in Redis, which come on top.`,
    'What to do: migrate year by year, with batches by study date ([runbooks](runbooks.md#an-archive-of-1000000-studies-is-migrated)), so that the backlog stays in the tens of thousands; add dispatchers until link or source are full, not longer; give the migration a `redis.prefix` of its own, whose keys are deleted when it is done and checked.',
    '### Beyond one Redis',
    `All keys of a deployment are on one Redis, and Redis works on one core. It has ${figures.redisCpuMsPerDelivery.toFixed(2)} ms of work for a delivery: **about ${redisLimit.toFixed(0)} deliveries a second** are the end of it, ${Math.round((redisLimit * days) / 1_000).toLocaleString('en')},000 a day, whatever the number of dispatchers; what an instance's confirmations take comes on top, and is written in batches. Its memory ends earlier.`,
    'What to do then: shard by source. Each Orthanc, or each group of them, gets a deployment of its own: router, dispatchers, console, and a `redis.prefix` of its own in a Redis Cluster, or a Redis of its own. Deployments share nothing, so nothing has to be settled between them; a target that several of them send to needs its `concurrency` and `rateLimit` divided among them. One source that is too much for one Redis does not exist before Orthanc itself is the limit: it gives instances for about as many studies a second as its disks read.',
  ].join('\n\n');
}

function percent(part: number): string {
  return part < 0.01 ? '< 1 %' : `${(part * 100).toFixed(0)} %`;
}

function gb(bytes: number): string {
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(0)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

function hours(seconds: number): string {
  if (seconds < 5_400) return minutes(seconds);
  return seconds < 48 * 3_600 ? `${(seconds / 3_600).toFixed(1)} h` : `${(seconds / 86_400).toFixed(1)} days`;
}

function minutes(seconds: number): string {
  return seconds < 90 ? `${seconds.toFixed(0)} s` : `${(seconds / 60).toFixed(0)} min`;
}
