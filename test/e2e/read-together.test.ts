import { httpRequest, startHttpServer, waitFor, type HttpStandIn } from '@dicom-dispatch/harness';
import type { ServerResponse } from 'node:http';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { redisKeys } from '@dicom-dispatch/state/keys';
import { quick } from './support/pacs-target.ts';
import { startFollowing, type FollowingServices } from './support/start-in-process.ts';
import { prefix, startSystem, type System, type UploadedStudy } from './support/system.ts';

/**
 * A real Orthanc that a router reads several studies from at a time, behind a proxy that interferes with those requests: no
 * study is lost, and what arrives is what Orthanc has.
 */
let system: System;
let proxy: HttpStandIn;
let count = 0;
/** Number of requests for several studies. */
let together = 0;
/** Called before such a request is passed on; may respond in place of Orthanc. */
let before: ((asked: Asked, response: ServerResponse) => unknown) | undefined;
/** Called after Orthanc has responded to such a request, and before the response is passed on. */
let after: ((asked: Asked) => unknown) | undefined;
/** A study for which every request ends its connection. */
let poison: string | undefined;

interface Asked {
  readonly Resources: readonly string[];
  readonly Level: string;
}

beforeAll(async () => {
  system = await startSystem();
  proxy = await startHttpServer(async (request, response) => {
    const body = request.body.toString();
    if (poison !== undefined && `${request.path} ${body}`.includes(poison)) return void response.destroy();
    const isBulk = request.path === '/tools/bulk-content';
    const asked = isBulk ? (JSON.parse(body) as Asked) : undefined;
    const isTogether = asked !== undefined && asked.Resources.length > 1;
    if (isTogether) {
      together += 1;
      await before?.(asked, response);
      if (response.writableEnded || response.destroyed) return;
    }
    const query = request.query.toString();
    const answer = await httpRequest(`${system.orthanc.url}${request.path}${query ? `?${query}` : ''}`, {
      method: request.method,
      ...(request.bodyBytes > 0 && { body: request.body, headers: { 'content-type': 'application/json' } }),
    });
    if (isTogether) await after?.(asked);
    response.writeHead(answer.status, {
      'content-type': String(answer.headers['content-type'] ?? 'application/octet-stream'),
      'content-length': answer.body.length,
    });
    response.end(answer.body);
  });
});
afterAll(async () => {
  await proxy?.stop();
  await system?.[Symbol.asyncDispose]();
});
afterEach(() => {
  before = undefined;
  after = undefined;
  poison = undefined;
  together = 0;
  seeds.clear();
});

/** Each test has its own router: after a failure a router reads studies separately for some time. */
function follow(): Promise<FollowingServices> {
  return startFollowing({
    config: system.config(
      { sink: { type: 'dummy', ...quick } },
      // The feed is read seldom, so that studies that become stable one after the other are on one page.
      { sources: { main: { url: proxy.url, pollInterval: '5s', sweep: { every: 0 } } } },
    ),
  });
}

/** Seeds of the studies of this test, by Orthanc's id. A router that starts reads the last ones before it again. */
const seeds = new Map<string, string>();
const small = { instancesPerSeries: 2, rows: 8, columns: 8 };

async function upload(seed: string): Promise<UploadedStudy> {
  const uploaded = await system.upload({ ...small, seed });
  seeds.set(uploaded.orthancStudyId, seed);
  return uploaded;
}

/** Uploads studies, again and again until `isMet`, and waits until all are delivered but the one that is excepted. */
async function deliverSome(
  dispatch: FollowingServices,
  isMet: () => boolean,
  except: () => string | undefined = () => undefined,
): Promise<void> {
  const all: UploadedStudy[] = [];
  do {
    for (let at = 0; at < 12; at += 1) all.push(await upload(`together ${(count += 1)}`));
    await waitFor(
      async () => {
        for (const { studyInstanceUid, orthancStudyId } of all) {
          if (orthancStudyId === except()) continue;
          const deliveries = await system.records.deliveriesOfUid(studyInstanceUid, 'main');
          const isWhole = deliveries.some(
            ({ state, confirmed }) => state === 'delivered' && confirmed === small.instancesPerSeries,
          );
          if (!isWhole) return false;
        }
        return true;
      },
      { intervalMs: 200, message: () => dispatch.output() },
    );
  } while (!isMet());
}

