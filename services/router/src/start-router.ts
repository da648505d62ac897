import { compileRules, fingerprint, type Config } from '@dicom-dispatch/core';
import { IntermediateCache } from '@dicom-dispatch/cache/intermediate';
import { Records } from '@dicom-dispatch/state/records';
import {
  openPipeline,
  startPruning,
  startReconciler,
  StudyEnqueuer,
  type HandOverContext,
} from '@dicom-dispatch/pipeline';
import { TaskRecords } from '@dicom-dispatch/state/tasks';
import {
  endInTime,
  redisDependency,
  RedisWatch,
  type DependencyState,
  type Logger,
  type Redis,
  type Registry,
  type RunningService,
} from '@dicom-dispatch/runtime';
import { openSource } from '@dicom-dispatch/sources';
import type { FeedState } from '@dicom-dispatch/state/feed';
import { Arrivals } from './arrivals.ts';
import { firstState } from './first-state.ts';
import { leadSource, type SourceLead } from './lead-source.ts';
import { MisdatedStudies } from './misdated.ts';
import { createRouterMetrics } from './router-metrics.ts';
import { startPushServer } from './push-server.ts';
import { PutOff } from './put-off.ts';
import type { NotesFile } from './recovery/notes-file.ts';
import type { Notes } from './recovery/notes.ts';
import { answerFor, type AnswerState } from './recovery/operator-answer.ts';
import { RouterRecovery } from './recovery/router-recovery.ts';
import { SettledStudies } from './recovery/settled.ts';
import { studyRouterOf, type SourceKit } from './source-kit.ts';
import { SourceTime } from './source-time.ts';
import { Standby } from './standby.ts';
import { TakeBack } from './take-back.ts';
import { WaitingStudies } from './waiting-studies.ts';

export interface RouterOptions {
  readonly config: Config;
  readonly redis: Redis;
  readonly log: Logger;
  readonly metrics: Registry;
  /** Watches the Redis for the whole process. Default: a separate one. */
  readonly watch?: RedisWatch;
  /** Location of the notes of the data in Redis, outside Redis. Default: only in memory. */
  readonly notes?: { readonly file: NotesFile; readonly known: Notes | undefined };
}

/**
 * Starts a router: it follows and sweeps every enabled source that no other router leads, and enqueues stable studies. Any
 * number may run; one leads each source, the others are standbys.
 */
