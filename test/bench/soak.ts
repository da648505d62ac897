/**
 * The soak test: the complete system under a moderate load with changes, to detect growth. Dispatchers join
 * and leave, some by being killed; targets become unavailable and available again; an operator uses the console.
 *
 *   ./dispatch bench soak --help
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  readLongCommand,
  startFaultProxy,
  startOrthanc,
  startRedis,
  tempFolder,
  waitFor,
} from '@dicom-dispatch/harness';
import { Records } from '@dicom-dispatch/state/records';
import { connectRedis, createLogger } from '@dicom-dispatch/runtime';
import { makeStudy } from '@dicom-dispatch/samples';
import { createServer } from 'dicom-dimse';
import { seededRandom } from '../chaos/random.ts';
import { startDispatch, type RunningDispatch } from '../e2e/support/start-dispatch.ts';
import { productEnv, productFlags } from './product-env.ts';
import { keptClasses, readClasses, type ClassUse } from './redis-classes.ts';
import { describeMachine, median, table, usageOf, writeSection } from './report.ts';

const { values } = readLongCommand({
  usage: './dispatch bench soak',
  about: 'The complete system under a moderate load with changes, to detect growth.',
  options: {
    minutes: { type: 'number', default: 60, about: 'length of the run' },
    'per-minute': { type: 'number', default: 30, about: 'studies a minute' },
    seed: { type: 'number', default: 1, about: 'seed of all that is random' },
    write: { type: 'boolean', about: 'write the result into docs/reliability.md' },
  },
});
const { minutes } = values;
const instances = 10;
const sampleMs = Math.max(2_000, (minutes * 60_000) / 240);
const churnMs = Math.max(10_000, Math.min(60_000, (minutes * 60_000) / 12));
const prefix = '{dicom-dispatch}';
const MB = 1e6;
const roll = seededRandom(values.seed);

interface Sample {
  readonly at: number;
  readonly delivered: number;
  readonly processes: ReadonlyMap<string, { rssBytes: number; descriptors: number }>;
  readonly redisBytes: number;
  readonly redisClients: number;
  readonly classes: ReadonlyMap<string, ClassUse> | undefined;
}

await using folder = await tempFolder('soak');
await using redis = await startRedis({ appendfsync: 'everysec' });
await using orthanc = await startOrthanc();
const stores = new Map<string, number>();
await using scp = createServer({
  presentationContexts: ({ transferSyntaxes }) => transferSyntaxes[0],
  handlers: {
    async store(instance) {
      for await (const _ of instance.dataSet);
      stores.set(instance.sopInstanceUid, (stores.get(instance.sopInstanceUid) ?? 0) + 1);
      return 0;
    },
  },
});
const { port } = await scp.listen({ port: 0, host: '127.0.0.1' });
await using proxy = await startFaultProxy({ port });
const archive = join(folder.path, 'archive');
await mkdir(archive);
const quick = { backoff: { first: '500ms', max: '5s' } };
const config = {
  sources: { main: { url: orthanc.url, sweep: { every: '1m' } } },
  targets: {
    pacs: { type: 'dicom', host: proxy.host, port: proxy.port, calledAeTitle: 'SOAK', ...quick },
    archive: { type: 'folder', path: archive, minFree: 0, ...quick },
    slow: { type: 'dummy', delay: '20ms', failureRate: 0.1, ...quick },
  },
  rules: [{ name: 'all', targets: ['pacs', 'archive', 'slow'] }],
  redis: { url: redis.url },
  dispatcher: { lockTime: '5s', graceTime: '2s' },
  logging: { level: 'warn', format: 'json' },
};
await using router = await startDispatch({ command: 'router', config, env: productEnv, execArgv: productFlags });
await using consoleService = await startDispatch({
  command: 'console',
  config,
  env: productEnv,
  execArgv: productFlags,
});
await using dispatcher = await startDispatch({
  command: 'dispatcher',
  config,
  env: productEnv,
  execArgv: productFlags,
});
const stays = { router, console: consoleService, dispatcher };
const guests: RunningDispatch[] = [];
const client = connectRedis(redis.url, 'soak', createLogger('soak', { level: 'error', format: 'json' }));
const records = new Records(client, prefix);

const startedAt = Date.now();
const endsAt = startedAt + minutes * 60_000;
const counts = { studies: 0, joined: 0, left: 0, killed: 0, flaps: 0 };
const samples: Sample[] = [];
const failures: string[] = [];
const isOver = (): boolean => Date.now() >= endsAt;

await Promise.all([load(), churn(), flap(), sample()]);
await proxy.heal();
await comeToRest();
for (const guest of guests) await guest.stop();
const missing = counts.studies * instances - stores.size;
const twice = [...stores.values()].reduce((sum, count) => sum + count - 1, 0);
if (missing !== 0) failures.push(`${missing} instances did not arrive at the receiver`);
const report = await makeReport();
console.log(report);
client.disconnect();
if (values.write) await writeSection('reliability.md', 'soak', report);
process.exitCode = failures.length === 0 ? 0 : 1;

/** Uploads studies evenly, and deletes old ones from the source, like an archive with little space. */
async function load(): Promise<void> {
  const uploaded: { readonly id: string; readonly uid: string; readonly at: number }[] = [];
  const everyMs = 60_000 / values['per-minute'];
  for (let next = Date.now(); !isOver(); next += everyMs) {
    await sleep(Math.max(0, next - Date.now()));
    const study = makeStudy({ seed: `soak ${counts.studies}`, instancesPerSeries: instances, rows: 64, columns: 64 });
    let id = '';
    for (const { bytes } of study) ({ ParentStudy: id } = await orthanc.upload(bytes));
    counts.studies += 1;
    uploaded.push({ id, uid: study.studyInstanceUid, at: Date.now() });
    const oldest = uploaded[0];
    if (!oldest || Date.now() - oldest.at < 90_000) continue;
    const all = await records.deliveriesOfUid(oldest.uid, 'main');
    uploaded.shift();
    if (all.length === 3 && all.every(({ state }) => state === 'delivered')) {
      await orthanc.send('DELETE', `/studies/${oldest.id}`);
      await rm(join(archive, oldest.uid), { recursive: true, force: true });
    } else uploaded.push({ ...oldest, at: Date.now() - 60_000 });
  }
}

