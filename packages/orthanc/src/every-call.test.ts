import { startFaultProxy, startHttpServer, type FaultProxy } from '@dicom-dispatch/harness';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { collect, startFilledOrthanc, type FilledOrthanc } from '../test/filled-orthanc.ts';
import { createOrthancClient, OrthancError, type CallOptions, type OrthancClient } from './index.ts';

/** Successful calls are tested with their subjects; here are the failures of each. */

const id = '00000000-11111111-22222222-33333333-44444444';
const job = '00000000-1111-2222-3333-444444444444';
const name = 'no-such-name';
const file = Buffer.from('not DICOM');
const request = { Resources: [id] };
const retrieve = { Level: 'Study', Resources: [{ StudyInstanceUID: '1.2.3' }] };

/** Arguments before the options, by the name of the call. */
const ofClient: Readonly<Record<string, readonly unknown[]>> = {
  system: [],
  features: [],
  plugins: [],
  statistics: [],
  now: [],
  changes: [{}],
  lastChange: [],
  study: [id],
  metadata: ['studies', id],
  studyInstances: [id],
  arrivedInstances: ['series', [id], new Map()],
  studyTags: [id],
  studyContents: [[id], Number.POSITIVE_INFINITY],
  instanceFile: [id],
  uploadInstance: [file],
  uploadZip: [file],
  find: [{ level: 'studies', query: {} }],
  findIds: [{ level: 'studies', query: {} }],
  count: [{ level: 'studies', query: {} }],
  lookup: ['nobody'],
  archive: [[id]],
};
const ofLevels: Readonly<Record<string, readonly unknown[]>> = {
  list: [{}],
  ids: [{}],
  each: [{}],
  read: [id],
  exists: [id],
  delete: [id],
  metadataValue: [id, 'LastUpdate'],
  metadata: [id],
  setMetadata: [id, '1024', 'text'],
  deleteMetadata: [id, '1024'],
  attachmentMd5: [id, 'dicom'],
  attachments: [id],
  attachmentInfo: [id, 'dicom'],
  attachmentData: [id, 'dicom'],
  verifyAttachment: [id, 'dicom'],
  setAttachment: [id, '1024', file],
  deleteAttachment: [id, '1024'],
  labels: [id],
  addLabel: [id, 'label'],
  removeLabel: [id, 'label'],
  statistics: [id],
  many: [[id]],
  sharedTags: [id],
  instancesTags: [id],
  moduleTags: [id],
  archive: [id],
  modify: [id, { replace: { PatientName: 'X' } }],
  modifyJob: [id, { replace: { PatientName: 'X' } }],
  anonymise: [id, {}],
  anonymiseJob: [id, {}],
  patient: [id],
  study: [id],
  studies: [id],
  series: [id],
  instances: [id],
  tree: [id],
  isProtected: [id],
  setProtected: [id, true],
  tags: [id],
  header: [id],
  frameCount: [id],
  preview: [id],
  transcode: [id, '1.2.840.10008.1.2'],
  file: [id],
};
const ofOthers: Readonly<Record<string, Readonly<Record<string, readonly unknown[]>>>> = {
  jobs: {
    read: [job],
    progress: [job],
    ids: [],
    list: [],
    wait: [job],
    cancel: [job],
    pause: [job],
    resume: [job],
    resubmit: [job],
    delete: [job],
    output: [job, 'archive'],
  },
  modalities: {
    names: [],
    list: [],
    read: [name],
    set: ['another', { AET: 'X', Host: '127.0.0.1', Port: 104 }],
    delete: [name],
    echo: [name],
    query: [name, { Level: 'Study', Query: {} }],
    move: [name, retrieve],
    moveJob: [name, retrieve],
    getJob: [name, retrieve],
    store: [name, request],
    storeJob: [name, request],
  },
  queries: { ids: [], answers: [job], retrieve: [job, {}], retrieveJob: [job, {}], delete: [job] },
  peers: {
    names: [],
    list: [],
    set: ['another', { Url: 'http://127.0.0.1:1/' }],
    delete: [name],
    system: [name],
    store: [name, request],
    storeJob: [name, request],
  },
};

type Call = (options: CallOptions) => unknown;
type Callable = Record<string, (...args: unknown[]) => unknown>;

/** Every public call of a client, by name; with `hostile` in place of each identifier and name. */
function callsOf(client: OrthancClient, hostile?: string): Map<string, Call> {
  const calls = new Map<string, Call>();
  const add = (owner: object, prefix: string, method: string, args: readonly unknown[] | undefined): void => {
    if (!args) throw new Error(`this test does not know the call ${prefix}${method}`);
    const named = args.some((arg) => arg === id || arg === job || arg === name);
    if (hostile !== undefined && !named) return;
    const given = args.map((arg) => (arg === id || arg === job || arg === name ? (hostile ?? arg) : arg));
    calls.set(prefix + method, (options) => (owner as Callable)[method]?.(...given, options));
  };
  for (const method of Object.getOwnPropertyNames(Object.getPrototypeOf(client))) {
    if (method !== 'constructor' && method !== 'close') add(client, '', method, ofClient[method]);
  }
  for (const [subject, owner] of Object.entries(client)) {
    const table = ofOthers[subject] ?? ofLevels;
    for (const method of Object.keys(owner as object)) add(owner as object, `${subject}.`, method, table[method]);
  }
  return calls;
}