export async function startRouter(options: RouterOptions): Promise<RunningService> {
  const { config, redis, log, metrics } = options;
  const prefix = config.redis.prefix;
  const watch = options.watch ?? new RedisWatch({ redis, prefix, services: ['router'], log });
  const records = new Records(redis, prefix);
  const enqueuer = new StudyEnqueuer(config, redis, records);
  let current = { config, rules: compileRules(config.rules, config), cache: await openCache(config) };
  const pipeline = openPipeline(() => current.config, redis);
  const stopping = new AbortController();
  const kits = new Map<string, SourceKit>();
  const leads = new Map<string, SourceLead>();
  const counts = createRouterMetrics(metrics, leads);
  const recovery = new RouterRecovery(
    { context: pipeline, watch, file: options.notes?.file, answers: beginAsAnswered, log },
    options.notes?.known,
  );
  for (const name of Object.keys(config.sources)) leadIfEnabled(name);
  counts.begin(Object.keys(config.sources));
  let push = await startPush();
  const pruning = startPruning(() => (isLeading() ? current.cache : undefined));
  const tasks = new TaskRecords(redis, prefix);
  const reconciler = startReconciler({
    config: () => current.config,
    redis,
    records,
    tasks,
    queues: pipeline.queues,
    log,
  });
  const standby = new Standby(redis, prefix, watch.process);
  void standby.run(stopping.signal);
  log.info({ sources: [...leads.keys()], rules: current.rules.length }, 'router started');
  for (const { name, whyStable } of current.rules) {
    if (whyStable !== undefined) log.warn({ rule: name, reason: whyStable }, 'a rule starts when studies are stable');
  }

  return {
    name: 'router',
    dependencies: async () => [
      await redisDependency(redis),
      ...watch.dependencies(),
      ...Array.from(leads.values(), stateOf),
    ],
    async reload(next) {
      // Errors occur here, before anything is changed.
      const rules = compileRules(next.rules, next);
      const before = current.config;
      const isSameCache = fingerprint(next.cache) === fingerprint(before.cache);
      current = { config: next, rules, cache: isSameCache ? current.cache : await openCache(next) };
      enqueuer.reload(next);
      for (const [name, running] of leads) {
        const isSame = fingerprint(next.sources[name]) === fingerprint(before.sources[name]);
        // One that is disabled stops here. A source that another one prevents from being followed may be the only one now.
        if (isSame && running.status.sameAs === undefined) continue;
        leads.delete(name);
        kits.delete(name);
        await running.stop();
      }
      for (const name of Object.keys(next.sources)) if (!leads.has(name)) leadIfEnabled(name);
      counts.begin(Object.keys(next.sources));
      if (fingerprint([next.sources, next.push]) !== fingerprint([before.sources, before.push])) {
        await push?.stop();
        push = await startPush();
      }
      log.info({ sources: [...leads.keys()], rules: rules.length }, 'configuration reloaded');
    },
    async stop() {
      pruning.stop();
      reconciler.stop();
      stopping.abort(new Error('the router is stopping'));
      await endInTime(log, {
        pushes: () => push?.stop(),
        notes: () => recovery.stop(),
        ...Object.fromEntries(Array.from(leads, ([name, { stop }]) => [`source ${name}`, stop])),
      });
      await endInTime(log, {
        standby: () => standby.leave(),
        queues: () => Promise.all([enqueuer.close(), pipeline.close()]),
      });
      if (!options.watch) await watch.stop();
      log.info('router stopped');
    },
  };

  function leadIfEnabled(name: string): void {
    if (!current.config.sources[name]?.enabled) return;
    const kit = kitOf(name);
    if (kit) leads.set(name, leadSource(kit));
  }

  function kitOf(name: string): SourceKit | undefined {
    const known = kits.get(name);
    const source = current.config.sources[name];
    if (known || !source) return known;
    const { now } = watch.clock;
    const kit: SourceKit = {
      name,
      config: source,
      rules: () => current,
      sources: () => current.config.sources,
      redis,
      prefix,
      watch,
      records,
      enqueuer,
      pipeline,
      waiting: new WaitingStudies(redis, prefix, name, now),
      putOff: new PutOff(redis, prefix, name, now),
      takeBack: new TakeBack(handOver, name, now, log),
      time: new SourceTime(name, now, log),
      settled: new SettledStudies(redis, prefix, name),
      misdated: new MisdatedStudies(redis, prefix, name, log),
      arrivals: new Arrivals({ source: name, rules: () => current, handOver, confirm: () => watch.confirm(), log }),
      log,
      routed: (outcome) => counts.routed(name, outcome),
      forgotten: (studies) => counts.forgotten(name, studies),
    };
    kits.set(name, kit);
    return kit;
  }

  /** Start position of an unknown source chosen by an operator. */
  async function beginAsAnswered(answer: AnswerState, name: string): Promise<FeedState | undefined> {
    const startFrom = answerFor(answer, name);
    const source = current.config.sources[name];
    const kit = kitOf(name);
    if (startFrom === undefined || !source || !kit) return undefined;
    const orthanc = await openSource(source);
    try {
      const { signal } = stopping;
      return await firstState({ startFrom, orthanc, signal, sourceNow: () => kit.time.now(orthanc, signal) });
    } finally {
      await orthanc.close();
    }
  }

  function handOver(): HandOverContext {
    return { config: current.config, redis, circuits: pipeline.circuits, queues: pipeline.queues, records };
  }

  /** It stores no large results: these are created and read where instances are transferred. */
  function openCache({ cache, redis: { prefix: base } }: Config): Promise<IntermediateCache> {
    return IntermediateCache.open(
      redis,
      { ...cache, folder: undefined },
      {
        prefix: base,
        onWarning: ({ code, message, type }) =>
          log.warn({ code, type, reason: message }, 'the cache reported an error'),
      },
    );
  }

  function isLeading(): boolean {
    return [...leads.values()].some(({ status }) => status.isLeader);
  }

  function startPush(): ReturnType<typeof startPushServer> {
    return startPushServer({
      config: current.config,
      redis,
      log,
      async route(source, orthanc, orthancStudyId, feed) {
        const kit = kitOf(source);
        if (!kit) throw new Error(`the source ${source} is not configured`);
        const { signal } = stopping;
        return studyRouterOf(kit, { orthanc, feed: () => feed, signal }).route(orthancStudyId, feed.epoch);
      },
      came(source, orthanc, came, feed) {
        const arrivals = kitOf(source)?.arrivals;
        arrivals?.pushed(orthanc, feed.epoch, came, stopping.signal);
        return arrivals?.isWanted ?? false;
      },
    });
  }
}

function stateOf({ status, trouble }: SourceLead): DependencyState {
  const name = `source ${status.name}`;
  if (!status.isLeader) return { name, ok: true, detail: 'another router leads, this one is on standby' };
  const wrong = trouble();
  if (wrong !== undefined) return { name, ok: false, detail: wrong };
  return status.state
    ? { name, ok: true, detail: `followed to ${status.state.seq}` }
    : { name, ok: false, detail: 'not asked yet' };
}
