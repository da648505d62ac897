import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseConfig, type Config } from '@dicom-dispatch/core';
import { startRedis, waitFor, type RedisServer } from '@dicom-dispatch/harness';
import { operationKeys, openPipeline, planByName, StudyEnqueuer, type PipelineContext } from '@dicom-dispatch/pipeline';
import { connectRedis, createLogger, type AboutProcess, type Redis } from '@dicom-dispatch/runtime';
import { writeSourceStatus, type SourceStatus } from '@dicom-dispatch/state/feed';
import { OutgoingFailures } from '@dicom-dispatch/state/outgoing';
import { act, decodeData, encodeData, fromNow, type WakeKind } from '@dicom-dispatch/state/records';
import { noCounts, TargetAudits } from '@dicom-dispatch/state/target-audits';
import { TaskRecords } from '@dicom-dispatch/state/tasks';
import { targetSchemas } from '@dicom-dispatch/targets/schemas';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { pauseTarget, resumeTarget } from '../change-target.ts';
import { holdDelivery, releaseDelivery } from '../hold-delivery.ts';
import { readTarget } from '../read-target.ts';
import { alertRulesYaml } from './alert-rules.ts';
import { healthTableMarkdown } from './health-kinds.ts';
import {
  healthKinds,
  healthTable,
  isTrouble,
  publicFinding,
  readHealth,
  type AskedSource,
  type HealthKind,
} from './index.ts';

const hour = 3_600_000;
const actor = { name: 'otto' };
const log = createLogger('test', { level: 'fatal', format: 'json' });
let server: RedisServer;
let redis: Redis;
let config: Config;
let context: PipelineContext;
let keys: ReturnType<typeof operationKeys>;
let prefix: string;
let asked: AskedSource;
let count = 0;

beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = connectRedis(server.url, 'test', log);
  config = configOf({ a: { type: 'dummy' }, b: { type: 'dummy' } });
  ({ prefix } = config.redis);
  keys = operationKeys(prefix);
  context = openPipeline(() => config, redis);
});
afterAll(async () => {
  await context.close();
  redis.disconnect();
  await server.stop();
});

/** A system without problems: a router, a dispatcher, a source that is followed. */
beforeEach(async () => {
  await redis.flushall();
  config = configOf({ a: { type: 'dummy' }, b: { type: 'dummy' } });
  asked = { name: 'main', reachable: true, detail: 'Orthanc 1.12.7', lag: 0 };
  await beat({});
  await redis.zadd(keys.workers, Date.now(), 'one');
  await redis.set(keys.worker('one'), JSON.stringify({ host: 'h', pid: 1, startedAt: 1, active: [] }));
  await redis.set(keys.lease('main'), 'h:1 token');
  await redis.hset(keys.sweep('main'), { startedAt: Date.now() - 2_000, endedAt: Date.now() - 1_000, place: 0 });
  await status({});
});

function configOf(targets: Record<string, unknown>, console: Record<string, unknown> = {}): Config {
  const parsed = parseConfig(
    { sources: { main: { url: 'http://127.0.0.1:1' } }, targets, console },
    Object.values(targetSchemas) as never,
  );
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.config;
}

async function beat(about: Partial<AboutProcess>): Promise<void> {
  await redis.zadd(keys.processes, Date.now(), 'p-1');
  const all = { services: ['router', 'dispatcher', 'console'], host: 'h', pid: 1, startedAt: Date.now(), skewMs: 0 };
  await redis.set(keys.process('p-1'), JSON.stringify({ ...all, jumps: [], ...about }));
}

async function status(more: Partial<SourceStatus>): Promise<void> {
  const good = { at: Date.now(), failing: {}, lag: 0, movedAt: Date.now(), skewMs: 0, jump: undefined };
  await writeSourceStatus(redis, prefix, 'main', { ...good, sameAs: undefined, ...more });
}