/**
 * One additional dispatcher at a time: it joins, stays for some time, and leaves by SIGTERM or, one time in three, by
 * SIGKILL.
 */
async function churn(): Promise<void> {
  while (!isOver()) {
    const guest = await startDispatch({ command: 'dispatcher', config, env: productEnv, execArgv: productFlags });
    guests.push(guest);
    counts.joined += 1;
    await sleep(churnMs * (0.5 + roll()));
    if (isOver()) return;
    const isKilled = roll() < 1 / 3;
    await guest.kill(isKilled ? 'SIGKILL' : 'SIGTERM');
    if (!isKilled) await waitFor(() => !guest.isRunning(), { message: 'a dispatcher to leave' });
    await guest.stop();
    guests.pop();
    counts[isKilled ? 'killed' : 'left'] += 1;
  }
}

/** The receiver is unavailable for some seconds: it rejects, drops its connections, or does not respond. */
async function flap(): Promise<void> {
  while (!isOver()) {
    await sleep(churnMs * (0.3 + roll() * 0.5));
    const kind = Math.floor(roll() * 3);
    if (kind === 0) await proxy.set({ refuse: true });
    if (kind < 2) proxy.cut();
    if (kind === 2) await proxy.set({ blackHole: true });
    counts.flaps += 1;
    await sleep(2_000 + roll() * 4_000);
    await proxy.heal();
    proxy.cut();
  }
}

async function sample(): Promise<void> {
  for (let index = 0; ; index += 1) {
    await sleep(sampleMs);
    const isLast = isOver();
    for (const path of ['/api/overview', '/api/studies', '/metrics', '/', '/targets'])
      await consoleService.get(path).catch(() => undefined);
    const info = await client.info();
    const field = (name: string): number => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0);
    const processes = new Map(
      await Promise.all(
        Object.entries(stays).map(async ([name, service]) => [name, await usageOf(service.pid())] as const),
      ),
    );
    samples.push({
      at: Date.now() - startedAt,
      delivered: (await records.counts()).delivered,
      processes,
      redisBytes: field('used_memory'),
      redisClients: field('connected_clients'),
      classes: index % 10 === 9 || isLast ? await readClasses(client, prefix) : undefined,
    });
    if (index % 10 === 0) printSample();
    if (isLast) return;
  }
}

function printSample(): void {
  const last = samples.at(-1);
  if (!last) return;
  const each = [...last.processes].map(
    ([name, { rssBytes, descriptors }]) => `${name} ${Math.round(rssBytes / MB)} MB ${descriptors} fd`,
  );
  console.error(
    `${Math.round(last.at / 1000)} s: ${counts.studies} studies, ${last.delivered} delivered; ${each.join('; ')}; Redis ${Math.round(last.redisBytes / MB)} MB, ${last.redisClients} clients`,
  );
}

async function comeToRest(): Promise<void> {
  await waitFor(async () => (await records.counts()).delivered >= counts.studies * 3, {
    message: 'all deliveries to be delivered',
  }).catch(async () => {
    failures.push(`it did not come to rest: ${JSON.stringify(await records.counts())}`);
  });
}

/** Slope by least squares, in units an hour. */
function slope(points: readonly (readonly [number, number])[]): number {
  const [meanX, meanY] = [0, 1].map((at) => points.reduce((sum, point) => sum + point[at]!, 0) / points.length) as [
    number,
    number,
  ];
  const above = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  const below = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  return below === 0 ? 0 : (above / below) * 3_600_000;
}

