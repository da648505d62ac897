import { execFile } from 'node:child_process';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { IntermediateCache } from '@dicom-dispatch/cache';
import { compileRules, Secret } from '@dicom-dispatch/core';
import {
  hashDataset,
  startCountingProxy,
  startRedis,
  tempFolder,
  waitFor,
  type CountingProxy,
} from '@dicom-dispatch/harness';
import { readForRouting } from '@dicom-dispatch/pipeline';
import { createOrthancClient } from '@dicom-dispatch/orthanc';
import { makeStudy } from '@dicom-dispatch/samples';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startFaultScp, type FaultScp } from './support/fault-scp.ts';
import { pacsTarget } from './support/pacs-target.ts';
import { commandLine } from './support/programs.ts';
import {
  startRoutingSystem,
  type RoutingSystem,
  type RunningRouting,
  type UploadedStudy,
} from './support/routing-system.ts';

let system: RoutingSystem;
let proxy: CountingProxy;
let scp: FaultScp;

beforeAll(async () => {
  system = await startRoutingSystem({ overwriteInstances: true });
});
afterAll(() => system[Symbol.asyncDispose]());
beforeEach(async () => {
  proxy = await startCountingProxy(system.orthanc.url);
  scp = await startFaultScp();
});
afterEach(async () => {
  // A study that is not stable yet would be routed during the next test.
  for (const id of uploaded.splice(0)) await system.client.studies.delete(id).catch(() => {});
  await scp[Symbol.asyncDispose]();
  await proxy[Symbol.asyncDispose]();
});

const uploaded: string[] = [];

async function upload(options: Parameters<RoutingSystem['upload']>[0]): Promise<UploadedStudy> {
  const study = await system.upload(options);
  uploaded.push(study.orthancStudyId);
  return study;
}

const sources = (): object => ({ main: { url: proxy.url, pollInterval: '100ms' } });
const manifests = (): number =>
  proxy.count('POST', /bulk-content$/) + proxy.count('GET', /\/studies\/[^/]+\/instances$/);
const files = (): number => proxy.count('GET', /\/instances\/[^/]+\/(file|attachments\/dicom\/data)$/);
const changes = (): number => proxy.count('POST', /\/instances\/[^/]+\/(modify|anonymize)$/);

/** Starts with the queue of `a` paused, so that something may happen between routing and delivery. */
async function startPaused(more: object = {}): Promise<RunningRouting> {
  const run = await system.start({ targets: { a: pacsTarget(scp) }, sources: sources(), ...more });
  await run.operations.queues.target('a').pause();
  return run;
}

describe('a study to several targets', () => {
  it('has its manifest read once, by the router', async () => {
    const targets = { a: pacsTarget(scp), b: { type: 'dummy' }, c: { type: 'dummy' }, d: { type: 'dummy' } };
    await using run = await system.start({ targets, sources: sources() });
    const study = await upload({ seed: 'once', instancesPerSeries: 3 });
    for (const target of Object.keys(targets)) await run.until(study, target, 'delivered');
    expect(scp.stores).toHaveLength(3);
    expect(manifests()).toBe(1);
  });

  it('is read by each without the cache, and arrives just the same', async () => {
    const targets = { a: pacsTarget(scp), b: { type: 'dummy' } };
    await using run = await system.start({ targets, sources: sources(), cache: { enabled: false } });
    const study = await upload({ seed: 'each', instancesPerSeries: 3 });
    for (const target of Object.keys(targets)) await run.until(study, target, 'delivered');
    expect(scp.stores).toHaveLength(3);
    expect(manifests()).toBe(3);
  });

  it('an entry that was spoilt in Redis is made again', async () => {
    await using run = await startPaused();
    const study = await upload({ seed: 'spoilt', instancesPerSeries: 3 });
    await run.until(study, 'a', 'waiting');
    const keys = await run.connection.keys(`${run.config.redis.prefix}:cache:entry:manifest *`);
    expect(keys).toHaveLength(1);
    await run.connection.setrange(keys[0]!, 400, 'spoilt');
    await run.operations.queues.target('a').resume();
    expect(await run.until(study, 'a', 'delivered')).toMatchObject({ total: 3, confirmed: 3, quarantined: 0 });
    expect(manifests()).toBe(2);
  });
});

