import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { targetOptions, type Config, type TargetSchema } from '@dicom-dispatch/core';
import { startRedis, tempFolder, type RedisServer } from '@dicom-dispatch/harness';
import { redisKeys } from '@dicom-dispatch/state/keys';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ConfigError } from '../config/config-error.ts';
import { createLogger } from '../logging/create-logger.ts';
import { openRedis, type Redis } from '../redis/connect-redis.ts';
import { keepConfiguration } from '../reload/keep-configuration.ts';
import { openStore, type ConfigurationStore } from './configuration-store.ts';
import { configDigest } from './current-config.ts';

const prefix = '{dicom-dispatch}';
const keys = redisKeys(prefix);
const log = createLogger('test', { level: 'silent', format: 'json' });
const targetSchemas = [z.strictObject({ type: z.literal('dummy'), ...targetOptions })] as unknown as TargetSchema[];
const textOf = (name: string): string => `# ${name}
sources: { main: { url: 'http://127.0.0.1:1' } }
targets:
  ${name}: { type: dummy }
console: { listen: '127.0.0.1:1000', thumbnails: false }
`;

let server: RedisServer;
let redis: Redis;
let folder: Awaited<ReturnType<typeof tempFolder>>;
let stores: ConfigurationStore[];

beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = await openRedis(server.url, 'test', 10_000);
});
beforeEach(async () => {
  await redis.flushall();
  folder = await tempFolder('redis-config');
  stores = [];
});
afterEach(async () => {
  for (const store of stores) store.close();
  await folder.remove();
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

interface HostOptions {
  readonly more?: string;
  /** Whether it keeps a copy, as a service does. */
  readonly keepsCopy?: boolean;
  readonly hasKey?: boolean;
  readonly replacesUnusable?: boolean;
  /** Called around each script that it runs in Redis. */
  readonly onEval?: (run: () => Promise<unknown>) => Promise<unknown>;
}

/** The configuration of a host: a file with the options to reach Redis. */
async function host(
  name: string,
  { more = '', keepsCopy = true, hasKey = true, onEval, replacesUnusable }: HostOptions = {},
): Promise<ConfigurationStore> {
  const file = join(folder.path, `${name}.yaml`);
  const dataFolder = join(folder.path, `${name}-data`);
  await writeFile(file, `configuration: redis\nredis: { url: '${server.url}', dataFolder: '${dataFolder}' }\n${more}`);
  if (hasKey) await copyFile(join(folder.path, 'first.yaml.key'), `${file}.key`).catch(() => {});
  const store = await openStore(file, {
    targetSchemas,
    env: {},
    replacesUnusable,
    connect: async (own: Config) => {
      const opened = await openRedis(own.redis, 'test', 10_000);
      const run = opened.eval.bind(opened) as (...args: unknown[]) => Promise<unknown>;
      if (onEval) Object.assign(opened, { eval: (...args: unknown[]) => onEval(() => run(...args)) });
      return opened;
    },
    ...(keepsCopy && { copy: { log: () => log } }),
  });
  stores.push(store);
  return store;
}

/** Makes a text the configuration, like a change, and applies it on hosts. */
async function change(store: ConfigurationStore, name: string, others: readonly ConfigurationStore[] = []) {
  const base = (await store.current.isThere()) ? (await store.current.read()).digest : '';
  await store.current.offer('c1', textOf(name));
  expect(await store.current.commit('c1', base, { author: 'anna', reason: name })).toBe(true);
  await store.current.withdraw('c1');
  for (const one of [store, ...others]) await one.current.remember?.();
}

const targets = async (store: ConfigurationStore): Promise<string[]> => Object.keys((await store.load()).targets);

async function wrong(act: Promise<unknown>): Promise<string> {
  const error = await act.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof ConfigError) return error.format();
  throw error ?? new Error('it was good');
}

describe('a configuration in Redis', () => {
  it('is that of all hosts, each with its own addresses; changed as a whole, with its versions', async () => {
    const first = await host('first');
    expect(await wrong(first.load())).toBe(
      'configuration in Redis: there is none yet: bring it there with "dispatch config import FILE"',
    );
    await change(first, 'a');
    const second = await host('second', { more: "console: { listen: '127.0.0.1:2000' }" });
    const { console, redis: own } = await second.load();
    expect([console.listen, own.prefix, await targets(second)]).toEqual(['127.0.0.1:2000', prefix, ['a']]);
    expect((await first.load()).console.listen).toBe('127.0.0.1:1000');
    await change(second, 'b');
    expect(await targets(first)).toEqual(['b']);
    expect(await first.versions.list()).toMatchObject([
      { number: 2, author: 'anna', reason: 'b' },
      { number: 1, reason: 'a' },
    ]);
    expect((await first.versions.read(1))?.text).toBe(textOf('a'));
    await first.current.offer('late', textOf('c'));
    expect(await first.current.commit('late', configDigest(textOf('a')), { author: '', reason: '' })).toBe(false);
    expect(await targets(first)).toEqual(['b']);
  });

  it('is rejected if it was written without the installation key, or by a newer version', async () => {
    const first = await host('first');
    await change(first, 'a');
    await redis.hset(keys.configuration, { text: textOf('evil'), digest: configDigest(textOf('evil')) });
    expect(await wrong(first.load())).toMatch(/^configuration in Redis: is not signed with the key .*first\.yaml\.key/);
    await redis.hset(keys.configurationVersion(1), 'reason', 'another one');
    expect(await first.versions.list()).toEqual([]);
    await redis.hset(keys.configuration, 'text', textOf('half').slice(0, 9));
    expect(await wrong(first.load())).toContain('is damaged');
    await redis.hset(keys.configuration, 'format', '2');
    expect(await wrong(first.load())).toContain(
      'has format 2, this version of dicom-dispatch knows up to 1: update it',
    );
    const forged = await host('other', { hasKey: false });
    expect(await wrong(forged.load())).toContain('has format 2');
    await redis.hset(keys.configuration, 'format', '1');
    await redis.hset(keys.configuration, { text: textOf('a'), digest: configDigest(textOf('a')) });
    expect(await wrong(forged.load())).toMatch(/the key of the installation is missing: copy .*other\.yaml\.key/);
    await forged.current.offer('x', textOf('evil'));
    expect(await wrong(first.load('x'))).toContain('the change is not signed with the key');
    expect(await wrong(first.load('y'))).toContain('the change is not there');
  });
});

describe('a configuration in Redis that cannot be used', () => {
  it('is replaced by an import on request, in one step, with its history', async () => {
    const first = await host('first');
    await change(first, 'a');
    await change(first, 'b');
    await redis.hset(keys.configuration, 'text', 'half');
    await first.current.offer('c1', textOf('c'));
    expect(await wrong(first.current.commit('c1', '', { author: '', reason: '' }))).toContain(
      'is damaged: import the configuration again with "dispatch config import --replace FILE"',
    );
    const replacing = await host('first', { keepsCopy: false, replacesUnusable: true });
    expect(await replacing.current.isThere()).toBe(false);
    await change(replacing, 'c');
    expect(await targets(first)).toEqual(['c']);
    expect(await first.versions.list()).toMatchObject([{ number: 3 }, { number: 2 }, { number: 1 }]);
    // The key is lost: a new one is created, and texts signed with the former one are no longer shown.
    const other = { keepsCopy: false, hasKey: false };
    expect(await wrong((await host('other', other)).load())).toMatch(
      /the key of the installation is missing: .* if no host has it any more, import .* --replace FILE"$/,
    );
    const anew = await host('other', { ...other, replacesUnusable: true });
    await change(anew, 'd');
    expect(await targets(anew)).toEqual(['d']);
    expect(await anew.versions.list()).toMatchObject([{ number: 4, reason: 'd' }]);
    expect(await wrong(first.load())).toMatch(/is not signed with the key .*dispatch config import --replace FILE"$/);
    // A usable one is not ignored.
    await anew.current.offer('c1', textOf('e'));
    expect(await anew.current.commit('c1', '', { author: '', reason: '' })).toBe(false);
  });
});

it('a change is made once, and reported as made, if the connection is lost before the response', async () => {
  const twice = async (run: () => Promise<unknown>) => {
    await run();
    return run();
  };
  const first = await host('first', { onEval: twice });
  await change(first, 'a');
  await change(first, 'b');
  expect(await first.versions.list()).toHaveLength(2);
});

describe('a Redis that has lost the configuration', () => {
  it('gets the newest of hosts that start together, also where an older one is put back in between', async () => {
    const first = await host('first');
    await change(first, 'a');
    const old = await host('second');
    await old.current.read();
    await old.current.remember?.();
    await change(first, 'b');
    let isOvertaken = false;
    const starting = await host('first', {
      onEval: async (run) => {
        if (!isOvertaken) expect(await targets(old)).toEqual(['a']);
        isOvertaken = true;
        return run();
      },
    });
    await redis.flushall();
    expect(await targets(starting)).toEqual(['b']);
    expect(isOvertaken).toBe(true);
    expect(await targets(old)).toEqual(['b']);
    // The copy of a host is not replaced by an older version that another one has restored.
    await redis.flushall();
    expect(await targets(await host('second'))).toEqual(['a']);
    await starting.current.remember?.();
    await redis.flushall();
    expect(await targets(await host('first'))).toEqual(['b']);
  });

  it('gets the newer of two imports', async () => {
    const first = await host('first');
    await change(first, 'a');
    await redis.flushall();
    const second = await host('second');
    await change(second, 'b');
    await redis.flushall();
    expect(await targets(first)).toEqual(['a']);
    expect(await targets(second)).toEqual(['b']);
    expect(await targets(first)).toEqual(['b']);
  });

  it('and rejects writes, leaves a host with its own version, which is restored later', async () => {
    const first = await host('first');
    await change(first, 'a');
    const old = await redis.hgetall(keys.configuration);
    await change(first, 'b');
    await redis.del(keys.configuration);
    await redis.hset(keys.configuration, old);
    await redis.config('SET', 'min-replicas-to-write', '1');
    try {
      expect(await targets(await host('first'))).toEqual(['b']);
      expect(await redis.hget(keys.configuration, 'number')).toBe('1');
    } finally {
      await redis.config('SET', 'min-replicas-to-write', '0');
    }
    expect(await targets(await host('first'))).toEqual(['b']);
    expect(await redis.hget(keys.configuration, 'number')).toBe('2');
  });

  it('gets its comments back, too', async () => {
    const first = await host('first');
    await change(first, 'a');
    const keeper = keepConfiguration({
      store: first,
      config: await first.load(),
      services: () => [],
      applied: () => {},
      redis,
      log,
    });
    const command = await host('first', { keepsCopy: false });
    await command.current.offer('c1', `${textOf('a')}# ask Anna\n`);
    const base = configDigest(textOf('a'));
    expect(await command.current.commit('c1', base, { author: 'anna', reason: 'a comment' })).toBe(true);
    expect(await keeper.reload('a test')).toMatchObject({ outcome: 'unchanged' });
    await keeper.stop();
    await redis.flushall();
    expect((await (await host('first')).current.read()).text).toContain('# ask Anna');
  });

  it('gets the version back that a host was on last; of two, the newer one', async () => {
    const [first, second] = [await host('first'), await host('second', { hasKey: false })];
    await change(first, 'a');
    await copyFile(first.seal.path, second.seal.path);
    await second.current.remember?.();
    await change(first, 'b');
    const old = await redis.hgetall(keys.configurationVersion(1));
    for (const lose of [
      () => redis.flushall(),
      async () => {
        // As a replica that was behind, or an older snapshot.
        await redis.del(keys.configuration);
        await redis.hset(keys.configuration, old);
      },
    ]) {
      await lose();
      expect(await targets(second)).toEqual(['a']);
      expect(await targets(first)).toEqual(['b']);
      expect(await targets(second)).toEqual(['b']);
      expect((await first.versions.list())[0]).toMatchObject({ number: 2, reason: 'b' });
      // From the disk, as after a restart.
      const again = await host('first');
      await redis.flushall();
      expect(await targets(again)).toEqual(['b']);
    }
  });

  it('keeps changes after the loss, and new imports', async () => {
    const first = await host('first');
    await change(first, 'a');
    const saved = await redis.hgetall(keys.configuration);
    const second = await host('second');
    await change(first, 'b');
    await redis.flushall();
    await redis.hset(keys.configuration, saved);
    await change(second, 'after');
    expect(await targets(first)).toEqual(['after']);
    await redis.flushall();
    const command = await host('command', { keepsCopy: false });
    await change(command, 'new');
    expect(await targets(first)).toEqual(['new']);
  });

  it('gets nothing from a command, from a copy of another Redis, or from a damaged one', async () => {
    const first = await host('first');
    await change(first, 'a');
    const copy = join(folder.path, 'first-data', 'recovery', 'configuration-dicom-dispatch.json');
    const text = await readFile(copy, 'utf8');
    expect((await host('first').then((store) => store.loadCopy()))?.targets).toHaveProperty('a');
    await redis.flushall();
    expect(await wrong((await host('first', { keepsCopy: false })).load())).toContain('there is none yet');
    for (const other of [text.replace('127.0.0.1', '127.0.0.2'), text.slice(0, -9), text.replace('anna', 'eve')]) {
      await writeFile(copy, other);
      expect(await wrong((await host('first')).load())).toContain('there is none yet');
    }
  });
});

describe('the file of a host', () => {
  it('has nothing of what is in Redis, and Redis nothing of what leads there', async () => {
    const foreign = await wrong(host('first', { more: 'targets: {}\nconsole: { thumbnails: true }\n' }));
    expect(foreign.split('\n')).toEqual([
      expect.stringMatching(/first\.yaml:3:1: targets: is in Redis for all hosts \(configuration: redis\)/),
      expect.stringMatching(/first\.yaml:4:12: console\.thumbnails: is in Redis for all hosts/),
    ]);
    const first = await host('first');
    expect(await wrong(first.check(`${textOf('a')}redis: {}\n`))).toContain('redis: stays in the file of each host');
    await writeFile(first.path, 'configuration: redis\n');
    await expect(openStore(first.path, { targetSchemas, env: {}, connect: () => redis })).rejects.toMatchObject({
      problems: [{ message: expect.stringContaining('redis needs redis.url') }],
    });
    // Its versions can be restored nevertheless.
    await writeFile(first.path, '# configuration\ntargets: [\n');
    const broken = await openStore(first.path, { targetSchemas, env: {}, connect: () => redis });
    expect(broken.current.kind).toBe('file');
    await writeFile(first.path, textOf('a'));
    expect(await wrong(first.check(textOf('a')))).toContain('configuration: was redis when this process started');
  });

  it('is named in errors where they are, and Redis where they are there', async () => {
    const first = await host('first');
    await change(first, 'a');
    await writeFile(first.path, `${await readFile(first.path, 'utf8')}health: { router: nowhere }\n`);
    const both = textOf('a').replace('type: dummy', 'type: dummy, attempts: 0');
    const lines = (await wrong(first.check(both))).split('\n');
    expect(lines).toContainEqual(expect.stringMatching(/first\.yaml:3:11: health\.router: /));
    expect(lines).toContainEqual(expect.stringMatching(/^configuration in Redis:4:21: targets\.a\.attempts: /));
  });
});
