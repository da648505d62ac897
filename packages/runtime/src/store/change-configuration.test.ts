import { startRedis, tempDisk, tempFolder, waitFor, type RedisServer } from '@dicom-dispatch/harness';
import { redisKeys } from '@dicom-dispatch/state/keys';
import { Redis } from 'ioredis';
import { execFileSync } from 'node:child_process';
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { createLogger } from '../logging/create-logger.ts';
import { callServices } from '../reload/call-services.ts';
import { listenForReloads } from '../reload/listen-for-reloads.ts';
import type { ReloadAnswer } from '../reload/reload-messages.ts';
import { changeConfiguration, type ConfigChangeResult } from './change-configuration.ts';
import { ConfigFile } from './config-file.ts';
import { configDigest } from './current-config.ts';
import { ConfigVersions } from './versions.ts';

const prefix = '{change}';
const keys = redisKeys(prefix);
const log = createLogger('test', { level: 'silent', format: 'json' });
const [former, next] = ['former: true\n', 'next: true\n'];

let server: RedisServer;
let redis: Redis;
let folder: Awaited<ReturnType<typeof tempFolder>>;
let file: ConfigFile;
let versions: ConfigVersions;
let service: { stop(): void } | undefined;

beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = new Redis(server.url);
});
beforeEach(async () => {
  await redis.flushall();
  folder = await tempFolder('change');
  file = new ConfigFile(join(folder.path, 'dispatch.yaml'));
  versions = new ConfigVersions(file.path);
  await writeFile(file.path, former);
});
afterEach(async () => {
  vi.restoreAllMocks();
  service?.stop();
  service = undefined;
  await listeners(0);
  await folder.remove();
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

const change = (withinMs = 10_000): Promise<ConfigChangeResult> =>
  changeConfiguration(
    { redis, prefix, current: file, versions, withinMs },
    { text: next, base: configDigest(former), author: 'anna', reason: 'test' },
  );
const text = (): Promise<string> => readFile(file.path, 'utf8');

/** A process that responds as a test defines. */
async function serve(answers: {
  readonly check?: () => Partial<ReloadAnswer>;
  readonly apply?: () => Promise<Partial<ReloadAnswer>>;
}): Promise<void> {
  const answer: ReloadAnswer = {
    process: 'host-1',
    services: ['dispatcher'],
    file: file.path,
    outcome: 'ready',
    reasons: [],
    restart: [],
    notes: [],
  };
  const listener = listenForReloads(
    redis as never,
    prefix,
    log,
    {
      check: async () => ({ ...answer, ...answers.check?.() }),
      apply: async () => ({ ...answer, outcome: 'applied', ...(await answers.apply?.()) }),
      forget: () => {},
      missed: () => {},
    },
    60_000,
  );
  service = listener;
  await listeners(1);
}

async function listeners(count: number): Promise<void> {
  await waitFor(async () => (await redis.pubsub('NUMSUB', keys.reloadChannel))[1] === count, {
    message: `${count} processes listen`,
  });
}

const refusing: Partial<ReloadAnswer> = { outcome: 'refused', reasons: ['no memory'] };

describe('a change of the configuration', () => {
  it('that was begun before a process listened is looked for once more, since who makes it may die unheard', async () => {
    for (const [isChanging, looks] of [
      [false, 1],
      [true, 2],
    ] as const) {
      if (isChanging) await redis.set(keys.configurationLock, 'somebody');
      let missed = 0;
      const steps = { check: vi.fn(), apply: vi.fn(), forget: () => {}, missed: () => void (missed += 1) };
      const listener = listenForReloads(redis as never, prefix, log, steps, 50);
      await waitFor(() => missed === looks);
      listener.stop();
      await listeners(0);
    }
  });

  it.each([
    ['half written', (path: string): Promise<void> => writeFile(path, '{ "number": 2, "at"')],
    ['empty', (path: string): Promise<void> => writeFile(path, '')],
    ['of another shape', (path: string): Promise<void> => writeFile(path, '{ "number": 2 }')],
    ['binary', (path: string): Promise<void> => writeFile(path, '\u0000\u0001')],
    ['a folder', async (path: string): Promise<void> => void (await mkdir(path))],
    ['a pipe', async (path: string): Promise<void> => void execFileSync('mkfifo', [path])],
    ['a link to nothing', (path: string): Promise<void> => symlink('nowhere', path)],
  ] as const)('is applied though a version is %s', async (_, damage) => {
    await versions.add({ text: former, author: 'anna', reason: 'first' });
    await damage(join(versions.folder, '000002.json'));
    await serve({});
    expect(await change()).toMatchObject({ outcome: 'applied', version: 3, reasons: [] });
    expect((await versions.list()).map(({ number }) => number)).toEqual([3, 1]);
  });

  it('is applied with its version', async () => {
    await serve({});
    expect(await change()).toMatchObject({ outcome: 'applied', version: 2, silent: [], reasons: [] });
    expect(await text()).toBe(next);
  });

  it('is applied where no process lives, and refused where one lives that does not answer', async () => {
    await redis.zadd(keys.processes, Date.now(), 'one');
    await redis.set(keys.process('one'), JSON.stringify({ services: ['router'], host: 'host', pid: 2 }));
    expect(await change()).toMatchObject({ outcome: 'refused', answers: [], silent: ['router (host-2)'] });
    expect(await text()).toBe(former);
    await redis.flushall();
    expect(await change()).toMatchObject({ outcome: 'applied', answers: [], silent: [] });
  });

  it('is refused with the name of a process whose heartbeat ends while its answer is waited for', async () => {
    await redis.zadd(keys.processes, Date.now(), 'one');
    await redis.set(keys.process('one'), JSON.stringify({ services: ['router'], host: 'host', pid: 2 }));
    const suspended = new Redis(server.url);
    await suspended.subscribe(keys.reloadChannel);
    suspended.on('message', () => void redis.multi().zrem(keys.processes, 'one').del(keys.process('one')).exec());
    try {
      expect(await change(500)).toMatchObject({ outcome: 'refused', answers: [], silent: ['router (host-2)'] });
    } finally {
      suspended.disconnect();
    }
  });

  it('counts processes by the clock of Redis, and only those that have not ended', async () => {
    const now = Date.now.bind(Date);
    vi.spyOn(Date, 'now').mockImplementation(() => now() + 3_600_000);
    await redis.zadd(keys.processes, now(), 'one', now(), 'ended');
    await redis.set(keys.process('one'), JSON.stringify({ services: ['router'], host: 'host', pid: 2 }));
    expect(await change()).toMatchObject({ outcome: 'refused', silent: ['router (host-2)'] });
    // A member of a Cluster that does not respond counts no subscribers: processes with a heartbeat are waited for.
    const silent = { pubsub: () => Promise.reject(new Error('down')) };
    const cluster = Object.assign(new Redis(server.url), { isCluster: true, nodes: () => [silent] });
    const called = await callServices(cluster as never, prefix, { id: 'call', step: 'check' }, 10);
    cluster.disconnect();
    expect(called).toEqual({ answers: [], missing: 1 });
  });

  it('that is made and cannot be recorded is applied, and reports this', async () => {
    await serve({});
    const add = versions.add.bind(versions);
    vi.spyOn(versions, 'add').mockImplementation(async (entry) => {
      if (entry.text === next) throw Object.assign(new Error('ENOSPC: no space'), { code: 'ENOSPC' });
      return add(entry);
    });
    const result = await change();
    expect(result).toMatchObject({ outcome: 'applied', reasons: [expect.stringContaining('ENOSPC')] });
    expect(result.version).toBeUndefined();
    expect(await text()).toBe(next);
  });

  it('of which services cannot be notified is not reported as unchanged', async () => {
    await serve({});
    vi.spyOn(redis, 'incr').mockRejectedValue(Object.assign(new Error('connection lost'), { code: 'ECONNRESET' }));
    const result = await change();
    expect(result).toMatchObject({ outcome: 'unsettled', version: 2 });
    expect(result.reasons?.join()).toMatch(/the file is changed.*connection lost/);
    expect(await text()).toBe(next);
  });

  it('on a full disk changes nothing, and leaves nothing behind', async () => {
    await using disk = await tempDisk({ sizeBytes: 64 * 1024 });
    file = new ConfigFile(join(disk.path, 'dispatch.yaml'));
    versions = new ConfigVersions(file.path);
    await writeFile(file.path, former);
    const large = `${next}${'# filled\n'.repeat(10_000)}`;
    await serve({});
    const where = { redis, prefix, current: file, versions, withinMs: 10_000 };
    const note = { base: configDigest(former), author: 'anna', reason: 'test' };
    await expect(changeConfiguration(where, { ...note, text: large })).rejects.toThrow('ENOSPC');
    expect(await readdir(disk.path)).toEqual(['dispatch.yaml']);
    expect(await text()).toBe(former);
    expect(await change()).toMatchObject({ outcome: 'applied', reasons: [] });
  });

  it('that a service cannot take over is undone', async () => {
    let count = 0;
    await serve({ apply: async () => ((count += 1) === 1 ? refusing : {}) });
    expect(await change()).toMatchObject({ outcome: 'undone', reasons: [] });
    expect(await text()).toBe(former);
  });

  it('reports when it cannot be undone: the file was edited, or a service rejects the former one too', async () => {
    await serve({
      async apply() {
        await writeFile(file.path, 'by hand: true\n');
        return refusing;
      },
    });
    const edited = await change();
    expect(edited).toMatchObject({ outcome: 'unsettled', reasons: [expect.stringContaining('edited by hand')] });
    expect(await text()).toBe('by hand: true\n');

    service?.stop();
    await listeners(0);
    await writeFile(file.path, former);
    await serve({ apply: async () => refusing });
    const refused = await change();
    expect(refused.outcome).toBe('unsettled');
    expect(refused.reasons).toEqual([expect.stringContaining('in the file again'), 'dispatcher (host-1): no memory']);
    expect(await text()).toBe(former);
  });
});