describe('a cache that Redis rejects in every call', () => {
  it('costs no delivery, with any transforms and selections', async () => {
    const targets = { a: pacsTarget(scp), b: { type: 'dummy' } };
    const transforms = { named: { set: { InstitutionName: 'Elsewhere' } } };
    const rules = [{ name: 'all', targets: ['a', 'b'], transform: 'named' }];
    const cache = { secret: new Secret('k') };
    await using run = await system.start({ targets, transforms, rules, cache, sources: sources() });
    // Of another type than the scripts of the cache expect.
    for (const part of ['totals', 'catalog', 'expiry']) {
      const key = `${run.config.redis.prefix}:cache:${part}`;
      await run.connection.multi().del(key).set(key, 'spoilt').exec();
    }
    const study = await upload({ seed: 'refused', instancesPerSeries: 3 });
    for (const target of ['a', 'b']) {
      expect(await run.until(study, target, 'delivered')).toMatchObject({ confirmed: 3, attempts: 1 });
    }
    expect(scp.stores).toHaveLength(3);
    expect(changes()).toBe(6);
  });
});

describe('a kept manifest that is not true any more', () => {
  it('an instance that was deleted meanwhile is not missed, and not quarantined', async () => {
    await using run = await startPaused();
    const study = await upload({ seed: 'deleted', instancesPerSeries: 4 });
    await run.until(study, 'a', 'waiting');
    await system.client.instances.delete(study.instanceIds[1]!);
    await run.operations.queues.target('a').resume();
    const delivery = await run.until(study, 'a', 'delivered');
    expect(delivery).toMatchObject({ total: 3, confirmed: 3, quarantined: 0, attempts: 1 });
    expect([...scp.accepted().keys()].sort()).toEqual(
      study.sopInstanceUids.filter((uid) => uid !== study.sopInstanceUids[1]).sort(),
    );
  });

  it('a study that was deleted meanwhile is gone', async () => {
    await using run = await startPaused();
    const study = await upload({ seed: 'gone', instancesPerSeries: 2 });
    await run.until(study, 'a', 'waiting');
    await system.client.studies.delete(study.orthancStudyId);
    await run.operations.queues.target('a').resume();
    expect(await run.until(study, 'a', 'source-gone')).toMatchObject({ error: { code: 'source-gone' } });
    expect(scp.stores).toEqual([]);
  });

  it('an instance that was overwritten meanwhile is sent with its current content', async () => {
    await using run = await startPaused();
    const study = await upload({ seed: 'overwritten', instancesPerSeries: 2 });
    await run.until(study, 'a', 'waiting');
    const before = await system.client.studyTags(study.orthancStudyId);
    const attributes = { SeriesDescription: 'another, with a longer description than before' };
    const again = [...makeStudy({ seed: 'overwritten', instancesPerSeries: 2, rows: 16, columns: 16, attributes })];
    await waitFor(
      async () => {
        await system.orthanc.upload(again[0]!.bytes);
        return (await system.client.studyTags(study.orthancStudyId)).lastUpdate !== before.lastUpdate;
      },
      { message: 'LastUpdate moves on' },
    );
    await run.operations.queues.target('a').resume();
    await run.until(study, 'a', 'delivered');
    const sent = scp.stores.findLast(({ sopInstanceUid }) => sopInstanceUid === again[0]!.sopInstanceUid);
    expect(sent?.datasetHash).toBe(hashDataset(again[0]!.bytes));
  });

  it('an instance that arrived meanwhile is sent with the others', async () => {
    await using run = await startPaused();
    const study = await upload({ seed: 'late', instancesPerSeries: 2 });
    await run.until(study, 'a', 'waiting');
    const before = await system.client.studyTags(study.orthancStudyId);
    await waitFor(() => new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, '') > (before.lastUpdate ?? ''), {
      message: 'a second has gone by',
    });
    const late = await upload({ seed: 'late-more', into: 'late', instancesPerSeries: 1 });
    await run.operations.queues.target('a').resume();
    await waitFor(() => scp.accepted().size === 3, { message: 'all three' });
    expect([...scp.accepted().keys()].sort()).toEqual([...study.sopInstanceUids, ...late.sopInstanceUids].sort());
    expect(scp.stores).toHaveLength(3);
  });
});