/** Routes a study to `a`; returns the id of its delivery. */
async function route(to = ['a']): Promise<string> {
  count += 1;
  const studyInstanceUid = `1.2.3.${count}`;
  const enqueuer = new StudyEnqueuer(config, redis, context.records);
  const { added } = await enqueuer.enqueue({
    source: 'main',
    epoch: '1',
    study: {
      orthancStudyId: `o-${count}`,
      studyInstanceUid,
      facts: { source: 'main', study: {}, series: [], origin: {} },
      lastUpdate: undefined,
    } as never,
    manifest: [{ sopInstanceUid: `${studyInstanceUid}.1`, version: '1' }] as never,
    rules: ['r'],
    deliveries: planByName(config, to, { rules: ['r'], priority: 'normal' }),
  });
  await enqueuer.close();
  return added[0]?.deliveryId ?? '';
}

async function end(state: 'failed' | 'partial' | 'source-gone'): Promise<void> {
  const id = await route();
  await context.records.change(id, { ...act('end'), patch: { state, endedAt: fromNow() } });
}

/** Changes the delivery as if it had been routed two hours ago. */
async function routedLongAgo(id: string): Promise<void> {
  const at = Date.now() - 2 * hour;
  await redis.zadd(`${prefix}:index:waiting:a`, at, id);
  const data = decodeData((await redis.hget(keys.delivery(id), 'data')) ?? '{}', id);
  await redis.hset(keys.delivery(id), { since: at, data: encodeData({ ...data, routedAt: at }) });
}

/** A delivery whose last attempt failed because of a shortage on the host; returns its id. */
async function runShort(wake: WakeKind = 'due'): Promise<string> {
  const id = await route();
  const patch = { wake, error: { code: 'local-resources', ...error, stage: 'transfer' } } as const;
  await context.records.change(id, { ...act('wake'), patch });
  return id;
}

const error = { stage: 'connect', fault: 'target', message: 'no answer', remedy: 'Start it.' } as const;