/** The result of every call, as the code of its error. */
async function codes(client: OrthancClient, options: CallOptions = {}, hostile?: string): Promise<Map<string, string>> {
  const endings = await Promise.all(
    Array.from(callsOf(client, hostile), async ([call, act]) => {
      try {
        await finish(act(options));
        return [call, 'none'] as const;
      } catch (error) {
        return [call, error instanceof OrthancError ? error.code : `foreign: ${String(error)}`] as const;
      }
    }),
  );
  return new Map(endings);
}

async function finish(answer: unknown): Promise<void> {
  if (isIterable(answer)) return void (await Array.fromAsync(answer));
  const value = await answer;
  const body = (value as { body?: unknown } | undefined)?.body;
  if (isIterable(body)) await collect(body as AsyncIterable<Uint8Array>);
}

function isIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}

/** The calls with another result. */
function others(endings: ReadonlyMap<string, string>, code: string): Record<string, string> {
  return Object.fromEntries([...endings].filter(([, one]) => one !== code));
}

/** Calls without a resource, or with another response of Orthanc; `unsupported` requires a newer one. */
const unlike404: Readonly<Record<string, string>> = {
  // Deleted resources are omitted.
  arrivedInstances: 'none',
  studyContents: 'none',
  changes: 'none',
  count: 'none',
  features: 'none',
  find: 'none',
  findIds: 'none',
  'jobs.cancel': 'bad-request',
  'jobs.delete': 'unsupported',
  'jobs.ids': 'none',
  'jobs.list': 'none',
  'jobs.pause': 'bad-request',
  'jobs.resubmit': 'bad-request',
  'jobs.resume': 'bad-request',
  lastChange: 'none',
  lookup: 'none',
  'modalities.getJob': 'unsupported',
  'modalities.list': 'none',
  'modalities.moveJob': 'unsupported',
  now: 'none',
  'modalities.names': 'none',
  'modalities.set': 'none',
  'patients.isProtected': 'bad-request',
  'patients.setProtected': 'bad-request',
  'peers.list': 'none',
  'peers.names': 'none',
  'peers.set': 'none',
  plugins: 'none',
  'queries.delete': 'none',
  'queries.ids': 'none',
  statistics: 'none',
  system: 'none',
  uploadInstance: 'bad-request',
  uploadZip: 'bad-request',
  ...ofAllLevels({
    addLabel: 'unsupported',
    attachmentMd5: 'none',
    each: 'none',
    exists: 'none',
    ids: 'none',
    labels: 'unsupported',
    list: 'none',
    many: 'none',
    removeLabel: 'unsupported',
    setAttachment: 'none',
  }),
};

function ofAllLevels(endings: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    ['patients', 'studies', 'series', 'instances'].flatMap((level) =>
      Object.entries(endings).map(([call, code]) => [`${level}.${call}`, code]),
    ),
  );
}

describe('every call', () => {
  let filled: FilledOrthanc;
  let proxy: FaultProxy;
  const login = { username: 'anna', password: 'geheim' };
  beforeAll(async () => {
    filled = await startFilledOrthanc({ users: { anna: 'geheim' } });
    proxy = await startFaultProxy({ port: filled.server.httpPort });
  });
  afterAll(async () => {
    await proxy?.stop();
    await filled?.[Symbol.asyncDispose]();
  });
  // A connection for each call: calls that wait for their timeouts do so at the same time.
  const through = () => createOrthancClient({ url: `http://127.0.0.1:${proxy.port}`, maxConnections: 200, ...login });

  it('is known here', () => {
    expect(callsOf(filled.client).size).toBeGreaterThan(150);
  });

  it.each(['../../tools/now', '..%2F..%2Ftools%2Fnow', '..\\..\\tools\\now', '..', ''])(
    'sends nothing for the identifier or name %j',
    async (hostile) => {
      const newest = { Version: '1.12.9', ApiVersion: 28, HasLabels: true };
      await using server = await startHttpServer((_request, response) => void response.end(JSON.stringify(newest)));
      await using client = createOrthancClient({ url: server.url });
      const endings = await codes(client, {}, hostile);
      expect(endings.size).toBeGreaterThan(120);
      expect(others(endings, 'bad-request')).toEqual({});
      expect(server.requests.filter(({ path }) => path !== '/system')).toEqual([]);
    },
  );

  it('reports missing authorisation (401)', async () => {
    await using client = createOrthancClient({ url: filled.server.url, username: 'anna', password: 'wrong' });
    expect(others(await codes(client), 'unauthorized')).toEqual({});
  });

  it('reports a missing resource (404)', async () => {
    expect(others(await codes(filled.client), 'not-found')).toEqual(unlike404);
  });

  it('reports a server failure (500)', async () => {
    await using broken = await startHttpServer((_request, response) => void response.writeHead(500).end());
    await using client = createOrthancClient({ url: broken.url });
    expect(others(await codes(client), 'server-error')).toEqual({});
  });

  it('reports a connection reset', async () => {
    await proxy.set({ resetAfterBytesDown: 0 });
    await using client = through();
    expect(others(await codes(client), 'reset')).toEqual({});
    await proxy.heal();
  });

  it('ends if the server does not respond', async () => {
    await proxy.set({ blackHole: true });
    await using client = through();
    expect(others(await codes(client, { timeoutMs: 500 }), 'timeout')).toEqual({});
    await proxy.heal();
  });

  it('ends when it is cancelled', async () => {
    await proxy.set({ blackHole: true });
    await using client = through();
    const stop = new AbortController();
    const ending = codes(client, { signal: stop.signal });
    setImmediate(() => stop.abort());
    expect(others(await ending, 'cancelled')).toEqual({});
    await proxy.heal();
  });
});