describe('transformed instances', () => {
  const transforms = { named: { set: { InstitutionName: 'Elsewhere' } } };
  const rules = [{ name: 'all', targets: ['a', 'b', 'c'], transform: 'named' }];
  const targets = (): Record<string, object> => ({ a: pacsTarget(scp), b: { type: 'dummy' }, c: { type: 'dummy' } });

  it.each(['a secret', 'a folder'])('with patient data are made once for all targets, with %s', async (how) => {
    await using folder = await tempFolder('cache');
    const cache = how === 'a secret' ? { secret: new Secret('k') } : { folder: { path: folder.path } };
    await using run = await system.start({ targets: targets(), transforms, rules, sources: sources(), cache });
    const study = await upload({ seed: how, instancesPerSeries: 3 });
    for (const target of ['a', 'b', 'c']) await run.until(study, target, 'delivered');
    expect(scp.stores).toHaveLength(3);
    expect([changes(), files()]).toEqual([3, 0]);
    const inFolder = (await readdir(folder.path, { recursive: true, withFileTypes: true })).filter((one) =>
      one.isFile(),
    );
    expect(inFolder.filter(({ name }) => name !== 'folder-id')).toHaveLength(how === 'a folder' ? 3 : 0);
    for (const key of await run.connection.keys(`${run.config.redis.prefix}:cache:entry:*`)) {
      expect((await run.connection.getBuffer(key))!.toString('latin1')).not.toContain('Elsewhere');
    }
  });

  it('with patient data are created for each target if there is neither secret nor folder', async () => {
    await using run = await system.start({ targets: targets(), transforms, rules, sources: sources() });
    const study = await upload({ seed: 'neither', instancesPerSeries: 2 });
    for (const target of ['a', 'b', 'c']) await run.until(study, target, 'delivered');
    expect(changes()).toBe(6);
    expect(await run.connection.keys(`${run.config.redis.prefix}:cache:entry:transformed*`)).toEqual([]);
  });
});

describe('tags that rules ask for', () => {
  it('are read from files once for a content', async () => {
    const rules = [{ name: 'bright', when: 'series.exists(s, s.SliceThickness != "")', targets: ['a'] }];
    const cache = { secret: new Secret('k') };
    await using run = await startPaused({ rules, cache, sources: sources() });
    const study = await upload({ seed: 'facts', instancesPerSeries: 2, attributes: { SliceThickness: '5' } });
    await run.until(study, 'a', 'waiting');
    const asked = (): number =>
      proxy.requests.filter(({ path }) => /\/series\/[^/]+$|\/tags$|simplified-tags$/.test(path)).length;
    const before = asked();
    expect(before).toBeGreaterThan(0);
    const { config } = run;
    const shared = await IntermediateCache.open(run.connection, config.cache, { prefix: config.redis.prefix });
    const client = createOrthancClient({ url: proxy.url });
    const place = { source: 'main', orthancStudyId: study.orthancStudyId };
    const again = await readForRouting(client, config, compileRules(config.rules, config), place, { cache: shared });
    expect(again.study.facts.series[0]).toMatchObject({ SliceThickness: '5' });
    expect(asked()).toBe(before);
    await client.close();
  });
});

