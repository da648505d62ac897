/**
 * Cost of the checks of a delivery: four dispatchers deliver the same studies, one after the other: without the guard, with it,
 * with samples of digests, and with the digests of receipts as well. The first variant exists in this benchmark only.
 *
 *   ./dispatch bench checks --help
 *
 * Two processes with the same code differ by some per cent, because V8 compiles at different times: with --processes all are
 * started anew that many times, with all runs each time.
 */
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readConfig } from '@dicom-dispatch/cli';
import { readLongCommand, startOrthanc, startRedis, type OrthancServer } from '@dicom-dispatch/harness';
import { openPipeline } from '@dicom-dispatch/pipeline';
import { connectRedis, createLogger } from '@dicom-dispatch/runtime';
import { openSource } from '@dicom-dispatch/sources';
import { Records } from '@dicom-dispatch/state/records';
import { startDispatch } from '../e2e/support/start-dispatch.ts';
import { deliverAll, type Deliverer } from './deliver-all.ts';
import { kinds, type Kind, type Receiver, type Timed } from './delivery-kinds.ts';
import { makeDeliverySet, type DeliverySet } from './delivery-sets.ts';
import { productEnv, productFlags } from './product-env.ts';
import { describeMachine, median, table, writeSection } from './report.ts';

const { values } = readLongCommand({
  usage: './dispatch bench checks',
  about:
    'Cost of the checks of a delivery: dispatchers without and with the guard, digests and receipts deliver the same studies in turn.',
  options: {
    quick: { type: 'boolean', about: 'small sets' },
    kinds: { type: 'list', of: ['dicom', 'folder'], about: 'kinds of target' },
    sets: { type: 'list', of: ['small', 'ct', 'large'], about: 'sets of instances' },
    runs: { type: 'number', default: 7, about: 'rounds of each measurement' },
    processes: { type: 'number', default: 1, about: 'starts of each dispatcher, with all rounds each time' },
    data: {
      type: 'string',
      default: join(tmpdir(), 'dicom-dispatch-bench'),
      about: 'folder of the instances, which are kept',
    },
    write: { type: 'boolean', about: 'write the result into docs/performance.md' },
  },
});
const { runs, processes } = values;
const sizes: Readonly<Record<string, readonly [count: number, sizeBytes: number]>> = values.quick
  ? { small: [400, 20_000], ct: [100, 500_000], large: [1, 60_000_000] }
  : { small: [2_000, 20_000], ct: [500, 500_000], large: [4, 200_000_000] };
const withoutGuard = fileURLToPath(new URL('without-guard.ts', import.meta.url));
/** The measured steps, each compared with the previous one. */
const variants = [
  { name: 'none', flags: ['--import', withoutGuard], source: 'never', receipts: 'none' },
  { name: 'guard, digest: never', flags: [], source: 'never', receipts: 'none' },
  { name: 'guard, digest: sample', flags: [], source: 'sample', receipts: 'none' },
  { name: 'the same, receipts.digest: sha256', flags: [], source: 'sample', receipts: 'sha256' },
] as const;
const warmRuns = 2;

const rows: string[][] = [];
for (const kind of values.kinds) {
  for (const name of values.sets) {
    const [count, sizeBytes] = sizes[name] ?? [1, 1_000];
    const set = await makeDeliverySet(values.data, count, sizeBytes);
    rows.push(...rowsOf(`${kind}, ${set.title}`, await measure(kind, set)));
  }
}
const versions = await describeMachine(['Redis', 'Orthanc', 'DCMTK']);
const text = [
  `\`./dispatch bench checks${values.quick ? ' --quick' : ''} --runs ${runs} --processes ${processes}\`: ${versions}`,
  table(['to, what', 'checks', 's', 'CPU s', 'time more', 'CPU more', 'time, than none'], rows),
].join('\n\n');
console.log(text);
if (values.write) await writeSection('performance.md', 'checks', text);

