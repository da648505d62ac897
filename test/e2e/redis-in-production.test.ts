import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { Records } from '@dicom-dispatch/state/records';
import {
  hashDataset,
  isInstalled,
  makeCertificates,
  redisCommand,
  startOrthanc,
  startRedis,
  startRedisCluster,
  startSentinel,
  waitFor,
  type OrthancServer,
} from '@dicom-dispatch/harness';
import { createLogger, connectRedis, openRedis, type RedisPlace } from '@dicom-dispatch/runtime';
import { makeStudy } from '@dicom-dispatch/samples';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { startFaultScp, type FaultScp } from './support/fault-scp.ts';
import { pacsTarget } from './support/pacs-target.ts';
import { commandLine } from './support/programs.ts';
import { startDispatch, type RunningDispatch } from './support/start-dispatch.ts';

const run = promisify(execFile);
const silent = createLogger('test', { level: 'silent', format: 'json' });
let orthanc: OrthancServer;

beforeAll(async () => {
  orthanc = await startOrthanc();
});
afterAll(async () => {
  await orthanc.stop();
});

interface Scene extends AsyncDisposable {
  readonly scp: FaultScp;
  readonly dispatch: RunningDispatch;
  /** Uploads a study and returns its contents. */
  upload(seed: string, instances: number): Promise<Uploaded>;
  untilDelivered(study: Uploaded): Promise<void>;
  /** The output of the command line. */
  cli(...args: string[]): Promise<string>;
}

interface Uploaded {
  readonly uid: string;
  readonly orthancStudyId: string;
  readonly datasets: ReadonlyMap<string, string>;
}

/**
 * The whole system on a given kind of Redis, with one receiver. @param place - for inspection, if it differs from the one
 * that the services use
 */
async function startScene(redis: Record<string, unknown>, place: RedisPlace, maxParallel = 1): Promise<Scene> {
  const prefix = '{dicom-dispatch}';
  const scp = await startFaultScp();
  const dispatch = await startDispatch({
    config: {
      sources: { main: { url: orthanc.url, pollInterval: '200ms' } },
      targets: { pacs: pacsTarget(scp, { maxParallel }) },
      rules: [{ name: 'all', targets: ['pacs'] }],
      redis: { prefix, ...redis },
      dispatcher: { lockTime: '30s' },
    },
  });
  const client = connectRedis(place, 'test', silent);
  const records = new Records(client, prefix);
  // The Orthanc is shared: a study that it already has would cause no event in this scene.
  const ownSeeds = randomUUID();
  return {
    scp,
    dispatch,
    async upload(seed, instances) {
      const study = makeStudy({ seed: `${ownSeeds} ${seed}`, instancesPerSeries: instances });
      const datasets = new Map<string, string>();
      let orthancStudyId = '';
      for (const instance of study) {
        ({ ParentStudy: orthancStudyId } = await orthanc.upload(instance.bytes));
        datasets.set(instance.sopInstanceUid, hashDataset(instance.bytes));
      }
      return { uid: study.studyInstanceUid, orthancStudyId, datasets };
    },
    async untilDelivered({ uid }) {
      await waitFor(
        async () => {
          const [delivery] = await records.deliveriesOfUid(uid, 'main');
          return delivery?.state === 'delivered';
        },
        { message: () => dispatch.output() },
      );
    },
    cli: async (...args) =>
      (await run(process.execPath, [commandLine, ...args, '--config', dispatch.configFile])).stdout,
    async [Symbol.asyncDispose]() {
      client.disconnect();
      await dispatch.stop();
      await scp[Symbol.asyncDispose]();
    },
  };
}

/** A study is delivered, and console and command line show it. */
async function expectWorks(scene: Scene, seed: string): Promise<void> {
  const study = await scene.upload(seed, 5);
  await scene.untilDelivered(study);
  expect(scene.scp.accepted()).toEqual(study.datasets);
  expect(scene.scp.stores.length).toBe(5);
  for (const path of ['/api/overview', '/api/studies', '/api/targets', '/api/cache', '/api/workers', '/metrics'])
    expect((await scene.dispatch.get(path)).status, path).toBe(200);
  expect((await scene.dispatch.get('/queues/api/queues?activeQueue=study&page=1')).status).toBe(200);
  expect(await scene.cli('status')).toContain('1 studies routed, 1 dispatcher running');
  await orthanc.send('DELETE', `/studies/${study.orthancStudyId}`);
  const foreseen = await waitFor(async () => {
    const text = await scene.cli('forget', '--until', '0m', '--dry-run');
    return text.includes('kept') ? undefined : text;
  });
  expect(foreseen).toMatch(/^this would forget 1 study with 1 delivery, about /);
  expect(await scene.cli('forget', study.uid, '--yes')).toContain('forgotten: 1 study with 1 delivery');
}

