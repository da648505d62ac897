import { startHttpServer, startOrthanc, type HttpStandIn, type OrthancServer } from '@dicom-dispatch/harness';
import { createOrthancClient, type OrthancClient } from '@dicom-dispatch/orthanc';
import { createLogger } from '@dicom-dispatch/runtime';
import { makeStudy } from '@dicom-dispatch/samples';
import { readSnapshot } from '@dicom-dispatch/sources';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { ifRecent, ReadTogether } from './read-together.ts';

const log = createLogger('test', { level: 'silent', format: 'json' });
let server: OrthancServer;
let proxy: HttpStandIn;
let orthanc: OrthancClient;
let ids: string[];
/** Lists of studies that were requested together. */
let asked: (readonly string[])[];
/** Responds to a request for several studies in place of Orthanc. */
let answer: ((ids: readonly string[]) => { readonly status: number; readonly body?: string } | undefined) | undefined;

beforeAll(async () => {
  // No study becomes stable in between.
  server = await startOrthanc({ stableAgeSeconds: 3_600 });
  for (let seed = 0; seed < 6; seed += 1)
    for (const { bytes } of makeStudy({ seed: `together ${seed}`, instancesPerSeries: 1, rows: 8, columns: 8 }))
      await server.upload(bytes);
  ids = await server.studies();
  proxy = await startHttpServer(async (request, response) => {
    const isPost = request.method === 'POST';
    const { Resources: some = [], Level: level = '' } = isPost
      ? (JSON.parse(request.body.toString()) as { Resources?: string[]; Level?: string })
      : {};
    if (level === 'Study') asked.push(some);
    const instead = isPost ? answer?.(some) : undefined;
    // A status of 0: no response ever.
    if (instead?.status === 0) return;
    if (instead) return void response.writeHead(instead.status).end(instead.body);
    const real = await fetch(`${server.url}${request.path}?${request.query}`, {
      method: request.method,
      ...(isPost && { body: new Uint8Array(request.body) }),
    });
    response.writeHead(real.status).end(await real.text());
  });
  orthanc = createOrthancClient({ url: proxy.url });
});
afterAll(async () => {
  await orthanc.close();
  await proxy.stop();
  await server.stop();
});
beforeEach(() => {
  asked = [];
  answer = undefined;
});

/** No machine is too slow for it. */
const patient = { maxAgeMs: Number.POSITIVE_INFINITY, limitMs: 60_000 };

function dependenciesOf(postponed: readonly string[] = []) {
  return {
    source: 'main',
    orthanc,
    putOff: { notDue: async (some: readonly string[]) => new Set(some.filter((id) => postponed.includes(id))) },
    log,
    signal: new AbortController().signal,
    ...patient,
  };
}

it('studies that are read together are as each of them alone', async () => {
  const found = await new ReadTogether(dependenciesOf()).read(ids);
  expect([...found.keys()].sort()).toEqual(ids.toSorted());
  for (const [id, { snapshot }] of found) expect(snapshot).toEqual(await readSnapshot(orthanc, 'main', id));
});

it('a postponed study is not read with others, and a single one is read alone', async () => {
  const [postponed = '', other = ''] = ids;
  const reading = new ReadTogether(dependenciesOf([postponed]));
  expect([...(await reading.read(ids)).keys()]).not.toContain(postponed);
  expect(asked.flat()).not.toContain(postponed);
  asked = [];
  expect(await reading.read([other, postponed])).toEqual(new Map());
  expect(asked).toEqual([]);
});

const failures = [{ status: 500 }, { status: 403 }, { status: 404 }, { status: 0 }, { status: 200, body: '<html>' }];
/** Only a response that never comes is waited for until the limit. */
const limitOf = ({ status }: { readonly status: number }): number => (status === 0 ? 3_000 : patient.limitMs);

it('after a failure all studies are read separately for some time', async () => {
  for (const failure of failures) {
    const reading = new ReadTogether({ ...dependenciesOf(), limitMs: limitOf(failure) });
    answer = () => failure;
    expect(await reading.read(ids)).toEqual(new Map());
    answer = undefined;
    asked = [];
    expect(await reading.read(ids)).toEqual(new Map());
    expect(asked).toEqual([]);
  }
});

it('studies of a list that failed are read separately until they are routed', async () => {
  for (const failure of failures) {
    const dependencies = { ...dependenciesOf(), aloneMs: 0, limitMs: limitOf(failure) };
    const reading = new ReadTogether(dependencies);
    answer = () => failure;
    await reading.read(ids.slice(0, 2));
    answer = undefined;
    dependencies.limitMs = patient.limitMs;
    asked = [];
    expect([...(await reading.read(ids)).keys()].sort()).toEqual(ids.slice(2).toSorted());
    reading.routed(ids[0] ?? '');
    await reading.read(ids);
    expect(asked).toEqual([ids.slice(2), [ids[0], ...ids.slice(2)]]);
  }
});

it('an Orthanc that is too slow for lists is queried for single studies for some time', async () => {
  const reading = new ReadTogether({ ...dependenciesOf(), maxAgeMs: 0 });
  expect(await reading.read(ids)).toEqual(new Map());
  asked = [];
  await reading.read(ids);
  expect(asked).toEqual([]);
});

it('a list that Orthanc rejects because one study does not exist is no failure: the next one is read together', async () => {
  const reading = new ReadTogether(dependenciesOf());
  const missing = { HttpStatus: 404, Message: 'Unknown resource', OrthancStatus: 17, OrthancError: 'Unknown resource' };
  answer = () => ({ status: 404, body: JSON.stringify(missing) });
  expect(await reading.read(ids)).toEqual(new Map());
  answer = undefined;
  expect((await reading.read(ids)).size).toBe(ids.length);
});

it('a snapshot that is too old is not routed', async () => {
  const [recent] = (await new ReadTogether(dependenciesOf()).read(ids)).values();
  expect(ifRecent(recent)).toBe(recent?.snapshot);
  expect(ifRecent(recent && { ...recent, untilMs: performance.now() })).toBeUndefined();
  expect(ifRecent(undefined)).toBeUndefined();
});

it('a snapshot is not routed after the study was read separately', async () => {
  const [read = '', other = ''] = ids;
  const reading = new ReadTogether(dependenciesOf());
  const found = await reading.read(ids);
  expect(reading.newest(read, undefined)).toBeUndefined();
  expect(reading.newest(read, found.get(read))).toBeUndefined();
  expect(reading.newest(other, found.get(other))).toBe(found.get(other));
  const later = await reading.read(ids);
  expect(reading.newest(read, later.get(read))).toBe(later.get(read));
});

it('a failure of Redis is reported', async () => {
  const failing = new ReadTogether({
    ...dependenciesOf(),
    putOff: { notDue: async () => Promise.reject(new Error('Connection is closed.')) },
  });
  await expect(failing.read(ids)).rejects.toThrow('Connection is closed.');
});
