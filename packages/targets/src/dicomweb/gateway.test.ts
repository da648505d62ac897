import type { ServerResponse } from 'node:http';
import {
  startHttpServer,
  startOrthanc,
  type HttpStandIn,
  type OrthancServer,
  type RecordedRequest,
} from '@dicom-dispatch/harness';
import { stopClock } from '@dicom-dispatch/harness/stop-clock';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { TestDelivery } from '@dicom-dispatch/target-kit/testing';
import { fixtureStudy, type FixtureStudy } from '../contract-suite/index.ts';
import { AbsentBefore } from './absent-before.ts';
import { dicomwebHandler } from './handler.ts';
import { dicomwebTarget } from './schema.ts';
import { deliver, json, uidsInBody } from './stow-stand-in.ts';

/** How the gateway handles an upload: it forwards the request and the response, or only one of them. */
type Fate =
  | 'pass'
  | { readonly status: number; readonly stores: boolean; readonly headers?: object }
  | 'store, then reset'
  | 'reset';

let orthanc: OrthancServer;
let gateway: HttpStandIn;
/** SOP Instance UIDs of each upload. */
let uploads: string[][] = [];
let searches = 0;
let fateOf: (uids: readonly string[], count: number) => Fate = () => 'pass';
let onSilence = (): void => {};
/** A status, or the SOP Instance UIDs of a list; default: the response of the server. */
let searchFate: (request: RecordedRequest) => number | readonly string[] | undefined = () => undefined;

beforeAll(async () => {
  orthanc = await startOrthanc({ plugins: ['dicomweb'] });
  gateway = await startHttpServer(async (request, response) => {
    if (request.method === 'GET') {
      searches += 1;
      const fate = searchFate(request);
      if (typeof fate === 'object') {
        const found = request.query.has('offset') ? [] : fate;
        return json(
          response,
          200,
          found.map((uid) => ({ '00080018': { vr: 'UI', Value: [uid] } })),
        );
      }
      return fate === undefined ? pass(request, response) : void response.writeHead(fate).end();
    }
    const uids = uidsInBody(request.body, request.headers['content-type']);
    uploads.push(uids);
    const fate = fateOf(uids, uploads.length);
    if (fate === 'pass') return pass(request, response);
    if (fate === 'store, then reset' || fate === 'reset') {
      if (fate !== 'reset') await ask(request);
      return void response.socket?.resetAndDestroy();
    }
    if (fate.stores) await ask(request);
    // The client waits for its own timeout, or leaves.
    if (fate.status === 0) return onSilence();
    response.writeHead(fate.status, { 'content-type': 'text/html', ...fate.headers }).end('<h1>Gateway</h1>');
  });
});
afterAll(async () => {
  await gateway?.stop();
  await orthanc?.stop();
});
afterEach(() => {
  uploads = [];
  searches = 0;
  fateOf = () => 'pass';
  searchFate = () => undefined;
  onSilence = () => {};
});

async function ask({ method, path, query, headers, body }: RecordedRequest): Promise<Response> {
  const { accept = '*/*', 'content-type': type } = headers;
  return fetch(`${orthanc.url}${path}?${query}`, {
    method,
    headers: { accept, ...(type !== undefined && { 'content-type': type }) },
    ...(method === 'POST' && { body: new Uint8Array(body) }),
  });
}

async function pass(request: RecordedRequest, response: ServerResponse): Promise<void> {
  const answer = await ask(request);
  const type = answer.headers.get('content-type');
  response.writeHead(answer.status, type === null ? {} : { 'content-type': type });
  response.end(Buffer.from(await answer.arrayBuffer()));
}

const options = { type: 'dicomweb', maxParallel: 1, verifyTimeout: '300ms', timeout: '30s' };
const config = (more: object = {}) => ({ ...options, url: `${gateway.url}/dicom-web`, ...more });
let seed = 0;
const newStudy = (count = 8): FixtureStudy =>
  fixtureStudy({ seed: `gateway ${(seed += 1)}`, series: 1, instancesPerSeries: count, rows: 8, columns: 8 });
const uidsOf = ({ instances }: FixtureStudy): string[] => instances.map(({ manifest }) => manifest.sopInstanceUid);

async function expectThere(study: FixtureStudy): Promise<void> {
  expect(await orthanc.sopInstanceUids()).toEqual(expect.arrayContaining(uidsOf(study)));
}

