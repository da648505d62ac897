/**
 * Routing, sweeping, distribution among dispatchers, targets and backlogs, and their cost in Redis. Orthanc, Redis and
 * services are real; the result mentions where a source is simulated.
 *
 *   ./dispatch bench flow --help
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { readLongCommand } from '@dicom-dispatch/harness';
import { measureRouter, measureSweep } from './flow-router.ts';
import { lanes, latencyMs, measureBacklog, measureTargets, measureWorkers } from './flow-workers.ts';
import { printCapacity, type FlowFigures } from './flow-capacity.ts';
import { describeMachine, table, writeSection } from './report.ts';

const { values } = readLongCommand({
  usage: './dispatch bench flow',
  about: 'Routing, sweeping, distribution among dispatchers, targets and backlogs, and their cost in Redis.',
  options: {
    quick: { type: 'boolean', about: 'small numbers' },
    only: { type: 'list', of: ['router', 'latency', 'sweep', 'workers', 'targets', 'backlog'], about: 'measurements' },
    write: { type: 'boolean', about: 'write the results into docs/performance.md and docs/capacity.md' },
  },
});
const isQuick = values.quick;
const measures: Readonly<Record<(typeof wanted)[number], () => Promise<string>>> = {
  router: printRouter,
  latency: printLatency,
  sweep: printSweep,
  workers: printWorkers,
  targets: printTargets,
  backlog: printBacklog,
};
const figures: Partial<Record<keyof FlowFigures, number>> = {};
const machine = await describeMachine(['Redis', 'Orthanc']);
const wanted = values.only;
for (const name of wanted) {
  const startedAt = Date.now();
  const text = await measures[name]();
  const command = `./dispatch bench flow${isQuick ? ' --quick' : ''} --only ${name}`;
  const took = Math.max(1, Math.round((Date.now() - startedAt) / 60_000));
  const section = `${text}\n\n\`${command}\`: ${machine} Took ${took} min; all processes share these cores.`;
  if (values.write) await writeSection('performance.md', `flow ${name}`, section);
  console.log(`${section}\n`);
}
if ((Object.keys(measures) as (keyof typeof measures)[]).every((name) => name === 'latency' || wanted.includes(name))) {
  const capacity = printCapacity(figures as FlowFigures);
  if (values.write) await writeSection('capacity.md', 'flow', capacity);
  console.log(capacity);
}

async function printRouter(): Promise<string> {
  const { studies, tasksPerSecond, cpuMsPerTask, orthancCpuMsPerTask, redisCpuMsPerTask } = await measureRouter(
    isQuick ? 100 : 1_000,
  );
  Object.assign(figures, { tasksPerSecond, cpuMsPerTask });
  return `#### Router\n\n**${tasksPerSecond.toFixed(0)} study tasks a second** of ${studies} stable studies that waited in Orthanc's feed, one delivery each (read from Orthanc, rules applied, durable in Redis); CPU per study: router ${cpuMsPerTask.toFixed(1)} ms, including the start of the process; Orthanc ${orthancCpuMsPerTask.toFixed(1)} ms, Redis ${redisCpuMsPerTask.toFixed(1)} ms.`;
}

async function printLatency(): Promise<string> {
  const script = fileURLToPath(new URL('push-latency.ts', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--disable-warning=ExperimentalWarning',
    script,
    isQuick ? '3' : '20',
  ]);
  return `#### From stable to the first byte at the target\n\n\`\`\`\n${stdout.trim()}\n\`\`\``;
}

async function printSweep(): Promise<string> {
  const one = await measureSweep(isQuick ? 5_000 : 100_000);
  Object.assign(figures, {
    sweepSeconds: one.seconds,
    sweepWithPausesSeconds: one.withPausesSeconds,
    sweepStudies: one.studies,
  });
  return `#### Sweep\n\n**${one.seconds.toFixed(1)} s** for ${one.studies.toLocaleString('en')} studies that were all routed before, without pauses; with the pauses of the default configuration ${one.withPausesSeconds.toFixed(0)} s. The source is simulated and faster than any Orthanc, so this measures router and Redis. The record of a study takes ${one.redisBytesPerStudy.toFixed(0)} bytes.`;
}

async function printWorkers(): Promise<string> {
  const rows = await measureWorkers([1, 2, 4, 8], isQuick ? 32 : 64);
  return [
    '#### Dispatchers',
    `A target that takes ${latencyMs} ms per delivery and no CPU, ${lanes} parallel deliveries per dispatcher: at most ${(lanes * 1_000) / latencyMs} per second for each dispatcher.`,
    table(
      ['dispatchers', 'deliveries/s', 'efficiency'],
      rows.map((row) => [row.workers, row.deliveriesPerSecond.toFixed(1), `${(row.efficiency * 100).toFixed(0)} %`]),
    ),
  ].join('\n\n');
}

async function printTargets(): Promise<string> {
  const rows = await measureTargets(isQuick ? [1, 64] : [1, 4, 16, 64], isQuick ? 64 : 320);
  const [first, last] = [rows[0]!, rows.at(-1)!];
  const { cpuMsPerDelivery, jobBytes, recordBytes, rssBytes } = first;
  Object.assign(figures, { cpuMsPerDelivery, jobBytes, recordBytes, rssBytes });
  const perTarget = (read: (row: (typeof rows)[number]) => number): number =>
    (read(last) - read(first)) / (last.targets - first.targets);
  return [
    '#### Targets',
    'One dispatcher; each delivery is one small instance, read from Orthanc and discarded. Deliveries are distributed over all targets.',
    table(
      ['targets', 'deliveries/s', 'CPU ms/delivery', 'resident MB', 'connections to Redis', 'CPU when idle'],
      rows.map((row) => [
        row.targets,
        row.deliveriesPerSecond.toFixed(0),
        row.cpuMsPerDelivery.toFixed(1),
        (row.rssBytes / 1e6).toFixed(0),
        row.redisConnections,
        `${(row.idleCpuShare * 100).toFixed(1)} %`,
      ]),
    ),
    `Each additional target costs a dispatcher ${perTarget(({ redisConnections }) => redisConnections).toFixed(1)} connections and ${(perTarget((row) => row.rssBytes) / 1e6).toFixed(2)} MB. A completed delivery takes ${jobBytes.toFixed(0)} bytes in Redis for its job (seven days, at most 10,000 per queue) and ${recordBytes.toFixed(0)} for its records and the ledger of one instance.`,
  ].join('\n\n');
}

async function printBacklog(): Promise<string> {
  const rows = await measureBacklog(isQuick ? [100, 1_000] : [100, 1_000, 10_000, 100_000], isQuick ? 50 : 200);
  const { redisCpuMsPerDelivery, bytesPerWaiting } = rows.at(-1)!;
  Object.assign(figures, { redisCpuMsPerDelivery, bytesPerWaiting });
  return [
    '#### Backlog',
    'The given number of deliveries waits in one queue; the measured ones have a higher priority and overtake them.',
    table(
      [
        'waiting',
        'enqueue, ms',
        'deliveries/s',
        'CPU ms/delivery, dispatcher',
        'CPU ms/delivery, Redis',
        'median delivery, ms',
        'bytes in Redis/waiting delivery',
      ],
      rows.map((row) => [
        row.backlog.toLocaleString('en'),
        row.enqueueMs.toFixed(2),
        row.deliveriesPerSecond.toFixed(0),
        row.cpuMsPerDelivery.toFixed(1),
        row.redisCpuMsPerDelivery.toFixed(2),
        row.waitedMs.toFixed(0),
        row.bytesPerWaiting.toFixed(0),
      ]),
    ),
  ].join('\n\n');
}
