import { compileRules, fingerprint, type Config } from '@dicom-dispatch/core';
import { IntermediateCache } from '@dicom-dispatch/cache/intermediate';
import { Records } from '@dicom-dispatch/state/records';
import { OpenQueues, startPruning, startReconciler, StudyEnqueuer } from '@dicom-dispatch/pipeline';
import { TaskRecords } from '@dicom-dispatch/state/tasks';
import {
  Counter,
  endInTime,
  Gauge,
  redisDependency,
  type Logger,
  type Redis,
  type Registry,
  type RunningService,
} from '@dicom-dispatch/runtime';
import { leadSource, type SourceLead } from './lead-source.ts';
import { startPushServer } from './push-server.ts';
import { routeOneStudy, type RoutingOutcome } from './route-one-study.ts';
import { WaitingStudies } from './waiting-studies.ts';

export interface RouterOptions {
  readonly config: Config;
  readonly redis: Redis;
  readonly log: Logger;
  readonly metrics: Registry;
}

/**
 * Starts a router: it follows and sweeps every source that no other router leads, and enqueues what is stable. Any
 * number may run; one leads each source, the others stand by.
 */
export async function startRouter(options: RouterOptions): Promise<RunningService> {
  const { config, redis, log, metrics } = options;
  const prefix = config.redis.prefix;
  const records = new Records(redis, prefix);
  const enqueuer = new StudyEnqueuer(config, redis, records);
  let current = { config, rules: compileRules(config.rules, config), cache: await openCache(config) };
  const routed = new Counter({
    name: 'dispatch_studies_routed_total',
    help: 'Stable studies seen, by source and what became of them',
    labelNames: ['source', 'outcome'],
    registers: [metrics],
  });
  const count = (source: string, outcome: RoutingOutcome): void => routed.inc({ source, outcome });
  const forgotten = new Counter({
    name: 'dispatch_studies_forgotten_total',
    help: 'Studies that left their source and were forgotten, by source',
    labelNames: ['source'],
    registers: [metrics],
  });
  const waiting = new Map<string, WaitingStudies>();
  const leads = new Map<string, SourceLead>();
  for (const name of Object.keys(config.sources)) lead(name);
  metrics.registerMetric(
    new Gauge({
      name: 'dispatch_feed_lag_changes',
      help: 'Changes in the feed that are not dealt with yet, by source',
      labelNames: ['source'],
      registers: [],
      collect() {
        for (const { status } of leads.values()) if (status.isLeader) this.set({ source: status.name }, status.lag);
      },
    }),
  );
  let push = await startPush();
  const pruning = startPruning(() => (isLeading() ? current.cache : undefined));
  const queues = new OpenQueues(redis, config);
  const tasks = new TaskRecords(redis, prefix);
  const reconciler = startReconciler({ config: () => current.config, redis, records, tasks, queues, log });
  log.info({ sources: [...leads.keys()], rules: current.rules.length }, 'router started');

  return {
    name: 'router',
    dependencies: async () => [
      await redisDependency(redis),
      ...Array.from(leads.values(), ({ status }) => ({
        name: `source ${status.name}`,
        ok: status.reachable || !status.isLeader,
        detail: status.isLeader ? status.detail : 'another router leads, this one stands by',
      })),
    ],
    async reload(next) {
      // Whatever can be wrong shows here, before anything is changed.
      const rules = compileRules(next.rules, next);
      const before = current.config;
      const isSameCache = fingerprint(next.cache) === fingerprint(before.cache);
      current = { config: next, rules, cache: isSameCache ? current.cache : await openCache(next) };
      enqueuer.reload(next);
      for (const [name, running] of leads) {
        if (fingerprint(next.sources[name]) === fingerprint(before.sources[name])) continue;
        leads.delete(name);
        await running.stop();
      }
      for (const name of Object.keys(next.sources)) if (!leads.has(name)) lead(name);
      if (fingerprint([next.sources, next.push]) !== fingerprint([before.sources, before.push])) {
        await push?.stop();
        push = await startPush();
      }
      log.info({ sources: [...leads.keys()], rules: rules.length }, 'router goes by the new configuration');
    },
    async stop() {
      pruning.stop();
      reconciler.stop();
      await endInTime(log, {
        pushes: () => push?.stop(),
        ...Object.fromEntries(Array.from(leads, ([name, { stop }]) => [`source ${name}`, stop])),
      });
      await endInTime(log, { queues: () => Promise.all([enqueuer.close(), queues.close()]) });
      log.info('router stopped');
    },
  };

  function lead(name: string): void {
    const source = current.config.sources[name];
    if (!source) return;
    leads.set(
      name,
      leadSource({
        name,
        config: source,
        rules: () => current,
        waiting: waitingIn(name),
        redis,
        prefix,
        records,
        enqueuer,
        log,
        routed: (outcome) => count(name, outcome),
        forgotten: (studies) => forgotten.inc({ source: name }, studies),
      }),
    );
  }

  /** It holds no large results: those are made and read where instances move. */
  function openCache({ cache, redis: { prefix: base } }: Config): Promise<IntermediateCache> {
    return IntermediateCache.open(
      redis,
      { ...cache, folder: undefined },
      {
        prefix: base,
        onWarning: ({ code, message, type }) => log.warn({ code, type, reason: message }, 'the cache reports a fault'),
      },
    );
  }

  function isLeading(): boolean {
    return [...leads.values()].some(({ status }) => status.isLeader);
  }

  function waitingIn(source: string): WaitingStudies {
    const known = waiting.get(source) ?? new WaitingStudies(redis, prefix, source);
    waiting.set(source, known);
    return known;
  }

  function startPush(): ReturnType<typeof startPushServer> {
    return startPushServer({
      config: current.config,
      redis,
      log,
      async route(source, orthanc, orthancStudyId, epoch) {
        const context = { source, orthanc, ...current, enqueuer, waiting: waitingIn(source), log };
        const outcome = await routeOneStudy(context, orthancStudyId, epoch);
        count(source, outcome);
        return outcome;
      },
    });
  }
}
