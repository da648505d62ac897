import { spawnSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  isInstalled,
  startOrthanc,
  startRedis,
  startRedisCluster,
  startSentinel,
  tempFolder,
  waitFor,
  type OrthancServer,
  type TempFolder,
} from '@dicom-dispatch/harness';
import { makeStudy } from '@dicom-dispatch/samples';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { runCli } from './support/run-cli.ts';
import { startDispatch, type RunningDispatch } from './support/start-dispatch.ts';

/** `configuration: redis` on each kind of Redis: imported, changed in the console, in use, restored. */

const token = 'redis-kinds-0123456789abcdef';
const canMount = spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0;
/** The folder of the configuration is read-only for the process, as `/etc` on an immutable host. */
const readOnly = 'mount --bind "$PWD" "$PWD" && mount -o remount,bind,ro "$PWD" && cd "$PWD" && exec "$@"';

let orthanc: OrthancServer;
let shared: TempFolder;
beforeAll(async () => {
  [orthanc, shared] = await Promise.all([startOrthanc(), tempFolder('redis-kinds')]);
  await writeFile(join(shared.path, 'token'), token);
});
afterAll(async () => {
  await Promise.all([orthanc?.stop(), shared?.remove()]);
});

/** A host with the configuration of all hosts. */
async function startHost(redis: Readonly<Record<string, unknown>>, prefix: readonly string[] = []) {
  const folder = join(shared.path, String(Math.random()).slice(2));
  await mkdir(folder);
  const ofHost = { configuration: 'redis', redis: { ...redis, notesFolder: join(folder, 'notes') } };
  const console = { tokens: { script: { role: 'administrator', token: { file: join(shared.path, 'token') } } } };
  const all = {
    sources: { main: { url: orthanc.url, pollInterval: '200ms' } },
    targets: { first: { type: 'dummy' } },
    rules: [{ name: 'all', targets: ['first'] }],
    console,
  };
  await writeFile(join(folder, 'dispatch.yaml'), stringify(ofHost));
  await writeFile(join(folder, 'all-hosts.yaml'), stringify(all));
  const imported = await runCli(folder, 'config', 'import', 'all-hosts.yaml');
  expect(imported, imported.err).toMatchObject({ code: 0, out: expect.stringContaining('Version 1 is in place') });
  const env = { DICOM_DISPATCH_KEY_FILE: join(folder, 'dispatch.yaml.key') };
  return startDispatch({ config: ofHost, env, ...(prefix.length > 0 && { host: { address: '127.0.0.1', prefix } }) });
}

async function ask(host: RunningDispatch, method: string, path: string, body?: unknown) {
  const answer = await fetch(`${host.url}/api${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(body !== undefined && { 'content-type': 'application/json' }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}

/** Adds a target and a rule for it in the console. @returns the version */
async function add(host: RunningDispatch, name: string): Promise<unknown> {
  const to = '/configuration';
  expect(await ask(host, 'PUT', `${to}/targets/${name}`, { type: 'dummy', values: {} })).toMatchObject({ status: 200 });
  const rule = await ask(host, 'PUT', `${to}/rules/to-${name}`, { values: { targets: name } });
  expect(rule).toMatchObject({ status: 200 });
  const apply = async () => {
    const { seen } = (await ask(host, 'GET', `${to}/draft`)).body;
    return ask(host, 'POST', `${to}/draft/apply`, { seen, reason: `add ${name}` });
  };
  let applied = await apply();
  // After a failover nothing is changed until all services respond again.
  await waitFor(async () => {
    const isRefused = applied.status === 503 && String(applied.body['message']).includes('has not responded');
    if (isRefused) applied = await apply();
    return !isRefused;
  });
  expect(applied, host.output()).toMatchObject({ status: 200, body: { answered: 1, silent: [] } });
  return applied.body['version'];
}

async function expectDelivered(host: RunningDispatch, target: string): Promise<void> {
  const study = makeStudy({ seed: `${host.url} ${target}`, instancesPerSeries: 1 });
  for (const { bytes } of study) await orthanc.upload(bytes);
  await waitFor(
    async () => {
      const { body } = await ask(host, 'GET', `/deliveries?target=${target}&state=delivered`);
      return JSON.stringify(body).includes(study.studyInstanceUid);
    },
    { message: () => host.output() },
  );
}

describe('configuration: redis', () => {
  it('on Sentinel survives a failover, and is changed on the new master', async () => {
    await using redis = await startSentinel();
    const addresses = redis.sentinels.map(({ host, port }) => `${host}:${port}`);
    const host = await startHost({ sentinel: { name: redis.name, addresses } });
    try {
      expect(await add(host, 'second')).toBe(2);
      await redis.servers[0]!.kill('SIGKILL');
      await waitFor(async () => (await redis.masterPort()) === redis.servers[1]!.port);
      let answer: unknown;
      await waitFor(
        async () => {
          const { status, body } = await host.get('/readyz');
          answer = body;
          return status === 200;
        },
        { message: () => `readiness: ${JSON.stringify(answer)}\n${host.output()}` },
      );
      expect(await add(host, 'third')).toBe(3);
      await expectDelivered(host, 'third');
    } finally {
      await host.stop();
    }
  });

  it('on a Cluster is changed, used and restored', async () => {
    await using redis = await startRedisCluster();
    const host = await startHost({ cluster: redis.members.map((one) => `${one.host}:${one.port}`) });
    try {
      expect(await add(host, 'second')).toBe(2);
      await expectDelivered(host, 'second');
      const restored = await ask(host, 'POST', '/configuration/versions/1/restore', { reason: 'back' });
      expect(restored).toMatchObject({ status: 200, body: { version: 3, answered: 1 } });
      const { body } = await ask(host, 'GET', '/configuration');
      expect(body['text']).not.toContain('second');
    } finally {
      await host.stop();
    }
  });

  it.skipIf(!canMount)('needs no write access to the folder of the file; on Valkey, if it is installed', async () => {
    const program = isInstalled('valkey-server') ? 'valkey-server' : 'redis-server';
    await using redis = await startRedis({ program });
    const host = await startHost({ url: redis.url }, ['unshare', '-m', 'sh', '-c', readOnly, 'sh']);
    try {
      const before = await readFile(host.configFile, 'utf8');
      expect(await add(host, 'second')).toBe(2);
      await expectDelivered(host, 'second');
      const typed = await ask(host, 'PUT', '/configuration/targets/web', {
        type: 'dicomweb',
        values: { url: 'http://127.0.0.1:1', headers: 'X-Key: a secret word' },
      });
      expect(typed, 'a secret is encrypted with the key that is there').toMatchObject({ status: 200 });
      await host.restart();
      expect((await ask(host, 'GET', '/configuration/versions')).body).toMatchObject({
        versions: [{ number: 2, reason: 'add second' }, { number: 1 }],
      });
      expect(await readFile(host.configFile, 'utf8')).toBe(before);
      expect(host.output()).not.toMatch(/EROFS/);
    } finally {
      await host.stop();
    }
  });
});
