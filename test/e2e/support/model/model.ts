import { parseConfig, type Config } from '@dicom-dispatch/core';
import { DeliveryQueueAdapter, Refused } from '@dicom-dispatch/console/queues';
import {
  cancelDelivery,
  dropOrphan,
  holdDelivery,
  moveOrphan,
  promoteTarget,
  releaseDelivery,
  retryDelivery,
} from '@dicom-dispatch/operations';
import {
  forgetStudy,
  OperationError,
  openPipeline,
  planByName,
  reconcile,
  StudyEnqueuer,
  type PipelineContext,
} from '@dicom-dispatch/pipeline';
import type { Logger, Redis } from '@dicom-dispatch/runtime';
import { RecordMender, Records } from '@dicom-dispatch/state/records';
import { redisKeys } from '@dicom-dispatch/state/keys';
import { TaskRecords } from '@dicom-dispatch/state/tasks';
import { targetSchemas } from '@dicom-dispatch/targets/schemas';
import type { Job } from 'bullmq';
import { Dispatchers, queueNames } from './dispatchers.ts';
import { isLosable, losable, type Losable } from './lose-keys.ts';
import { LinkLost, linkOf, type RedisLink } from './redis-link.ts';
import type { Happening, Step } from './steps.ts';

const actor = { name: 'model' };
const target = { type: 'dummy' };
/** What `reload` cycles through: a target disappears, comes back, and its concurrency changes. */
const configurations = [{ a: target, b: target }, { a: target }, { a: { ...target, concurrency: 1 }, b: target }].map(
  (targets) => {
    const parsed = parseConfig(
      { sources: { main: { url: 'http://127.0.0.1:1' } }, targets },
      Object.values(targetSchemas) as never,
    );
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
    return parsed.config;
  },
);

/** A system without processes: its parts act when a script calls them. */
export class Model {
  readonly operations: PipelineContext;
  readonly witness: Redis;
  readonly tasks: TaskRecords;
  /** Deliveries that were ever routed, and the study of each. */
  readonly ids: string[] = [];
  readonly studyOf = new Map<string, string>();
  /** Deliveries that were, or may have been, forgotten with their study. */
  readonly forgotten = new Set<string>();
  /** Deliveries whose record was removed by hand. */
  readonly lost = new Map<string, { readonly target: string; readonly study: string }>();

  readonly #redis: Redis;
  readonly #link: RedisLink;
  readonly #enqueuer: StudyEnqueuer;
  readonly #dispatchers: Dispatchers;
  readonly #records: Records;
  readonly #log: Logger;
  /** Studies that a router is routing: it continues until they are routed. */
  readonly #routing = new Set<string>();
  /** Version of the content of each study: it changes when instances arrive late. */
  readonly #studies = new Map<string, number>();
  #reloads = 0;
  #count = 0;

