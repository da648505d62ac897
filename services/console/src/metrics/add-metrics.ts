import type { TypeStats } from '@dicom-dispatch/cache/intermediate';
import { deliveryStates } from '@dicom-dispatch/state/records';
import {
  healthKinds,
  healthTable,
  listWorkers,
  publicFinding,
  readProcesses,
  readTargets,
  type TargetState,
} from '@dicom-dispatch/operations';
import { Counter, Gauge, readInfo } from '@dicom-dispatch/runtime';
import { redisNow } from '@dicom-dispatch/state/redis';
import type { ConsoleContext } from '../console-context.ts';
import { readCacheStats } from '../views/show-cache.ts';

const jobStates = ['waiting', 'prioritized', 'active', 'delayed', 'failed', 'completed'] as const;

/** How long data are shared by the metrics of one scrape. */
const keptMs = 1_000;

type Set = (labels: Record<string, string>, value: number) => void;

/**
 * Metrics of the complete system, read from Redis at each scrape: one console reports them for all, in addition to
 * the counters of each router and dispatcher. Labels are names of the configuration and states.
 */
export function addMetrics(context: ConsoleContext): void {
  const { metrics, operations } = context;
  const targets = (): string[] => Object.keys(context.config().targets);
  const states = remembered(() => readTargets(operations));

  function gauge(name: string, help: string, labelNames: readonly string[], read: (set: Set) => Promise<void>): void {
    const made: Gauge = new Gauge({
      name,
      help,
      labelNames: [...labelNames],
      registers: [metrics],
      async collect() {
        this.reset();
        // While Redis is unavailable these have no values; /readyz shows this.
        if (context.redis.status !== 'ready') return;
        await read((labels, value) => this.set(labels, value));
      },
    });
    void made;
  }
  const perTarget = (name: string, help: string, value: (state: TargetState) => number): void =>
    gauge(name, help, ['target'], async (set) => {
      for (const state of await states()) set({ target: state.name }, value(state));
    });

  gauge('dispatch_queue_jobs', 'Jobs in the queue of a target, by state', ['target', 'state'], async (set) => {
    await Promise.all(
      targets().map(async (target) => {
        const counts = await operations.queues.target(target).getJobCounts(...jobStates);
        for (const state of jobStates) set({ target, state }, counts[state] ?? 0);
      }),
    );
  });
  gauge('dispatch_deliveries', 'Deliveries to a target, by state', ['target', 'state'], async (set) => {
    for (const { name, counts } of await states()) {
      for (const state of deliveryStates) set({ target: name, state }, counts[state]);
    }
  });
  perTarget(
    'dispatch_oldest_waiting_seconds',
    'Waiting time of the oldest delivery that may start: not held, not outside its schedule',
    ({ oldestWaitingAt }) => (oldestWaitingAt === undefined ? 0 : Math.max(0, (Date.now() - oldestWaitingAt) / 1000)),
  );
  perTarget('dispatch_circuit_open', 'Whether the target cannot be used: 1 open, 0 closed', ({ circuit }) =>
    circuit.state === 'closed' ? 0 : 1,
  );
  perTarget('dispatch_queue_paused', 'Whether an operator has paused the target', ({ paused }) => (paused ? 1 : 0));
  perTarget('dispatch_target_concurrency', 'Maximum number of parallel deliveries', ({ concurrency }) => concurrency);
  gauge('dispatch_studies', 'Studies that were routed', [], async (set) => {
    set({}, await operations.records.studyCount());
  });
  gauge('dispatch_deliveries_held', 'Deliveries that an operator holds', [], async (set) => {
    set({}, await operations.redis.scard(operations.keys.held));
  });
  gauge('dispatch_workers', 'Dispatchers that are alive', [], async (set) => {
    set({}, (await listWorkers(operations)).length);
  });
  gauge('dispatch_routers', 'Routers that are alive', [], async (set) => {
    const now = await redisNow(operations.redis, context.config().redis.prefix);
    const processes = await readProcesses(operations, now);
    set({}, processes.filter(({ services }) => services.includes('router')).length);
  });
  gauge('dispatch_source_followed', 'Whether a router follows the source', ['source'], async (set) => {
    await Promise.all(
      Object.keys(context.config().sources).map(async (source) => {
        set({ source }, await operations.redis.exists(operations.keys.lease(source)));
      }),
    );
  });
  // Also while Redis is unavailable, which is a finding too.
  const health: Gauge = new Gauge({
    name: 'dispatch_health_findings',
    help: 'Findings that need an operator, by kind and by source or target',
    labelNames: ['kind', 'severity', 'subject'],
    registers: [metrics],
    async collect() {
      this.reset();
      for (const kind of healthKinds) this.set({ kind, severity: healthTable[kind].severity, subject: '' }, 0);
      // Public findings have no names of processes: each process would leave a time series behind.
      for (const one of await context.health()) this.inc({ ...publicFinding(one) });
    },
  });
  void health;
  const cache = remembered(() => readCacheStats(context));
  const perType = (name: string, help: string, value: (stats: TypeStats) => number): void =>
    gauge(name, help, ['type'], async (set) => {
      for (const [type, stats] of Object.entries((await cache())?.types ?? {})) set({ type }, value(stats));
    });
  perType('dispatch_cache_entries', 'Cached intermediate results', ({ entries }) => entries);
  perType('dispatch_cache_bytes', 'Their size in Redis', ({ bytes }) => bytes);
  /** Counters in Redis of all processes: every console reports the same values, so a sum over consoles counts them repeatedly. */
  const countPerType = (name: string, help: string, value: (stats: TypeStats) => number): void => {
    const counter: Counter = new Counter({
      name,
      help,
      labelNames: ['type'],
      registers: [metrics],
      async collect() {
        this.reset();
        if (context.redis.status !== 'ready') return;
        for (const [type, stats] of Object.entries((await cache())?.types ?? {})) this.inc({ type }, value(stats));
      },
    });
    void counter;
  };
  countPerType('dispatch_cache_hits_total', 'Lookups that found a result', ({ hits }) => hits);
  countPerType('dispatch_cache_misses_total', 'Lookups that found no result', ({ misses }) => misses);
  perType('dispatch_cache_file_bytes', 'Their size in folders', ({ fileBytes }) => fileBytes);
  countPerType('dispatch_cache_evictions_total', 'Results evicted at the limit of memory', (stats) => stats.evictions);
  countPerType('dispatch_cache_expired_total', 'Results that exceeded their maximum age', ({ expired }) => expired);
  gauge('dispatch_redis_memory_bytes', 'Memory that Redis uses', [], async (set) => {
    const info = await readInfo(context.redis, context.config().redis.prefix, 'memory');
    if (info) set({}, Number(info.get('used_memory') ?? 0));
  });
}

/** Shares one read among the callers of one scrape. */
function remembered<T>(read: () => Promise<T>): () => Promise<T> {
  let last: { readonly at: number; readonly value: Promise<T> } | undefined;
  return () => {
    if (!last || Date.now() - last.at > keptMs) last = { at: Date.now(), value: read() };
    return last.value;
  };
}
