import { compileRules, type Config } from '@dicom-dispatch/core';
import { Records } from '@dicom-dispatch/cache/records';
import { StudyEnqueuer } from '@dicom-dispatch/operations';
import {
  Counter,
  Gauge,
  redisDependency,
  type Logger,
  type Redis,
  type Registry,
  type RunningService,
} from '@dicom-dispatch/runtime';
import { leadSource } from './lead-source.ts';
import { startPushServer } from './push-server.ts';
import { routeOneStudy, type RoutingOutcome } from './route-one-study.ts';

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
  const rules = compileRules(config.rules);
  const routed = new Counter({
    name: 'dispatch_studies_routed_total',
    help: 'Stable studies seen, by source and what became of them',
    labelNames: ['source', 'outcome'],
    registers: [metrics],
  });
  const count = (source: string, outcome: RoutingOutcome): void => routed.inc({ source, outcome });
  const leads = new Map(
    Object.entries(config.sources).map(([name, source]) => [
      name,
      leadSource({
        name,
        config: source,
        rules,
        redis,
        prefix,
        records,
        enqueuer,
        log,
        routed: (outcome) => count(name, outcome),
      }),
    ]),
  );
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
  const push = await startPushServer({
    config,
    redis,
    log,
    async route(source, orthanc, orthancStudyId, epoch) {
      const outcome = await routeOneStudy({ source, orthanc, rules, enqueuer, log }, orthancStudyId, epoch);
      count(source, outcome);
      return outcome;
    },
  });
  log.info({ sources: [...leads.keys()], rules: rules.length }, 'router started');

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
    async stop() {
      await push?.stop();
      await Promise.all(Array.from(leads.values(), (lead) => lead.stop()));
      await enqueuer.close();
      log.info('router stopped');
    },
  };
}
