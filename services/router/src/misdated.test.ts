import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { OrthancError, type OrthancClient } from '@dicom-dispatch/orthanc';
import { createLogger } from '@dicom-dispatch/runtime';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { MisdatedStudies } from './misdated.ts';

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

const { signal } = new AbortController();
const log = createLogger('test', { level: 'silent', format: 'json' });
const failed = new OrthancError('server-error', 'answered 500', { status: 500 });

/** A source that puts instance `a1` into study `a`; for `bad` it returns nothing. */
function source(isUp = true): OrthancClient {
  return {
    async arrivedInstances(_level: string, ids: readonly string[]) {
      if (ids.includes('bad')) throw failed;
      return ids.map((id) => ({ studyId: id.slice(0, 1) }));
    },
    async system() {
      if (!isUp) throw failed;
    },
  } as unknown as OrthancClient;
}

it('studies with an early date are kept until their current content was routed', async () => {
  const studies = new MisdatedStudies(redis, '{misdated}', 'main', log);
  const came = (...all: [string, number][]): Promise<void> =>
    studies.note(
      source(),
      all.map(([orthancInstanceId, seq]) => ({ orthancInstanceId, seq })),
      signal,
    );
  await came(['a1', 1], ['b1', 2]);
  const seen = [...(await studies.all())];
  expect(seen.map(([id]) => id).toSorted()).toEqual(['a', 'b']);
  await came(['b2', 3]);
  await studies.routed(seen);
  expect(await studies.all()).toEqual(new Map([['b', '3']]));
});

it('an instance that cannot be read stops nothing, a source that does not answer does', async () => {
  const studies = new MisdatedStudies(redis, '{unread}', 'main', log);
  const bad = [{ orthancInstanceId: 'bad', seq: 1 }];
  await studies.note(source(), bad, signal);
  await expect(studies.note(source(false), bad, signal)).rejects.toBe(failed);
});
