import { join } from 'node:path';
import { readFile } from 'node:fs/promises';
import { Records } from '@dicom-dispatch/state/records';
import { readConfig } from '@dicom-dispatch/cli';
import { startOrthanc, startRedis } from '@dicom-dispatch/harness';
import { openPipeline } from '@dicom-dispatch/pipeline';
import { connectRedis, createLogger } from '@dicom-dispatch/runtime';
import { openSource } from '@dicom-dispatch/sources';
import { startDispatch } from '../e2e/support/start-dispatch.ts';
import { deliverAll } from './deliver-all.ts';
import { kinds, type Kind, type Receiver, type Timed } from './delivery-kinds.ts';
import type { DeliverySet } from './delivery-sets.ts';
import { startLink, type LinkQuality } from './link.ts';
import { productEnv, productFlags } from './product-env.ts';
import { median } from './report.ts';

export interface Measurement {
  readonly set: DeliverySet;
  readonly kinds: readonly Kind[];
  /** The simulated link between sender and receiver; undefined: none. */
  readonly quality: LinkQuality | undefined;
  readonly runs: number;
  /** Whether peers and receivers use Nagle's algorithm, the default of DCMTK. */
  readonly nagle: boolean;
  /** Whether other programs are measured too. */
  readonly peers: boolean;
  log(line: string): void;
}

export interface Row extends Timed {
  readonly kind: Kind;
  readonly sender: string;
  readonly isOurs: boolean;
}

/** Measurements longer than this run once. */
const slowSeconds = 10;
/** A dispatcher sends at least this many instances, in at most this many runs (one of large instances), before a run that counts. */
const warmInstances = 2_000;
const maxWarmRuns = 4;
const prefix = '{dicom-dispatch}';
/** Names of our rows, by where the bytes are read. */
export const ours = { rest: 'dicom-dispatch, by REST', disk: 'dicom-dispatch, from the storage folder' } as const;

/** All senders of all kinds one after the other, round by round, so that other load of the machine affects all equally. */
export async function measureDeliveries(measurement: Measurement): Promise<Row[]> {
  const { set, runs, nagle } = measurement;
  const env = { ...process.env, TCP_NODELAY: nagle ? undefined : '1' };
  await using stack = new AsyncDisposableStack();
  const modalities: Record<string, unknown> = {};
  const dicomWebServers: Record<string, unknown> = {};
  let started: Awaited<ReturnType<typeof startOrthanc>> | undefined;
  const receivers = new Map<Kind, Receiver>();
  const isLarge = set.bytes / set.files.length > 8e6;
  const warmRuns = isLarge ? 1 : Math.min(maxWarmRuns, Math.ceil(warmInstances / set.files.length));
  for (const kind of measurement.kinds) {
    const receiver = await kinds[kind].start({
      set,
      env,
      modalities,
      dicomWebServers,
      source: () => started!,
      async through(port) {
        if (!measurement.quality) return port;
        return stack.use(await startLink(port, measurement.quality)).port;
      },
    });
    receivers.set(kind, stack.use(receiver));
  }
  const source = stack.use(
    await startOrthanc({
      name: 'source',
      modalities,
      plugins: ['dicomweb'],
      env,
      extraConfig: { DicomWeb: { Servers: dicomWebServers } },
    }),
  );
  started = source;
  for (const file of set.files) await source.upload(await readFile(file));
  const redis = stack.use(await startRedis({ appendfsync: 'everysec' }));
  const targets = Object.fromEntries(
    [...receivers].flatMap(([kind, receiver]) =>
      // A separate target for each run, without confirmations of other runs. The first ones are to warm up.
      Array.from({ length: warmRuns + runs }, (_, index) => [`${kind}-${index}`, receiver.target(index)]),
    ),
  );
  const dispatch = stack.use(
    await startDispatch({
      command: 'dispatcher',
      execArgv: productFlags,
      env: Object.assign({}, productEnv, ...[...receivers.values()].map((receiver) => receiver.env ?? {})) as Record<
        string,
        string
      >,
      config: {
        // The same Orthanc twice: by REST alone, and with its storage folder.
        sources: {
          rest: { url: source.url, storageFolder: false },
          disk: { url: source.url, storageFolder: join(source.folder, 'storage') },
        },
        targets,
        redis: { url: redis.url },
        logging: { level: 'warn', format: 'json' },
      },
    }),
  );
  Object.assign(process.env, ...[...receivers.values()].map((receiver) => receiver.env ?? {}));
  const config = await readConfig(dispatch.configFile);
  const client = connectRedis(redis.url, 'bench', createLogger('bench', { level: 'error', format: 'json' }));
  stack.defer(() => client.disconnect());
  const records = new Records(client, prefix);
  const operations = openPipeline(config, client);
  stack.defer(() => operations.close());
  const orthanc = await openSource(config.sources['rest']!);
  stack.defer(() => orthanc.close());
  const deliverer = { dispatch, records, operations, orthanc, studies: await source.studies() };

  const rows: Row[] = [];
  for (const [kind, receiver] of receivers) {
    const contestants = [
      ...(['rest', 'disk'] as const).map((from) => ({
        sender: ours[from],
        isOurs: true,
        run: (round: number) => deliverAll(deliverer, `${kind}-${warmRuns + round}`, from),
      })),
      ...(measurement.peers ? receiver.peers : []).map(({ sender, run }) => ({ sender, isOurs: false, run })),
    ];
    const measured = contestants.map((): Timed[] => []);
    // Dispatchers run for months: the first delivery of one is not representative.
    for (let round = 0; round < warmRuns; round += 1) {
      for (const from of ['rest', 'disk'] as const) {
        await deliverAll(deliverer, `${kind}-${round}`, from);
        await receiver.clear();
      }
    }
    for (let round = 0; round < runs; round += 1) {
      for (const [index, contestant] of contestants.entries()) {
        const before = measured[index]!;
        if (round > 0 && (before[0]?.seconds ?? 0) > slowSeconds) continue;
        before.push(await contestant.run(round));
        await receiver.clear();
      }
    }
    for (const [index, { sender, isOurs }] of contestants.entries()) {
      const all = measured[index]!;
      const of = (read: (one: Timed) => number | undefined): number | undefined => {
        const known = all.map(read).filter((one) => one !== undefined);
        return known.length === 0 ? undefined : median(known);
      };
      const [cpuSeconds, peakBytes] = [of((one) => one.cpuSeconds), of((one) => one.peakBytes)];
      const row: Row = {
        kind,
        sender,
        isOurs,
        seconds: of((one) => one.seconds) ?? 0,
        ...(cpuSeconds !== undefined && { cpuSeconds }),
        ...(peakBytes !== undefined && { peakBytes }),
      };
      rows.push(row);
      measurement.log(`${kind}, ${sender}: ${row.seconds.toFixed(2)} s`);
    }
  }
  return rows;
}
