import { table } from './report.ts';

/** Results of the flow measurements that the extrapolation needs. */
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

/** Size of a study: the one for which docs/capacity.md measures the ledger. */
const instances = 500;
const instanceBytes = 524_000;
/** Folded ledger per instance and target, UIDs of a scanner; the first table of docs/capacity.md. */
const ledgerBytes = 6.4;
/** Peak hours relative to the daily mean. */
const peak = 4;
/** Permanent utilisation of a core. */
const share = 0.6;
/** The default of `records.keep`; records of deleted studies are removed up to a week later. */
const keepDays = 90;
/** A server for which the time until it is full is computed. */
const redisBytes = 32e9;

/** Extrapolation for a hospital group, for the migration of an archive, and beyond one Redis. */
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
  /** Daily mean, per second. */
  const newBytes = (group.studies * group.targets * studyBytes) / days;
  const redisLimit = (share * 1_000) / figures.redisCpuMsPerDelivery;
  const sweepOf = (studies: number): string =>
    `${minutes((figures.sweepSeconds / figures.sweepStudies) * studies)} (${minutes((figures.sweepWithPausesSeconds / figures.sweepStudies) * studies)} with the pauses of the default)`;
  return [
    `Extrapolated from the figures of [performance.md](performance.md) by \`./dispatch bench flow --write\`, for studies of ${instances} instances and ${gb(studyBytes)}; the target utilisation of a core is at most ${share * 100} %. CPU time for transferring the bytes is additional and depends on the target: see the CPU column of performance.md.`,
    '### A hospital group: 5,000 studies a day, three targets',
    table(
      ['', 'needed at peak', 'capacity of one process or core', 'used'],
      [
        [
          'study tasks (router)',
          `${perSecond.toFixed(2)}/s`,
          `${figures.tasksPerSecond.toFixed(0)}/s`,
          percent(perSecond / figures.tasksPerSecond),
        ],
        [
          'deliveries (one dispatcher core, without the bytes)',
          `${deliveriesPerSecond.toFixed(2)}/s`,
          `${((share * 1_000) / figures.cpuMsPerDelivery).toFixed(0)}/s`,
          percent((deliveriesPerSecond * figures.cpuMsPerDelivery) / (share * 1_000)),
        ],
        [
          'deliveries (core of Redis)',
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
    `Redis stores at most ${gb(jobs)} of finished jobs (seven days, at most 10,000 per queue), and grows by ${gb(recordsPerDay)} of records and ${gb(ledgerPerDay)} of ledger per day. If Orthanc is a gateway that deletes forwarded studies, the maximum is ${gb(restingBytes)}: the records of deleted studies are removed after \`records.keep\` (${keepDays} days). If Orthanc is the archive, Redis grows with the archive.`,
    `The first bottleneck is the network: the peak load is ${((deliveriesPerSecond * studyBytes * 8) / 1e9).toFixed(1)} Gbit/s, and Orthanc must read each study once for each target. The next is the memory of Redis: with an archive, ${gb(redisBytes)} are used up after ${((redisBytes * share) / (ledgerPerDay + recordsPerDay)).toFixed(0)} days (${share * 100} % of them: the rest is needed to rewrite its append-only file). The CPU load of router and Redis is far from its limit.`,
    `Recommendation: two dispatchers on two hosts (one is sufficient for the load, the other is for failover), 10 Gbit/s at Orthanc, and a \`rateLimit\` or a \`schedule\` for slow or remote targets. For a gateway, use a shorter \`records.keep\`: 30 days need ${gb((ledgerPerDay + recordsPerDay) * 37)}. For an archive, provide memory for all its studies, or send to fewer targets, one of which forwards the studies. If the history of old deliveries is no longer needed, start again with another \`redis.prefix\` and \`startFrom\` at a date, when no delivery waits.`,
    '### A national archive: 1,000,000 studies to one target',
    table(
      ['', 'takes'],
      [
        ['routing all studies', hours(million / figures.tasksPerSecond)],
        ['processing of the deliveries, on one core', hours((million * figures.cpuMsPerDelivery) / 1_000 / share)],
        [
          `the bytes (${((million * studyBytes) / 1e12).toFixed(0)} TB) at 100 MB/s`,
          hours((million * studyBytes) / 100e6),
        ],
        ['the bytes at 1 GB/s', hours((million * studyBytes) / 1e9)],
        ['memory of Redis while all deliveries wait', gb(million * figures.bytesPerWaiting)],
        ['memory of Redis afterwards: records', gb(million * figures.recordBytes)],
        ['memory of Redis afterwards: ledger', gb(million * instances * ledgerBytes)],
        ['a sweep', sweepOf(million)],
      ],
    ),
    'The first bottleneck is the link, or the disks of Orthanc; the next is the memory of Redis, for records and ledger. The length of the queue has no effect: the cost of a delivery is the same with 100,000 waiting (performance.md).',
    `New studies are sent first, because a batch has the priority \`background\`. Those of the hospital group above use ${percent(newBytes / link)} of 100 MB/s, so transferring the archive takes ${hours((million * studyBytes) / (link - newBytes))} instead; during this time they add ${gb(((recordsPerDay + ledgerPerDay) * million * studyBytes) / (link - newBytes) / days)} to Redis.`,
    'Recommendation: migrate year by year, with batches by study date ([runbooks](runbooks.md#an-archive-of-1000000-studies-is-migrated)), so that the backlog stays in the tens of thousands. Add dispatchers only until link or source are saturated. Use a separate `redis.prefix` for the migration, and delete its keys after it is complete and verified.',
    '### Beyond one Redis',
    `All keys of a deployment are in one Redis, which uses one core. A delivery takes ${figures.redisCpuMsPerDelivery.toFixed(2)} ms of its CPU time. The limit is therefore **about ${redisLimit.toFixed(0)} deliveries a second**, ${Math.round((redisLimit * days) / 1_000).toLocaleString('en')},000 a day, for any number of dispatchers. Confirmations of instances are additional and are written in batches. The memory limit is reached earlier.`,
    'Beyond this limit, shard by source. Each Orthanc, or each group of them, gets a separate deployment: router, dispatchers, console, and a separate `redis.prefix` in a Redis Cluster, or a separate Redis. Deployments share nothing, so they need no coordination. Divide the `concurrency` and `rateLimit` of a target among the deployments that send to it. A single source reaches the limit of Orthanc, which depends on its disks, before the limit of one Redis.',
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
