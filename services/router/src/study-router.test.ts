import { startRedis, waitFor, type RedisServer } from '@dicom-dispatch/harness';
import { OrthancError } from '@dicom-dispatch/orthanc';
import { createLogger } from '@dicom-dispatch/runtime';
import type { OrthancClient } from '@dicom-dispatch/sources';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { PutOff } from './put-off.ts';
import type { RoutingOutcome } from './route-one-study.ts';
import { StudyRouter } from './study-router.ts';

let server: RedisServer;
let redis: Redis;
beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = new Redis(server.url);
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

/** A router of slow studies: each is routed when the test allows it. */
function slowRouter(prefix: string, isSourceWell: () => boolean) {
  const routed = Promise.withResolvers<RoutingOutcome>();
  return { ...routerOf(prefix, isSourceWell, () => routed.promise), finish: routed.resolve };
}

function routerOf(prefix: string, isSourceWell: () => boolean, route: () => Promise<RoutingOutcome>) {
  const putOff = new PutOff(redis, prefix, 'main', Date.now);
  const orthanc = {
    async system() {
      if (!isSourceWell()) throw new OrthancError('unreachable', 'no answer');
    },
  } as unknown as OrthancClient;
  const router = new StudyRouter({
    source: 'main',
    orthanc,
    putOff,
    now: Date.now,
    feed: () => undefined,
    route,
    routed: () => {},
    forget: async () => {},
    soonMs: 50,
    log: createLogger('test', { level: 'silent', format: 'json' }),
    signal: new AbortController().signal,
  });
  return { router, putOff };
}

it('a study that the source returns slowly is recorded and read in parallel with others', async () => {
  const { router, putOff, finish } = slowRouter('{slow}', () => true);
  expect(await router.routeSoon('s-1', 1)).toBe('put-off');
  // No try has failed, and nothing else reads it meanwhile.
  expect(await putOff.read('s-1')).toMatchObject({ tries: 0 });
  expect(await router.route('s-1', 1)).toBe('put-off');
  finish('enqueued');
  await waitFor(async () => (await putOff.read('s-1')) === undefined);
});

it('is waited for if the source as a whole does not respond', async () => {
  let probes = 0;
  const { router, putOff, finish } = slowRouter('{away}', () => {
    probes += 1;
    return false;
  });
  const running = router.routeSoon('s-1', 1);
  await waitFor(() => probes > 0);
  expect(await putOff.read('s-1')).toBeUndefined();
  finish('enqueued');
  // A postponed study would return "put-off".
  expect(await running).toBe('enqueued');
});

it('a study that crashes its source at each request is postponed alone', async () => {
  const reset = new OrthancError('reset', 'the connection was reset');
  const { router, putOff } = routerOf(
    '{falls}',
    () => false,
    async () => Promise.reject(reset),
  );
  for (const study of ['s-1', 's-2', 's-1']) {
    await expect(router.route(study, 1)).rejects.toMatchObject({ code: 'source-unreachable' });
  }
  expect(await router.route('s-1', 1)).toBe('put-off');
  expect(await putOff.read('s-1')).toMatchObject({ tries: 1 });
  expect(await putOff.read('s-2')).toBeUndefined();
});