interface Judged {
  readonly early: number;
  readonly late: number;
  readonly slope: number;
  readonly isFlat: boolean;
}

/** The medians of the second and the last quarter: the first one is warm-up. */
function judge(read: (one: Sample) => number | undefined, slackShare: number, slack: number): Judged {
  const points = samples.flatMap((one): [number, number][] => {
    const value = read(one);
    return value === undefined ? [] : [[one.at, value]];
  });
  const part = (from: number, to: number): number[] =>
    points
      .filter(([at]) => at >= from * minutes * 60_000 && at <= to * minutes * 60_000 + sampleMs * 2)
      .map(([, value]) => value);
  const [early, late] = [median(part(0.25, 0.5)), median(part(0.75, 1))];
  return {
    early,
    late,
    slope: slope(points.filter(([at]) => at >= 0.25 * minutes * 60_000)),
    isFlat: late - early <= Math.max(slack, early * slackShare),
  };
}

async function makeReport(): Promise<string> {
  const rows: (string | number)[][] = [];
  const verdict = (what: string, judged: Judged, unit: (value: number) => string): void => {
    rows.push([
      what,
      unit(judged.early),
      unit(judged.late),
      `${unit(judged.slope)}/h`,
      judged.isFlat ? 'flat' : '**grows**',
    ]);
    if (!judged.isFlat) failures.push(`${what} grows`);
  };
  const inMB = (value: number): string => `${(value / MB).toFixed(1)} MB`;
  const whole = (value: number): string => value.toFixed(1).replace(/\.0$/, '');
  for (const name of Object.keys(stays)) {
    verdict(
      `resident memory, ${name}`,
      judge((one) => one.processes.get(name)?.rssBytes, 0.1, 12 * MB),
      inMB,
    );
    verdict(
      `open descriptors, ${name}`,
      judge((one) => one.processes.get(name)?.descriptors, 0, 4),
      whole,
    );
  }
  verdict(
    'connections to Redis',
    judge((one) => one.redisClients, 0, 12),
    whole,
  );
  const names = new Set(samples.flatMap(({ classes }) => [...(classes?.keys() ?? [])]));
  const passing = [...names].filter((name) => !keptClasses.has(name)).sort();
  for (const name of passing) {
    const read = (one: Sample): number | undefined => one.classes && (one.classes.get(name)?.keys ?? 0);
    // These vary with the work that is running at the time of a sample.
    verdict(`Redis keys, ${name}`, judge(read, 0.1, 40), whole);
  }
  const kept: (string | number)[][] = [];
  const last = samples.findLast(({ classes }) => classes !== undefined);
  const middle = samples.filter(({ classes }) => classes !== undefined).find(({ at }) => at >= minutes * 30_000);
  for (const name of [...names].filter((one) => keptClasses.has(one)).sort()) {
    const [a, b] = [middle?.classes?.get(name), last?.classes?.get(name)];
    const perDelivery = (use: ClassUse | undefined, sampleOf: Sample | undefined): string =>
      use && sampleOf ? `${(use.bytes / Math.max(1, sampleOf.delivered)).toFixed(0)} B` : '';
    kept.push([name, b?.keys ?? 0, perDelivery(a, middle), perDelivery(b, last)]);
  }
  const total = (one: Sample | undefined): number =>
    [...(one?.classes ?? [])].filter(([name]) => keptClasses.has(name)).reduce((sum, [, { bytes }]) => sum + bytes, 0) /
    Math.max(1, one?.delivered ?? 1);
  if (total(last) > total(middle) * 1.15) failures.push('what Redis keeps of a delivery grows');
  kept.push(['**in all**', '', `${total(middle).toFixed(0)} B`, `${total(last).toFixed(0)} B`]);
  return [
    `\`./dispatch bench soak --minutes ${values.minutes} --per-minute ${values['per-minute']}\`: ${await describeMachine(['Redis', 'Orthanc'])}`,
    '',
    `${counts.studies} studies of ${instances} instances to three targets; ${counts.joined} dispatchers joined, ${counts.left} left, ${counts.killed} were killed; the receiver was unavailable ${counts.flaps} times. At the receiver ${missing} instances were missing; ${twice} C-STOREs repeated instances that had arrived, because a connection or a dispatcher died before the response was stored.`,
    '',
    `**${failures.length === 0 ? 'No growth detected.' : failures.join('; ')}**`,
    '',
    'Medians of the second and of the last quarter of the time; the slope is a least-squares fit from the beginning of the first to the end of the second.',
    '',
    table(['', 'second quarter', 'last quarter', 'slope', ''], rows),
    '',
    'Stored records in Redis (docs/architecture.md lists how long they are kept), in bytes per delivery: must not grow with time.',
    '',
    table(['', 'keys at the end', 'bytes per delivery, half-time', 'at the end'], kept),
  ].join('\n');
}