/** How each kind occurs; some have an undo function, if flushing Redis is not sufficient. */
const wrong: Record<HealthKind, () => Promise<unknown>> = {
  async 'redis-away'() {
    const other = connectRedis('redis://127.0.0.1:1', 'test', log);
    const away = openPipeline(() => config, other);
    const found = await readHealth(away, [asked]);
    expect(found).toMatchObject([{ kind: 'redis-away', words: expect.stringContaining('not connected') }]);
    other.disconnect();
    return away.close().catch(() => {});
  },
  'redis-lost': () => redis.hset(keys.generation, 'lost', JSON.stringify({ kind: 'gone', at: 5, by: 'p-1' })),
  async 'redis-refuses-writes'() {
    await redis.config('SET', 'maxmemory', '1');
    return () => redis.config('SET', 'maxmemory', '0');
  },
  async 'redis-evicts'() {
    await redis.config('SET', 'maxmemory', '1gb');
    await redis.config('SET', 'maxmemory-policy', 'allkeys-lru');
    return async () => {
      await redis.config('SET', 'maxmemory-policy', 'noeviction');
      await redis.config('SET', 'maxmemory', '0');
    };
  },
  async 'redis-not-persisting'() {
    const [, folder = ''] = (await redis.config('GET', 'dir')) as [string, string];
    // There is a folder at the path of its snapshot.
    await mkdir(join(folder, 'dump.rdb', 'taken'), { recursive: true });
    const save = (result: string) =>
      waitFor(async () => {
        await redis.bgsave().catch(() => {});
        return (await redis.info('persistence')).includes(`rdb_last_bgsave_status:${result}`);
      });
    await save('err');
    return async () => {
      await rm(join(folder, 'dump.rdb'), { recursive: true });
      await save('ok');
    };
  },
  async 'redis-memory-low'() {
    const used = Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1]);
    await redis.config('SET', 'maxmemory', String(Math.round(used * 1.05)));
    return () => redis.config('SET', 'maxmemory', '0');
  },
  'no-router': () => beat({ services: ['console'] }),
  async 'standby-gone'() {
    await redis.zadd(keys.routers, Date.now(), 'p-1');
    await redis.hset(keys.expectedRouters, { routers: 2, since: Date.now() - hour });
  },
  'no-dispatcher': () => redis.del(keys.worker('one')),
  'configuration-refused': () => beat({ configurationRefusedAt: Date.now() - hour }),
  'configuration-outdated': () => beat({ configurationDiffersAt: Date.now() - hour }),
  'notes-not-written': () => beat({ notesUnwritableAt: Date.now() - hour }),
  'certificate-invalid': () =>
    beat({ certificates: [{ option: 'targets.a.tls.cert', from: 1, until: Date.now() - hour }] }),
  'certificate-expires': () =>
    beat({ certificates: [{ option: 'push.tls.cert', from: 1, until: Date.now() + 13 * 24 * hour }] }),
  'clock-skew': () => beat({ skewMs: -40_000 }),
  'clock-jump': () => beat({ jumps: [{ clock: 'local', ms: 600_000, at: Date.now() }] }),
  async 'source-silent'() {
    asked = { name: 'main', reachable: false, detail: 'source main: refused', code: 'source-unreachable' };
    await status({ movedAt: Date.now() - 60_000 });
  },
  'source-refuses': () => status({ failing: { feed: { since: 7, code: 'source-unauthorized', message: 'HTTP 401' } } }),
  'source-failing': () => status({ failing: { sweep: { since: 7, code: 'source-error', message: 'HTTP 500' } } }),
  'source-not-followed': () => redis.del(keys.lease('main')),
  async 'source-off'() {
    await wrong['source-silent']();
    await redis.del(keys.lease('main'));
    const sources = { main: { ...config.sources['main']!, enabled: false } };
    config = { ...config, sources };
  },
  'source-same-database': () => status({ sameAs: 'other' }),
  async 'feed-stuck'() {
    asked = { ...asked, lag: 3 };
    await status({ movedAt: Date.now() - 5 * 60_000, lag: 3 });
  },
  'sweep-unfinished': () => redis.hset(keys.sweep('main'), { startedAt: Date.now() - hour, endedAt: 1, movedAt: 2 }),
  async 'study-put-off'() {
    await redis.zadd(keys.feedLater('main'), Date.now() + 5_000, 'o-1');
    const why = { tries: 3, since: 9, code: 'source-error', message: 'HTTP 500 for this study' };
    await redis.hset(keys.feedLaterWhy('main'), 'o-1', JSON.stringify(why));
  },
  'source-clock-skew': () => status({ skewMs: 90_000 }),
  'source-clock-jump': () => status({ jump: { ms: -90_000, at: Date.now() } }),
  'target-out-of-reach': () => context.circuits.fail('a', { code: 'target-unreachable', ...error }),
  'target-halted': () => context.circuits.fail('a', { code: 'config-invalid', ...error }),
  async 'target-moved'() {
    config = configOf({ a: { type: 'folder', path: '/tmp/one' }, b: { type: 'dummy' } });
    await context.places.register('a', config.targets['a']!);
    config = configOf({ a: { type: 'folder', path: '/tmp/two' }, b: { type: 'dummy' } });
  },
  async 'target-orphaned'() {
    await route();
    config = configOf({ b: { type: 'dummy' } });
  },
  async 'target-lacks'() {
    const audits = new TargetAudits(redis, prefix);
    await audits.lease('a', 'us');
    const open = { studies: 1, missing: 2, different: 0, extra: 0 };
    const scope = { sample: 1, content: false };
    const audit = { id: '1', target: 'a', by: 'otto', scope, startedAt: Date.now(), counts: noCounts };
    await audits.save({ ...audit, state: 'done', open }, 'us');
    return () => audits.save({ ...audit, state: 'done', open: { ...open, studies: 0, missing: 0 } }, 'us');
  },
  async 'audit-waits'() {
    const audits = new TargetAudits(redis, prefix);
    await audits.lease('a', 'us');
    const scope = { sample: 1, content: false };
    const open = { studies: 0, missing: 0, different: 0, extra: 0 };
    const audit = { id: '1', target: 'a', by: 'schedule', scope, startedAt: Date.now(), counts: noCounts, open };
    await audits.save({ ...audit, state: 'running', reason: 'target-unreachable: no answer' }, 'us');
    return () => audits.save({ ...audit, state: 'done' }, 'us');
  },
  async 'target-off'() {
    await route();
    config = configOf({ a: { type: 'dummy', enabled: false }, b: { type: 'dummy' } });
  },
  async 'target-paused'() {
    await pauseTarget(context, 'a', actor);
    return () => resumeTarget(context, 'a');
  },
  'tasks-paused': () => context.queues.study().pause(),
  'backlog-old': async () => routedLongAgo(await route()),
  'delivery-failed': () => end('failed'),
  'delivery-partial': () => end('partial'),
  'source-gone': () => end('source-gone'),
  'delivery-held': async () => holdDelivery(context, await route(), actor),
  async 'after-success'() {
    const tasks = new TaskRecords(redis, prefix);
    await tasks.open({ studyTaskId: 't-1', source: 'main', orthancStudyId: 'o-1' } as never);
    await tasks.putOff('t-1', 60_000, { code: 'source-error', ...error });
    const problems = [{ kind: 'after-success', subject: 't-1', text: '' }];
    await redis.hset(keys.reconcileReport, 'problems', JSON.stringify(problems));
  },
  async 'study-task-failed'() {
    await redis.zadd(context.queues.study().toKey('failed'), 1, 't-2');
  },
  reconcile: () =>
    redis.hset(
      keys.reconcileReport,
      'problems',
      JSON.stringify([{ kind: 'task-unknown', subject: 't-3', text: 'A study task waits.' }]),
    ),
  'reconcile-late': () => beat({ startedAt: Date.now() - hour }),
  'local-shortage': () => runShort(),
  async 'notification-failing'() {
    config = configOf(
      { a: { type: 'dummy' }, b: { type: 'dummy' } },
      { notifications: { webhooks: { ops: { url: 'https://127.0.0.1:1/hook' } } } },
    );
    const failures = new OutgoingFailures(redis, prefix);
    await failures.failed('webhook:ops', 'HTTP 500');
    // Of a receiver that is no longer configured.
    await failures.failed('email:former', 'no answer');
  },
  async 'audit-not-forwarded'() {
    config = configOf({ a: { type: 'dummy' }, b: { type: 'dummy' } }, { audit: { file: '/tmp/audit.log' } });
    await new OutgoingFailures(redis, prefix).failed('audit-file', 'ENOSPC');
  },
  // A key of a wrong type.
  unread: () => redis.set(keys.held, 'text'),
};