describe('the command line', () => {
  /** @returns stdout and stderr */
  async function type(configFile: string, ...args: string[]): Promise<{ stdout: string; stderr: string }> {
    const env = { ...process.env, CACHE_SECRET: 'a key for tests' };
    return promisify(execFile)(process.execPath, [commandLine, ...args, '--config', configFile], { env });
  }

  const searches = (): number => proxy.count('POST', /\/tools\/find$/);

  it('find queries a target once for equal searches; --fresh queries again; cache stats and clear show this', async () => {
    await using folder = await tempFolder('cli');
    const config = {
      sources: { main: { url: system.orthanc.url } },
      targets: { archive: { type: 'orthanc', url: proxy.url } },
      rules: [{ name: 'all', targets: ['archive'] }],
      redis: { url: system.redis.url, prefix: '{find}' },
      cache: { secret: '${CACHE_SECRET}' },
    };
    const file = join(folder.path, 'dispatch.yaml');
    await writeFile(file, JSON.stringify(config));
    const study = await upload({ seed: 'find', instancesPerSeries: 2 });
    const find = (...more: string[]) =>
      type(file, 'find', '--target', 'archive', '--study', study.studyInstanceUid, '--json', ...more);
    const first = await find();
    expect(JSON.parse(first.stdout)).toMatchObject([{ studyInstanceUid: study.studyInstanceUid, instanceCount: 2 }]);
    expect(first.stderr).toBe('');
    const asked = searches();
    expect(asked).toBeGreaterThan(0);
    const again = await find();
    expect(again.stdout).toBe(first.stdout);
    expect(again.stderr).toContain('--fresh');
    expect(searches()).toBe(asked);
    expect((await find('--fresh')).stderr).toBe('');
    expect(searches()).toBe(2 * asked);
    const [patient] = (JSON.parse(first.stdout) as { tags: Record<string, string> }[]).map(
      ({ tags }) => tags['PatientID'],
    );
    expect(patient).toBeTruthy();
    const redis = new Redis(system.redis.url);
    for (const key of await redis.keys('{find}:cache:entry:*')) {
      expect((await redis.getBuffer(key))!.toString('latin1')).not.toContain(patient);
    }
    redis.disconnect();

    const { stdout } = await type(file, 'cache', 'stats', '--json');
    expect(JSON.parse(stdout)).toMatchObject({
      results: { types: { query: { entries: 1, hits: 1 }, study: { entries: 2 } } },
    });
    expect((await type(file, 'cache', 'clear', 'query', '--yes')).stdout).toContain(
      '1 kept results of type query removed',
    );
    expect(JSON.parse((await type(file, 'cache', 'clear', '--yes', '--json')).stdout)).toEqual({ removed: 2 });
  });

  it('find queries the target if no result may be stored, and if Redis is unavailable', async () => {
    await using folder = await tempFolder('cli');
    const away = await startRedis();
    const config = {
      sources: { main: { url: system.orthanc.url } },
      targets: { archive: { type: 'orthanc', url: proxy.url } },
      rules: [{ name: 'all', targets: ['archive'] }],
      redis: { url: away.url },
    };
    const study = await upload({ seed: 'find-open', instancesPerSeries: 1 });
    const open = join(folder.path, 'open.yaml');
    const sealed = join(folder.path, 'sealed.yaml');
    await writeFile(open, JSON.stringify(config));
    await writeFile(sealed, JSON.stringify({ ...config, cache: { secret: '${CACHE_SECRET}' } }));
    const find = async (file: string): Promise<number> => {
      const before = searches();
      const { stdout } = await type(file, 'find', '--target', 'archive', '--study', study.studyInstanceUid, '--json');
      expect(JSON.parse(stdout)).toHaveLength(1);
      return searches() - before;
    };
    expect(await find(open)).toBeGreaterThan(0);
    expect(await find(open)).toBeGreaterThan(0);
    await away.stop();
    expect(await find(sealed)).toBeGreaterThan(0);
  });
});
