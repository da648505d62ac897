import { parseConfig, Secret, type Config } from '@dicom-dispatch/core';
import { freePort, startRedis, waitFor } from '@dicom-dispatch/harness';
import { operationKeys } from '@dicom-dispatch/pipeline';
import { connectRedis, createLogger, createMetrics } from '@dicom-dispatch/runtime';
import { readFeedState, writeFeedState } from '@dicom-dispatch/state/feed';
import { targetSchemas } from '@dicom-dispatch/targets/schemas';
import { expect, it } from 'vitest';
import { startRouter } from './start-router.ts';

const prefix = '{off}';
const study = '11111111-22222222-33333333-44444444-55555555';
const at = { epoch: 2, seq: 7, fingerprint: undefined, anchors: [], since: '' };

it('a source that is disabled by a reload is not led, rejects pushes, and keeps its position', async () => {
  await using server = await startRedis({ appendonly: false });
  const log = createLogger('test', { level: 'fatal', format: 'json' });
  const redis = connectRedis(server.url, 'test', log);
  const listen = `127.0.0.1:${await freePort()}`;
  const keys = operationKeys(prefix);
  const config = (enabled: boolean): Config => {
    // Nothing listens at their address.
    const source = { url: 'http://127.0.0.1:1', pushSecret: new Secret('between us') };
    const sources = { main: { ...source, enabled }, other: source };
    const parsed = parseConfig(
      { sources, push: { listen }, targets: { a: { type: 'dummy' } }, redis: { url: server.url, prefix } },
      Object.values(targetSchemas) as never,
    );
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
    return parsed.config;
  };
  await writeFeedState(redis, prefix, 'main', at);
  const router = await startRouter({ config: config(true), redis, log, metrics: createMetrics() });
  const lease = (name: string): Promise<string | null> => redis.get(keys.lease(name));
  const dependencies = async (): Promise<string[]> =>
    (await router.dependencies()).flatMap(({ name }) => (name.startsWith('source ') ? [name] : []));
  const push = async (): Promise<unknown> => {
    const headers = { authorization: 'Bearer between us' };
    const answer = await fetch(`http://${listen}/sources/main/studies/${study}/stable`, { method: 'POST', headers });
    return { status: answer.status, body: await answer.json() };
  };
  try {
    await waitFor(async () => (await lease('main')) !== null && (await lease('other')) !== null);
    await router.reload?.(config(false));
    expect([await lease('main'), await dependencies()]).toEqual([null, ['source other']]);
    expect(await push()).toEqual({
      status: 409,
      body: { error: 'the source main is disabled: its studies are routed when it is enabled' },
    });
    expect(await readFeedState(redis, prefix, 'main')).toMatchObject({ epoch: 2, seq: 7 });
    await router.reload?.(config(true));
    await waitFor(async () => (await lease('main')) !== null);
    expect((await dependencies()).sort()).toEqual(['source main', 'source other']);
    expect(await push()).not.toMatchObject({ status: 409 });
  } finally {
    await router.stop();
    redis.disconnect();
  }
});