describe('Redis in production', () => {
  it('Sentinel: a failover in the middle of a delivery loses nothing, and repeats no more than was in flight', async () => {
    await using redis = await startSentinel();
    const sentinel = {
      name: redis.name,
      addresses: redis.sentinels.map(({ host, port }) => `${host}:${port}`),
      tls: true,
    };
    await using scene = await startScene(
      { sentinel },
      { sentinel: { ...sentinel, username: undefined, password: undefined } },
    );
    scene.scp.delayMs = 20;
    const first = await scene.upload('sentinel 1', 80);
    await waitFor(() => scene.scp.stores.length > 30, { message: () => scene.dispatch.output() });
    await redis.servers[0]!.kill('SIGKILL');
    const second = await scene.upload('sentinel 2', 10);
    await scene.untilDelivered(first);
    await scene.untilDelivered(second);
    expect(await redis.masterPort()).toBe(redis.servers[1]!.port);
    expect(scene.scp.accepted()).toEqual(new Map([...first.datasets, ...second.datasets]));
    // One association: instances in flight, and confirmations that the old master had not replicated.
    expect(scene.scp.stores.length).toBeLessThanOrEqual(90 + 4);
  });

  it('Cluster: a deployment works on three masters, its keys on one', async () => {
    await using redis = await startRedisCluster();
    const cluster = redis.members.map(({ host, port }) => `${host}:${port}`);
    await using scene = await startScene({ cluster }, { cluster });
    await expectWorks(scene, 'cluster');
    const sizes = await Promise.all(
      redis.members.map(({ host, port }) => redisCommand(`redis://${host}:${port}`, 'DBSIZE')),
    );
    expect(sizes.filter((size) => size !== 0).length).toBe(1);
  });

  it('TLS: with a private authority and a client certificate; without one it is refused with the reason', async () => {
    const { ca, server, client } = await makeCertificates();
    await using redis = await startRedis({ tls: { ...server, caFile: ca.certFile } });
    const url = `rediss://127.0.0.1:${redis.ports[1]}`;
    await using scene = await startScene(
      { url, tls: { ca: ca.certFile, cert: client.certFile, key: client.keyFile } },
      redis.url,
    );
    await expectWorks(scene, 'tls');
    await expect(openRedis({ url, tls: { ca: ca.certFile } as never }, 'test', 60_000)).rejects.toThrow(
      /client certificate: set redis.tls.cert|closed|ECONNRESET/,
    );
    await expect(openRedis({ url, tls: {} as never }, 'test', 60_000)).rejects.toThrow(/certificate|CERT|SELF_SIGNED/i);
  });

  for (const [name, program] of [
    ['Redis', 'redis-server'],
    ['Valkey', 'valkey-server'],
  ] as const) {
    it.skipIf(!isInstalled(program))(
      `${name}, with an ACL user: that of docs/redis.md may do all that is needed, and is refused nothing on the way`,
      async () => {
        await using redis = await startRedis({ program });
        const page = await readFile(new URL('../../docs/redis.md', import.meta.url), 'utf8');
        const line =
          /^ACL SETUSER (.*)$/m.exec(page)?.[1]?.replace('PASSWORD', 'a-password-of-the-test').split(' ') ?? [];
        await redis.command('ACL', 'SETUSER', ...line);
        onTestFinished(() => void vi.unstubAllEnvs());
        vi.stubEnv('REDIS_PASSWORD', 'a-password-of-the-test');
        await using scene = await startScene(
          { url: redis.url, username: 'dispatch', password: '${REDIS_PASSWORD}' },
          redis.url,
        );
        await expectWorks(scene, 'acl');
        const refused = ((await redis.command('ACL', 'LOG')) as string[][]).map(
          (entry) => entry[entry.indexOf('object') + 1],
        );
        // Bull Board would list the clients of a queue; the console lists workers without it.
        expect(refused.filter((command) => command !== 'client|list')).toEqual([]);
        expect(scene.dispatch.output()).not.toContain('could not be checked');
        // Without INFO: the checks that could not be made are reported, and everything continues.
        await redis.command('ACL', 'SETUSER', 'dispatch', '-info');
        await scene.dispatch.restart();
        expect(scene.dispatch.output()).toContain('could not be checked');
        const study = await scene.upload('acl without info', 3);
        await scene.untilDelivered(study);
        expect((await scene.dispatch.get('/api/cache')).status).toBe(200);
      },
    );
  }
});