describe('readHealth', () => {
  it('finds nothing where all is well', async () => {
    await route();
    expect(await readHealth(context, [asked])).toEqual([]);
    expect(await readHealth(context)).toEqual([]);
  });

  it.each(healthKinds.filter((kind) => kind !== 'redis-away'))('finds %s, and nothing else', async (kind) => {
    const undo = await wrong[kind]();
    try {
      const findings = await readHealth(context, [asked]);
      const others = { 'redis-refuses-writes': ['redis-memory-low'] } as Partial<Record<HealthKind, HealthKind[]>>;
      expect(findings.map((one) => one.kind).sort()).toEqual([kind, ...(others[kind] ?? [])].sort());
      const found = findings.find((one) => one.kind === kind)!;
      expect(found.severity).toBe(healthTable[kind].severity);
      expect(isTrouble(found)).toBe(found.severity !== 'info');
      expect(found.words).not.toMatch(/undefined|NaN|SUBJECT/);
      expect(`${found.remedy} ${found.path}`).not.toMatch(/undefined|SUBJECT/);
      expect(found.path).toMatch(/^\//);
    } finally {
      if (typeof undo === 'function') await (undo as () => Promise<unknown>)();
    }
  });

  it('finds redis-away, and gives up soon', () => wrong['redis-away']());

  it('is worst first, and names who paused a target, how a halt is mended, and since when', async () => {
    await pauseTarget(context, 'a', actor);
    await pauseTarget(context, 'a', { name: 'ada' });
    await wrong['delivery-held']();
    await context.circuits.fail('b', { code: 'config-invalid', ...error });
    const findings = await readHealth(context, [asked]);
    expect(findings.map(({ kind }) => kind)).toEqual(['target-halted', 'target-paused', 'delivery-held']);
    expect(findings[0]).toMatchObject({ subject: 'b', remedy: 'Start it.', path: '/targets/b' });
    expect(findings[0]!.since).toBeGreaterThan(Date.now() - 60_000);
    expect(findings[1]!.words).toBe('the target a is paused by otto, and 1 delivery waits');
    await resumeTarget(context, 'a');
    expect((await readHealth(context, [asked])).map(({ kind }) => kind)).not.toContain('target-paused');
  });

  it('does not call old what is held, or waits for its schedule', async () => {
    const id = await route();
    await routedLongAgo(id);
    await holdDelivery(context, id, actor);
    const kinds = async () => (await readHealth(context, [asked])).map(({ kind }) => kind);
    expect(await kinds()).toEqual(['delivery-held']);
    expect((await readTarget(context, 'a')).oldestWaitingAt).toBeUndefined();
    await releaseDelivery(context, id, actor);
    expect(await kinds()).toEqual(['backlog-old']);
    expect((await readTarget(context, 'a')).oldestWaitingAt).toBeLessThan(Date.now() - hour);
    const patch = { wake: 'schedule', nextAttemptAt: fromNow(hour) } as const;
    await context.records.change(id, { ...act('wake'), patch });
    expect(await kinds()).toEqual([]);
    expect((await readTarget(context, 'a')).oldestWaitingAt).toBeUndefined();
  });

  it('counts for a shortage only what is tried again, not what waits for something else since', async () => {
    const shortages = async () =>
      (await readHealth(context, [asked])).filter(({ kind }) => kind === 'local-shortage').map(({ words }) => words);
    for (const wake of ['schedule', 'circuit', 'turn', 'person'] as const) await runShort(wake);
    await holdDelivery(context, await runShort(), actor);
    expect(await shortages()).toEqual([]);
    await runShort();
    const words = '1 delivery waits for a resource of the host of a dispatcher, to a: no answer';
    expect(await shortages()).toEqual([words]);
    await pauseTarget(context, 'a', actor);
    expect(await shortages()).toEqual([]);
    await resumeTarget(context, 'a');
    expect(await shortages()).toEqual([words]);
  });

  it('names the services that could not apply the newest configuration, and since when', async () => {
    await beat({ services: ['dispatcher', 'router'], configurationRefusedAt: 7 });
    const [first] = await readHealth(context, [asked]);
    const words = 'dispatcher, router on h (process 1) could not apply the newest configuration';
    expect(first).toMatchObject({ kind: 'configuration-refused', since: 7, words });
    // Names of hosts are not public.
    expect(publicFinding(first!)).toEqual({ kind: 'configuration-refused', severity: 'warning', subject: '' });
  });

  it('reports notifications and an audit log that nothing sends, because no console runs', async () => {
    await beat({ services: ['router', 'dispatcher'] });
    expect(await readHealth(context, [asked])).toEqual([]);
    await wrong['notification-failing']();
    const console = { ...config.console, audit: { ...config.console.audit, file: '/tmp/audit.log' } };
    config = { ...config, console };
    expect((await readHealth(context, [asked])).map(({ kind, words }) => [kind, words])).toEqual([
      ['notification-failing', 'no console runs: notifications are not sent'],
      ['audit-not-forwarded', 'no console runs: the audit log is not forwarded'],
    ]);
  });

  it('does not only propose to start services that may run without permission to write', async () => {
    await redis.del(keys.processes, keys.lease('main'), keys.workers);
    await redis.acl('SETUSER', 'default', '-@write');
    try {
      const findings = await readHealth(context, [asked]);
      expect(findings.map(({ kind }) => kind)).toEqual(['no-router', 'no-dispatcher']);
      for (const { remedy } of findings) expect(remedy).toContain('NOPERM');
    } finally {
      await redis.acl('SETUSER', 'default', '+@all');
    }
  });

  it('does not call an audit stuck that waits for its schedule', async () => {
    await wrong['audit-waits']();
    const audits = new TargetAudits(redis, prefix);
    const audit = (await audits.read('a'))!;
    await audits.save({ ...audit, reason: 'it is outside of its schedule' }, 'us');
    expect(await readHealth(context, [asked])).toEqual([]);
  });

  it('reports what a target lacks also while its next audit waits', async () => {
    await wrong['audit-waits']();
    const audits = new TargetAudits(redis, prefix);
    const audit = (await audits.read('a'))!;
    await audits.save({ ...audit, open: { studies: 1, missing: 2, different: 0, extra: 0 } }, 'us');
    expect((await readHealth(context, [asked])).map(({ kind }) => kind)).toEqual(['target-lacks', 'audit-waits']);
  });

  it('names a certificate with its date and host, once, and why it is not valid yet', async () => {
    const [from, until] = [Date.parse('2990-01-02T00:00Z'), Date.parse('2999-01-01T00:00Z')];
    const certificates = [
      { option: 'targets.a.tls.cert', from, until },
      { option: 'targets.a.tls.cert', from, until },
      { option: 'targets.b.tls.ca', from: 1, until: Date.parse('2020-05-06T07:00Z') },
      { option: 'targets.b.tls.cert', from: 1, until },
    ];
    await beat({ certificates });
    const findings = await readHealth(context, [asked]);
    expect(findings.map(({ words }) => words)).toEqual([
      'the certificate of targets.b.tls.ca on h expired on 2020-05-06',
      'the certificate of targets.a.tls.cert on h is not valid before 2990-01-02',
    ]);
    expect(findings[1]!.remedy).toContain('Check the clock of the host');
  });

  it('does not believe one slow answer of a source that its router follows', async () => {
    asked = { name: 'main', reachable: false, detail: 'timeout', code: 'source-unreachable' };
    expect(await readHealth(context, [asked])).toEqual([]);
  });

  it.each([
    ['was interrupted', { startedAt: Date.now() - 2 * hour, endedAt: 1, movedAt: Date.now() - hour }],
    ['is due', { startedAt: 1, endedAt: Date.now() - 30 * 24 * hour }],
  ])(
    'does not call a sweep unfinished that %s and waits for the feed, but does if nothing renews this',
    async (_, sweep) => {
      const unfinished = async (): Promise<boolean> =>
        (await readHealth(context, [asked])).some(({ kind }) => kind === 'sweep-unfinished');
      await redis.hset(keys.sweep('main'), sweep);
      expect(await unfinished()).toBe(true);
      await redis.hset(keys.sweep('main'), { waitedAt: Date.now() });
      expect(await unfinished()).toBe(false);
      await redis.hset(keys.sweep('main'), { waitedAt: Date.now() - hour / 2 });
      expect(await unfinished()).toBe(true);
    },
  );

  it('reports once that no router runs, and why Redis rejects writes', async () => {
    await redis.del(keys.process('p-1'), keys.lease('main'));
    expect((await readHealth(context, [asked])).map(({ kind }) => kind)).toEqual(['no-router']);
    const undo = (await wrong['redis-refuses-writes']()) as () => Promise<unknown>;
    // No heartbeat can be written any more.
    await redis.del(keys.processes, keys.worker('one'), keys.lease('main'));
    const findings = await readHealth(context, [asked]);
    await undo();
    expect(findings.map(({ kind }) => kind)).toEqual(['redis-refuses-writes', 'redis-memory-low']);
    const first = findings.find(({ kind }) => kind === 'redis-refuses-writes');
    expect(first).toMatchObject({ kind: 'redis-refuses-writes', words: expect.stringContaining('OOM') });
    expect(first!.remedy).toContain('maxmemory');
  });
});

it('has a row for each kind in docs/failure-modes.md', async () => {
  const page = await readFile(new URL('../../../../docs/failure-modes.md', import.meta.url), 'utf8');
  expect(/<!-- findings -->\n([\s\S]*?)\n<!-- end -->/.exec(page)?.[1]).toBe(healthTableMarkdown());
});

it('has an alert rule for each kind', async () => {
  const rules = alertRulesYaml();
  // Regenerated by `vitest run -u`.
  await expect(rules).toMatchFileSnapshot('../../../../deploy/grafana/alerts.yaml');
  for (const kind of healthKinds) expect(rules).toContain(`dispatch_health_findings{kind="${kind}"}`);
});