/** Records each study that is postponed, also for a moment: all that Redis executes, as MONITOR reports it. */
async function watchPostponed(): Promise<{ readonly ids: ReadonlySet<string>; stop(): void }> {
  const key = redisKeys(prefix).feedLater('main');
  const ids = new Set<string>();
  const monitor = await system.client.monitor();
  monitor.on('monitor', (_time: string, [command = '', at, ...args]: string[]) => {
    if (at !== key || command.toLowerCase() !== 'zadd') return;
    for (const id of args.filter((one) => /^[0-9a-f]{8}(-[0-9a-f]{8}){4}$/.test(one))) ids.add(id);
  });
  return { ids, stop: () => monitor.disconnect() };
}

it('studies of one page are read together, and all are delivered', async () => {
  await using dispatch = await follow();
  await deliverSome(dispatch, () => together > 0);
});

it('a study that is deleted while a list is read is not delivered, and all others of the list are delivered', async () => {
  let gone: string | undefined;
  before = async ({ Resources: ids, Level: level }) => {
    if (level !== 'Instance' || gone !== undefined) return;
    // On a slow machine a study may have been stable before, when its last instance had not arrived yet.
    for (const orthancStudyId of ids.filter((id) => seeds.has(id)))
      if (!(await system.records.study({ source: 'main', orthancStudyId }))) gone ??= orthancStudyId;
    if (gone !== undefined) await system.orthanc.send('DELETE', `/studies/${gone}`);
  };
  await using dispatch = await follow();
  await deliverSome(
    dispatch,
    () => gone !== undefined,
    () => gone,
  );
  const deliveries = await system.records.deliveriesOf({ source: 'main', orthancStudyId: gone ?? '' });
  expect(deliveries.filter(({ state }) => state === 'delivered')).toEqual([]);
});

it('all studies are delivered from an Orthanc that rejects each list, as if one of its studies did not exist', async () => {
  const missing = { HttpStatus: 404, Message: 'Unknown resource', OrthancStatus: 17, OrthancError: 'Unknown resource' };
  before = (_, response) => response.writeHead(404).end(JSON.stringify(missing));
  await using dispatch = await follow();
  await deliverSome(dispatch, () => together > 0);
});

it('instances that arrive after their study was read, and before it is routed, are delivered as well', async () => {
  let grown: string | undefined;
  after = async ({ Resources: ids, Level: level }) => {
    if (level !== 'Instance' || grown !== undefined) return;
    grown = ids.find((id) => seeds.has(id));
    if (grown !== undefined) await system.upload({ ...small, seed: seeds.get(grown), instancesPerSeries: 3 });
  };
  await using dispatch = await follow();
  await deliverSome(
    dispatch,
    () => grown !== undefined,
    () => grown,
  );
  await waitFor(
    async () => {
      const key = { source: 'main', orthancStudyId: grown ?? '' };
      const [newest] = await system.records.deliveriesOf(key);
      return newest?.state === 'delivered' && newest.confirmed === 3;
    },
    { message: () => dispatch.output() },
  );
});

it('a study that ends the connection at each request is postponed alone; all others are delivered', async () => {
  const first = await upload(`poison ${(count += 1)}`);
  poison = first.orthancStudyId;
  const postponed = await watchPostponed();
  await using dispatch = await follow();
  await deliverSome(dispatch, () => together > 0);
  await waitFor(() => postponed.ids.size > 0, { message: () => dispatch.output() });
  postponed.stop();
  expect([...postponed.ids]).toEqual([poison]);
  expect(await system.records.study({ source: 'main', orthancStudyId: poison })).toBeUndefined();
  poison = undefined;
  await system.untilDelivery(first, 'sink', ['delivered']);
});

for (const [kind, fail] of [
  ['fails', (response: ServerResponse) => response.writeHead(500).end('{}')],
  ['is not answered', () => new Promise<never>(() => {})],
  ['is answered by a page of a proxy', (response: ServerResponse) => response.writeHead(200).end('<html>')],
] as const) {
  it(`all studies are delivered if a request for several of them ${kind}`, async () => {
    before = (_, response) => fail(response);
    await using dispatch = await follow();
    await deliverSome(dispatch, () => together > 0);
  });
}
