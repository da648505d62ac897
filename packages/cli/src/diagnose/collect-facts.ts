import { listSources, listTargets, showCache, showOverview, showWorkers } from '@dicom-dispatch/console/views';
import { countErrors, explainWaiting, readThroughput } from '@dicom-dispatch/operations';
import type { DeliveryRecord, DeliveryState } from '@dicom-dispatch/state/records';
import { checkRedis, mastersOf } from '@dicom-dispatch/runtime';
import { readCacheStats } from '../operate/show-cache-stats.ts';
import type { System } from '../operate/with-system.ts';

/** Data collected from a running system: file name to content. */
export type Collector = (system: System) => Promise<unknown>;

export const collectors: Readonly<Record<string, Collector>> = {
  'overview.json': showOverview,
  'redis.json': readRedis,
  'queues.json': readQueues,
  'targets.json': readTargetDetails,
  'sources.json': readSourceDetails,
  'workers.json': readWorkers,
  'cache.json': async (system) => ({ records: await showCache(system), results: await readCacheStats(system) }),
  'failures.json': readFailures,
};

const timeoutMs = 3_000;
/** Maximum number of deliveries per state: the latest ones. */
const maxFailures = 50;
const longestTimeline = 40;
const failureStates: readonly DeliveryState[] = ['failed', 'partial', 'source-gone', 'waiting', 'active'];

async function readRedis({ redis }: System): Promise<unknown> {
  const [findings, ...info] = await Promise.all([
    checkRedis(redis),
    ...mastersOf(redis).map(async ({ address, redis: master }) => ({
      address,
      // If the ACL user lacks a permission, the findings report it.
      ...sectionsOf(await master.info('everything').catch(() => '')),
    })),
  ]);
  return { findings, info: info.length === 1 ? info[0] : info };
}

function sectionsOf(info: string): Record<string, Record<string, string>> {
  const sections: Record<string, Record<string, string>> = {};
  let section: Record<string, string> = {};
  for (const line of info.split('\r\n')) {
    const colon = line.indexOf(':');
    if (line.startsWith('# ')) sections[line.slice(2)] = section = {};
    else if (colon > 0) section[line.slice(0, colon)] = line.slice(colon + 1);
  }
  return sections;
}

async function readQueues({ operations, redis, config }: System): Promise<unknown> {
  const { queues, keys } = operations;
  const names = new Set([...Object.keys(config().targets), ...(await redis.smembers(keys.targets))]);
  const read = async (queue: ReturnType<typeof queues.study>) => ({
    paused: await queue.isPaused(),
    counts: await queue.getJobCounts(),
    concurrency: await queue.getGlobalConcurrency(),
    rate: await queue.getGlobalRateLimit(),
  });
  const targets = await Promise.all([...names].map(async (name) => [name, await read(queues.target(name))] as const));
  return {
    study: await read(queues.study()),
    targets: Object.fromEntries(targets),
    held: await redis.scard(keys.held),
  };
}

async function readTargetDetails(system: System): Promise<unknown> {
  const { operations } = system;
  const targets = await listTargets(system);
  return Promise.all(
    targets.map(async (target) =>
      Object.assign({}, target, {
        errors: await countErrors(operations, target.name),
        day: (await readThroughput(operations, target.name, 24 * 60, 60)).filter(
          ({ bytes, delivered, failed }) => bytes + delivered + failed > 0,
        ),
      }),
    ),
  );
}

async function readSourceDetails(system: System): Promise<unknown> {
  const sources = await listSources(system);
  return Promise.all(
    sources.map(async (source) => {
      if (!source.reachable) return source;
      const orthanc = await system.lookup.client(source.name);
      return Object.assign({}, source, { system: await orthanc.system({ timeoutMs }) });
    }),
  );
}

async function readWorkers(system: System): Promise<unknown> {
  const workers = await showWorkers(system);
  return workers.map(({ active, ...worker }) =>
    Object.assign(worker, { active: active.map(({ deliveryId, target, stage }) => ({ deliveryId, target, stage })) }),
  );
}

/** The latest deliveries that failed, or wait after a failure, with their timelines. */
async function readFailures({ operations }: System): Promise<unknown> {
  const failures = await recentFailures(operations.records);
  return Promise.all(
    failures.map(async ({ record, events }) => ({
      ...record,
      explanation: await explainWaiting(operations, record),
      events,
    })),
  );
}

async function recentFailures(records: System['operations']['records']) {
  const lists = await Promise.all(failureStates.map((state) => records.deliveries({ state, limit: maxFailures })));
  const found = lists
    .flatMap(({ records: failures }) => failures)
    .filter(({ state, error }) => error !== undefined || (state !== 'waiting' && state !== 'active'));
  return Promise.all(
    found.map(async (record: DeliveryRecord) => ({
      record,
      events: (await records.events(record.deliveryId)).slice(-longestTimeline),
    })),
  );
}

/** Names and numbers of the patients whose deliveries are in the bundle, only used to remove them from it. */
export async function patientWords({ operations, lookup }: System): Promise<string[]> {
  const records = (await recentFailures(operations.records)).map(({ record }) => record);
  const words: string[] = [];
  for (const [source, ofSource] of Map.groupBy(records, (record) => record.source)) {
    const ids = [...new Set(ofSource.map(({ orthancStudyId }) => orthancStudyId))];
    const labels = await lookup.readLabels(source, ids).catch(() => new Map<string, never>());
    for (const { patientName, patientId, accessionNumber, description } of labels.values()) {
      words.push(patientId, accessionNumber, description, patientName, ...patientName.split(/[\s,]+/));
    }
  }
  return words;
}