/** All variants one after the other, round by round, so that other load of the machine affects all equally. */
async function measure(kind: Kind, set: DeliverySet): Promise<readonly (readonly Timed[])[]> {
  await using stack = new AsyncDisposableStack();
  const env = { ...process.env, TCP_NODELAY: '1' };
  let source: OrthancServer | undefined;
  const receiver = stack.use(
    await kinds[kind].start({
      set,
      env,
      modalities: {},
      dicomWebServers: {},
      source: () => source!,
      through: async (port) => port,
    }),
  );
  source = stack.use(await startOrthanc({ name: 'source', env }));
  for (const file of set.files) await source.upload(await readFile(file));
  const studies = await source.studies();
  const measured = variants.map((): Timed[] => []);
  for (let start = 0; start < processes; start += 1) {
    await using started = new AsyncDisposableStack();
    const deliverers: Deliverer[] = [];
    for (const variant of variants) {
      deliverers.push(await startVariant(started, variant, source.url, receiver, studies));
    }
    for (let round = 0; round < warmRuns + runs; round += 1) {
      // Each variant begins a round equally often.
      for (let step = 0; step < variants.length; step += 1) {
        const index = (round + step) % variants.length;
        const timed = await deliverAll(deliverers[index]!, `run-${round}`, 'main');
        await receiver.clear();
        if (round < warmRuns) continue;
        measured[index]!.push(timed);
        console.error(
          `${kind}, ${set.title}, ${variants[index]!.name}: ${timed.seconds} s, CPU ${timed.cpuSeconds?.toFixed(2)} s`,
        );
      }
    }
  }
  return measured;
}

async function startVariant(
  stack: AsyncDisposableStack,
  { flags, source, receipts }: (typeof variants)[number],
  url: string,
  receiver: Receiver,
  studies: readonly string[],
): Promise<Deliverer> {
  const redis = stack.use(await startRedis({ appendfsync: 'everysec' }));
  const targets = Object.fromEntries(
    Array.from({ length: warmRuns + runs }, (_, index) => [`run-${index}`, receiver.target(index)]),
  );
  const dispatch = stack.use(
    await startDispatch({
      command: 'dispatcher',
      execArgv: [...productFlags, ...flags],
      env: { ...productEnv, ...receiver.env },
      config: {
        sources: { main: { url, storageFolder: false, digest: source } },
        targets,
        receipts: { digest: receipts },
        redis: { url: redis.url },
        logging: { level: 'warn', format: 'json' },
      },
    }),
  );
  const config = await readConfig(dispatch.configFile);
  const client = connectRedis(redis.url, 'bench', createLogger('bench', { level: 'error', format: 'json' }));
  stack.defer(() => client.disconnect());
  const operations = openPipeline(config, client);
  stack.defer(() => operations.close());
  const orthanc = await openSource(config.sources['main']!);
  stack.defer(() => orthanc.close());
  return { dispatch, records: new Records(client, config.redis.prefix), operations, orthanc, studies };
}

function rowsOf(title: string, measured: readonly (readonly Timed[])[]): string[][] {
  return variants.map(({ name }, index) => {
    const [these, above, none] = [measured[index]!, measured[index - 1], measured[0]!];
    // Run by run: temporary load affects both.
    const more = (read: (one: Timed) => number, before = above): string => {
      if (!before || index === 0) return '';
      const share = median(these.map((one, run) => read(one) / read(before[run]!))) - 1;
      return `${share >= 0 ? '+' : ''}${(share * 100).toFixed(1)} %`;
    };
    return [
      title,
      name,
      median(these.map(({ seconds }) => seconds)).toFixed(2),
      median(these.map(({ cpuSeconds = 0 }) => cpuSeconds)).toFixed(2),
      more(({ seconds }) => seconds),
      more(({ cpuSeconds = 1 }) => cpuSeconds),
      more(({ seconds }) => seconds, none),
    ];
  });
}