describe('a gateway in front of a DICOMweb service', () => {
  it.each([
    ['502', { status: 502, stores: true }],
    ['503', { status: 503, stores: true }],
    ['504', { status: 504, stores: true }],
    ['500', { status: 500, stores: true }],
    ['524 (Cloudflare)', { status: 524, stores: true }],
    ['499 (nginx)', { status: 499, stores: true }],
    ['a reset', 'store, then reset'],
    ['a page', { status: 200, stores: true }],
  ] as const)('that stores all and answers with %s: nothing is sent again', async (_, fate) => {
    const study = newStudy();
    fateOf = () => fate;
    const { attempt, kinds } = await deliver(study, config());
    expect(attempt.error).toBeUndefined();
    expect(kinds).toEqual(Array(8).fill('delivered'));
    expect(uploads).toEqual([uidsOf(study)]);
    await expectThere(study);
  });

  it('that answers 504 to batches and accepts small ones: sent in halves, down to the accepted size', async () => {
    const study = newStudy(16);
    fateOf = (uids) => (uids.length > 2 ? { status: 504, stores: false } : 'pass');
    const { attempt, kinds } = await deliver(study, config());
    expect(attempt.error).toBeUndefined();
    expect(kinds).toEqual(Array(16).fill('delivered'));
    expect(uploads.map((uids) => uids.length)).toEqual([16, 8, 4, 2, 2, 2, 2, 2, 2, 2, 2]);
    await expectThere(study);
  });

  it('remembers with the delivery how large a batch may be', async () => {
    const study = newStudy(8);
    fateOf = (uids) => (uids.length > 2 ? { status: 413, stores: false } : { status: 429, stores: false });
    const delivery = new TestDelivery(dicomwebHandler, study);
    expect((await deliver(study, config(), delivery)).attempt.error).toMatchObject({ code: 'target-busy' });
    const before = uploads.length;
    fateOf = () => 'pass';
    expect((await deliver(study, config(), delivery)).attempt.error).toBeUndefined();
    expect(uploads.slice(before).map((uids) => uids.length)).toEqual([2, 2, 2, 2]);
  });

  it('that stored a part before it gave up: only the rest is sent, in halves', async () => {
    const study = newStudy(8);
    const uids = uidsOf(study);
    for (const { read } of study.instances.slice(0, 3))
      await orthanc.upload(Buffer.concat(await Array.fromAsync(read())));
    // As if the first three had arrived with the failing request.
    const delivery = new TestDelivery(dicomwebHandler, study);
    const absent = AbsentBefore.of(undefined);
    for (const { manifest } of study.instances) absent.add(manifest);
    delivery.state.set('dicomweb-absent', absent.kept);
    fateOf = (_, count) => (count === 1 ? { status: 504, stores: false } : 'pass');
    const { attempt, kinds } = await deliver(study, config(), delivery);
    expect(attempt.error).toBeUndefined();
    expect(kinds).toEqual(Array(8).fill('delivered'));
    // They are searched for before anything is sent.
    expect(uploads).toEqual([uids.slice(3), uids.slice(3, 6), uids.slice(6)]);
  });

  it('that lists the older content of an instance which has changed between two attempts: it is sent again', async () => {
    const study = newStudy(3);
    const [changing = ''] = uidsOf(study);
    const delivery = new TestDelivery(dicomwebHandler, study);
    // All is stored, but no response arrives.
    fateOf = () => {
      searchFate = () => 502;
      return { status: 504, stores: true };
    };
    expect((await deliver(study, config(), delivery)).kinds).toEqual(Array(3).fill('pending'));
    searchFate = () => undefined;
    const versions = study.instances.map(({ manifest }) =>
      manifest.sopInstanceUid === changing ? { ...manifest, version: 'changed' } : manifest,
    );
    const run = { manifest: versions, pending: versions };
    // Neither does a search confirm the new content, if it was not stored and the response was lost.
    fateOf = () => ({ status: 504, stores: false });
    const { error } = await delivery.attempt(dicomwebTarget.parse(config()), { run });
    expect(error?.message).toContain('504');
    expect([...delivery.ledger.keys()].sort()).toEqual(uidsOf(study).slice(1).sort());
    expect(uploads.slice(1)).toEqual([[changing]]);
    fateOf = () => 'pass';
    expect((await deliver(study, config(), delivery)).kinds).toEqual(Array(3).fill('delivered'));
    expect(uploads.at(-1)).toEqual([changing]);
  });

  it('that cuts its lists: earlier instances are not treated as sent ones', async () => {
    const study = newStudy(3);
    for (const { read } of study.instances) await orthanc.upload(Buffer.concat(await Array.fromAsync(read())));
    // Its lists have one instance for any query; queries for single instances find them.
    searchFate = ({ path, query }) =>
      path.endsWith('/instances') && !query.has('SOPInstanceUID') ? [uidsOf(study)[0] ?? ''] : undefined;
    fateOf = () => ({ status: 504, stores: false });
    const { attempt, kinds } = await deliver(study, config());
    expect(attempt.error?.message).toContain('504');
    expect(kinds).toEqual(Array(3).fill('pending'));
  });

  it('whose answers are lost and that cannot be searched: sent in halves, then failed in true words', async () => {
    const study = newStudy(4);
    searchFate = () => 404;
    fateOf = () => ({ status: 504, stores: false });
    const { attempt, kinds } = await deliver(study, config());
    expect(attempt.error).toMatchObject({ code: 'target-error', message: expect.stringContaining('504') });
    expect(kinds).toEqual(Array(4).fill('pending'));
    expect(uploads.map((uids) => uids.length)).toEqual([4, 2, 1, 1, 1]);
  });

  it('that does not reach the service (Cloudflare 522): out of reach, so that no attempt is used up', async () => {
    searchFate = () => 522;
    const { attempt } = await deliver(newStudy(2), config());
    expect(attempt.error).toMatchObject({ code: 'target-unreachable', message: expect.stringContaining('522') });
    expect(uploads).toEqual([]);
  });

  it('that is down: one upload, one question, no halves', async () => {
    const study = newStudy(8);
    fateOf = () => {
      searchFate = () => 502;
      return { status: 502, stores: false };
    };
    const { attempt } = await deliver(study, config());
    expect(attempt.error).toMatchObject({ code: 'target-error' });
    expect(uploads.length).toBe(1);
  });

  it('with Retry-After is not sent further requests', async () => {
    const study = newStudy(8);
    fateOf = () => ({ status: 503, stores: false, headers: { 'retry-after': '30' } });
    const { attempt } = await deliver(study, config());
    expect(attempt.error).toMatchObject({ code: 'target-busy', retryAfterMs: 30_000 });
    expect(uploads.length).toBe(1);
    expect(searches).toBeGreaterThan(1);
  });

  it('that does not respond to batches in time: searched, halved', async () => {
    const study = newStudy(4);
    fateOf = (uids) => (uids.length > 2 ? { status: 0, stores: false } : 'pass');
    using clock = stopClock();
    onSilence = () => void clock.pass(30_000);
    const { attempt, kinds } = await deliver(study, config());
    expect(attempt.error).toBeUndefined();
    expect(kinds).toEqual(Array(4).fill('delivered'));
  });

  it('that fails at one instance does not keep the others', async () => {
    const study = newStudy(8);
    const [bad = ''] = uidsOf(study).slice(2);
    fateOf = (uids) => (uids.includes(bad) ? { status: 502, stores: false } : 'pass');
    const delivery = new TestDelivery(dicomwebHandler, study);
    for (const _ of [1, 2]) {
      const { attempt, kinds } = await deliver(study, config(), delivery);
      expect(attempt.error).toMatchObject({ code: 'instance-failed', message: expect.stringContaining('502') });
      expect(kinds.filter((kind) => kind === 'delivered').length).toBe(7);
    }
    const { attempt } = await deliver(study, config(), delivery);
    expect(attempt.error).toBeUndefined();
    expect(delivery.ledger.get(bad)).toMatchObject({ kind: 'quarantined' });
  });

  it('a dispatcher that was killed while a response was due searches before it sends again', async () => {
    const study = newStudy(4);
    const delivery = new TestDelivery(dicomwebHandler, study);
    const stop = new AbortController();
    fateOf = () => ({ status: 0, stores: true });
    // Stored, but no response will arrive.
    onSilence = () => stop.abort();
    const { error } = await delivery.attempt(dicomwebTarget.parse(config()), { signal: stop.signal });
    expect(error).toMatchObject({ code: 'cancelled' });
    fateOf = () => 'pass';
    const { attempt, kinds } = await deliver(study, config(), delivery);
    expect(attempt.error).toBeUndefined();
    expect(kinds).toEqual(Array(4).fill('delivered'));
    expect(uploads.length).toBe(1);
  });
});