  constructor(redis: Redis, witness: Redis, log: Logger) {
    this.#redis = redis;
    this.witness = witness;
    this.#log = log;
    this.#link = linkOf(redis);
    const { prefix } = this.#config.redis;
    this.operations = openPipeline(() => this.#config, redis);
    this.tasks = new TaskRecords(witness, prefix);
    this.#records = new Records(witness, prefix);
    this.#enqueuer = new StudyEnqueuer(this.#config, redis, this.operations.records);
    this.#dispatchers = new Dispatchers(this.operations, witness, prefix);
  }

  get #config(): Config {
    return configurations[this.#reloads % configurations.length] as Config;
  }

  async begin(): Promise<void> {
    this.#link.back();
    await this.witness.config('SET', 'maxmemory', '0');
    await this.witness.flushall();
    for (const known of [this.studyOf, this.forgotten, this.lost, this.#routing, this.#studies]) known.clear();
    this.#dispatchers.forget();
    this.ids.length = 0;
    this.#reloads = 0;
    this.#count = 0;
    this.#enqueuer.reload(this.#config);
  }

  /** One step. An operator's command may not apply, and Redis may be down or out of memory. */
  async happen([what, of]: Step): Promise<void> {
    const id = this.ids[of % Math.max(1, this.ids.length)];
    try {
      await this.#happen(what, of, id);
    } catch (error) {
      if (!isExpected(error)) throw error;
    }
  }

  /** Redis is up, locks of dead processes expire, pending studies are routed, and a reconciliation runs. */
  async settle(): Promise<void> {
    this.#link.back();
    await this.witness.config('SET', 'maxmemory', '0');
    for (const study of this.#routing) await this.#route(study);
    for (const name of queueNames) {
      const queue = this.operations.queues.target(name);
      const locks = this.ids.map((id) => `${queue.toKey(id)}:lock`);
      if (locks.length > 0) await this.witness.del(...locks);
    }
    await this.#reconcile();
    await this.#routeWaiting();
    await this.#sweep();
    await this.#reconcile();
    await this.#routeWaiting();
    await this.#reconcile();
  }

  /** As the sweep of the source, which has all studies but those that were forgotten (`services/router/src/sweep.ts`). */
  async #sweep(): Promise<void> {
    const there = [...this.#studies.keys()].filter((study) =>
      this.ids.some((id) => this.studyOf.get(id) === study && !this.forgotten.has(id)),
    );
    const ids = there.map((study) => `o-${study}`);
    await new RecordMender(this.witness, this.#config.redis.prefix).enterStudies('main', ids);
    const known = await this.#records.studiesById('main', ids);
    for (const [at, study] of there.entries()) if (!known[at]) await this.#route(study);
  }

  /** Acts as the router that leads the source. */
  async #routeWaiting(): Promise<void> {
    const key = redisKeys(this.#config.redis.prefix).waits('main');
    for (const id of await this.witness.zrange(key, '0', '-1')) {
      await this.#route(id.slice('o-'.length));
      await this.witness.zrem(key, id);
    }
  }

  async openTasks(): Promise<string[]> {
    return this.witness.zrange(`${this.#config.redis.prefix}:index:tasks`, '0', '-1');
  }

  async close(): Promise<void> {
    this.#link.back();
    await this.#dispatchers.close();
    await this.#enqueuer.close();
    await this.operations.close();
  }

  async #happen(what: Happening, of: number, id: string | undefined): Promise<void> {
    const { operations, witness } = this;
    switch (what) {
      case 'enqueue':
        this.#count += 1;
        return this.#route(`1.2.${this.#count}`);
      case 'begin':
        this.#count += 1;
        return this.#dispatchers.begin(of % 2 === 0 ? 'a' : 'b', this.#count);
      case 'out of memory':
        return void (await witness.config('SET', 'maxmemory', '1'));
      case 'memory':
        return void (await witness.config('SET', 'maxmemory', '0'));
      case 'Redis goes away':
        return this.#link.lose(of);
      case 'Redis is back':
        return this.#link.back();
      case 'lose index':
        return void (await witness.del(`${this.#config.redis.prefix}:index:open`));
      case 'obliterate':
        return operations.queues.target('a').obliterate({ force: true });
      case 'reconcile':
        return this.#reconcile();
      case 'reload':
        this.#reloads += 1;
        return this.#enqueuer.reload(this.#config);
      case 'move orphans':
        return void (await moveOrphan(operations, 'b', 'a', actor).finally(() => this.#learn(this.#studies.keys())));
      case 'drop orphans':
        return void (await dropOrphan(operations, 'b', actor));
      case 'board: promote all':
        return void (await promoteTarget(operations, 'a'));
      default:
        return id === undefined ? undefined : this.#happenTo(what, id, of);
    }
  }

  async #happenTo(what: Happening, id: string, of: number): Promise<void> {
    const { operations } = this;
    const study = this.studyOf.get(id) ?? '';
    if (isLosable(what)) return this.#lose(what, { id, study: `o-${study}`, of, uid: study });
    switch (what) {
      case 'enqueue again':
        if (of % 2 === 0) this.#studies.set(study, (this.#studies.get(study) ?? 1) + 1);
        return this.#route(study);
      case 'hold':
        return holdDelivery(operations, id, actor);
      case 'release':
        return void (await releaseDelivery(operations, id, actor));
      case 'retry':
        return retryDelivery(operations, id, actor);
      case 'cancel':
        return cancelDelivery(operations, id, actor);
      case 'remove job':
        return void (await (await this.#queueOf(id)).remove(id));
      case 'lose job in lists':
        return this.#loseInLists(id, '');
      case 'fail job':
        return this.#loseInLists(id, 'failed');
      case 'forget':
        return this.#forget(study, of);
      case 'stall':
        return this.#dispatchers.stall(await this.#queueOf(id), id);
      case 'die':
      case 'end':
      case 'put off':
        return this.#dispatchers.finish(what, await this.#queueOf(id), id, this.#count);
      default:
        return this.#pressInBoard(what, id);
    }
  }

  /** Routes a study to the end, as a router that dies and restarts. */
  async #route(study: string): Promise<void> {
    this.#routing.add(study);
    const count = this.#studies.get(study) ?? 1;
    this.#studies.set(study, count);
    const targets = ['a', 'b'].filter((name) => this.#config.targets[name] !== undefined);
    try {
      await this.#enqueuer.enqueue({
        source: 'main',
        epoch: '1',
        study: {
          orthancStudyId: `o-${study}`,
          studyInstanceUid: study,
          facts: { source: 'main', study: {}, series: [], origin: {} },
          lastUpdate: undefined,
        } as never,
        manifest: Array.from({ length: count }, (_, at) => ({
          sopInstanceUid: `${study}.${at + 1}`,
          version: '1',
        })) as never,
        rules: ['r'],
        deliveries: planByName(this.#config, targets, { rules: ['r'], priority: 'normal' }),
        ...(study.endsWith('2') && { onSuccess: { labels: ['sent'] } as never }),
      });
      this.#routing.delete(study);
    } finally {
      await this.#learn([study]);
    }
  }

  /** Adds new deliveries of these studies to the known ones. */
  async #learn(studies: Iterable<string>): Promise<void> {
    for (const study of studies) {
      for (const { deliveryId } of await this.#records.deliveriesOf({ source: 'main', orthancStudyId: `o-${study}` })) {
        this.forgotten.delete(deliveryId);
        if (this.studyOf.has(deliveryId)) continue;
        this.ids.push(deliveryId);
        this.studyOf.set(deliveryId, study);
      }
    }
  }

  async #forget(study: string, of: number): Promise<void> {
    const key = { source: 'main', orthancStudyId: `o-${study}` };
    const gone = (): void =>
      this.ids.filter((id) => this.studyOf.get(id) === study).forEach((id) => this.forgotten.add(id));
    // The response may be lost.
    const { answer } = await forgetStudy(this.operations, key, {
      before: Number.MAX_SAFE_INTEGER,
      withFailed: of % 2 === 0,
    }).catch((error: unknown) => {
      if ((error as Error).cause instanceof LinkLost) gone();
      throw error;
    });
    // `unknown`: also when its record was lost.
    if (answer === 'forgotten' || answer === 'unknown') gone();
  }

  async #lose(
    what: Losable,
    about: { readonly id: string; readonly study: string; readonly of: number; readonly uid: string },
  ): Promise<void> {
    const record = what === 'lose record' ? await this.#records.delivery(about.id) : undefined;
    if (record) this.lost.set(about.id, { target: record.target, study: about.study });
    await this.witness.del(losable[what](this.#config.redis.prefix, about));
  }

  /** The effect of Bull Board's routes on a job. */
  async #pressInBoard(what: Happening, id: string): Promise<void> {
    const { operations } = this;
    const record = await operations.records.delivery(id);
    if (!record) return;
    if (what === 'board: remove study task') {
      const board = new DeliveryQueueAdapter(operations.queues.study(), operations, undefined);
      await (await board.getJob(record.studyTaskId))?.remove();
      return;
    }
    const board = new DeliveryQueueAdapter(operations.queues.target(record.target), operations, record.target);
    const job = (await board.getJob(id)) as unknown as Job | undefined;
    if (what === 'board: remove') await job?.remove();
    else if (what === 'board: retry') await job?.retry();
    else if (what === 'board: promote') await job?.promote();
    else await job?.changeDelay(600_000);
  }

  async #queueOf(id: string) {
    const record = await this.#records.delivery(id);
    return this.operations.queues.target(record?.target ?? 'a');
  }

  /** As BullMQ loses a job, or gives it up. */
  async #loseInLists(id: string, to: string): Promise<void> {
    const queue = await this.#queueOf(id);
    for (const set of ['prioritized', 'delayed']) {
      const removed = await this.witness.zrem(queue.toKey(set), id);
      if (removed > 0 && to !== '') await this.witness.zadd(queue.toKey(to), Date.now(), id);
    }
  }

  async #reconcile(): Promise<void> {
    await this.operations.records.rebuildOpenIndex();
    const { prefix } = this.#config.redis;
    for (const index of ['open', 'tasks']) {
      const key = `${prefix}:index:${index}`;
      // Makes every periodic check due.
      await this.witness.zunionstore(key, 1, key, 'WEIGHTS', 0);
    }
    const { records, queues } = this.operations;
    const tasks = new TaskRecords(this.#redis, prefix);
    await reconcile({ config: () => this.#config, redis: this.#redis, records, tasks, queues, log: this.#log });
  }
}

function isExpected(error: unknown): boolean {
  if (error instanceof OperationError || error instanceof Refused || error instanceof LinkLost) return true;
  if ((error as { code?: unknown }).code === 'ledger-unavailable') return true;
  if (error instanceof TypeError || error instanceof ReferenceError) return false;
  const text = String(error) + String((error as { cause?: unknown }).cause ?? '');
  return /OOM|EXECABORT|used memory|locked|could not be removed|Missing|not in the|lock|Connection is closed/i.test(
    text,
  );
}
