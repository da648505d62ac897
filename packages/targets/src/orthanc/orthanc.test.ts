import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Secret } from '@dicom-dispatch/core';
import {
  freePort,
  makeCertificates,
  startOrthanc,
  startTlsFront,
  tempFolder,
  type OrthancServer,
} from '@dicom-dispatch/harness';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  fixtureStudy,
  handlerContract,
  part10Facts,
  TestDelivery,
  type ArrangedFault,
  type FixtureStudy,
  type StartedTarget,
} from '../contract-suite/index.ts';
import type { FindQuery } from '../contract/index.ts';
import { blockStorage } from './block-storage.ts';
import { orthancHandler } from './handler.ts';
import { orthancTarget, type OrthancTarget } from './schema.ts';

const users = { ada: 'first-password', reader: 'reader-password', picky: 'picky-password', keeper: 'keeper-password' };

/** `reader` may not upload, `keeper` may not delete, and nothing that `picky` sends is kept. */
const script = `
function IncomingHttpRequestFilter(method, uri, ip, username, headers)
  return not ((method == 'POST' and uri == '/instances' and username == 'reader') or
              (method == 'DELETE' and username == 'keeper'))
end
function ReceivedInstanceFilter(dicom, origin)
  return origin['Username'] ~= 'picky'
end
`;

let server: OrthancServer;

async function startTarget(): Promise<StartedTarget> {
  const folder = await tempFolder('orthanc-target');
  const { ca, server: own } = await makeCertificates();
  const lua = join(folder.path, 'filter.lua');
  await writeFile(lua, script);
  // No "stable" events while a test compares the feed of changes.
  server = await startOrthanc({ users, stableAgeSeconds: 3600, extraConfig: { LuaScripts: [lua] } });
  const front = await startTlsFront({ port: server.httpPort, key: own.key, cert: own.cert });
  return {
    config: {
      type: 'orthanc',
      url: `https://127.0.0.1:${front.port}`,
      auth: login('ada'),
      tls: { ca: ca.certFile },
      verify: 'md5',
      writeProbe: true,
      answerTimeout: '20s',
    },
    received: () => receivedAt(server),
    fingerprint: async () => [
      await server.get('/statistics'),
      await server.get('/instances'),
      await server.get('/changes?last'),
    ],
    stop: async () => {
      await front.stop();
      await server.stop();
      await folder.remove();
    },
  };
}

async function receivedAt({ get, getBytes }: OrthancServer) {
  const ids = (await get('/instances')) as string[];
  const facts = [];
  for (const id of ids) facts.push(await part10Facts([await getBytes(`/instances/${id}/file`)]));
  return facts;
}

function login(username: keyof typeof users, password: string = users[username]) {
  return { type: 'basic', username, password: new Secret(password) };
}

const elsewhere = async (): Promise<ArrangedFault> => ({
  config: { url: `https://127.0.0.1:${await freePort()}` },
});

handlerContract<OrthancTarget>({
  name: 'orthanc',
  handler: orthancHandler,
  start: startTarget,
  faults: {
    'wrong credentials': {
      arrange: () => ({ config: { auth: login('ada', 'wrong-password') } }),
      code: 'target-unauthorized',
      stage: 'connect',
    },
    'wrong host key': {
      // For TLS that is a certificate of an authority that is not trusted.
      arrange: () => ({ config: { tls: {} } }),
      code: 'target-tls',
      stage: 'connect',
    },
    full: { arrange: () => blockStorage(server.folder), code: 'target-full', stage: 'transfer' },
    unreachable: { arrange: elsewhere, code: 'target-unreachable', stage: 'connect' },
    hangs: {
      arrange: () => ({
        config: { answerTimeout: '1500ms' },
        strike: () => server.kill('SIGSTOP'),
        undo: () => server.kill('SIGCONT'),
      }),
      code: 'target-timeout',
      stage: 'transfer',
    },
    cut: {
      // The connection is lost, and so is the one of the second try.
      arrange: () => ({ strike: () => server.kill('SIGKILL'), undo: () => server.restart() }),
      code: 'target-connection-lost',
      stage: 'transfer',
    },
  },
  checks: {
    resolve: { arrange: () => ({ config: { url: 'https://no-such-host.invalid' } }) },
    connect: { arrange: elsewhere },
    tls: { arrange: () => ({ config: { tls: {} } }) },
    login: { arrange: () => ({ config: { auth: login('ada', 'wrong-password') } }) },
    permission: { arrange: () => ({ config: { auth: login('reader') } }) },
    write: { arrange: () => ({ config: { auth: login('picky') } }) },
    remove: { arrange: () => ({ config: { auth: login('keeper') } }) },
  },
  hostile: { notApplicable: 'an Orthanc names what it stores by itself' },
});

describe('the orthanc target', () => {
  let plain: OrthancServer;
  beforeAll(async () => {
    plain = await startOrthanc({ extraConfig: { StoreMD5ForAttachments: false } });
  });
  afterAll(async () => {
    await plain?.stop();
  });
  const parse = (more: object = {}) => orthancTarget.parse({ type: 'orthanc', url: plain.url, ...more });

  it('compares the file itself when the target keeps no MD5', async () => {
    const delivery = new TestDelivery(orthancHandler, fixtureStudy({ seed: 'no md5' }));
    expect((await delivery.attempt(parse({ verify: 'md5' }))).error).toBeUndefined();
    expect(delivery.pending).toEqual([]);
  });

  it('quarantines an instance of which the target has another content, and keeps both apart', async () => {
    const study = fixtureStudy({ seed: 'same uid', series: 1, instancesPerSeries: 2 });
    const changed = await bytesOf(study, 0);
    changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 0xff;
    await plain.upload(changed);
    const attempt = await new TestDelivery(orthancHandler, study).attempt(parse({ verify: 'md5' }));
    expect(attempt.error).toBeUndefined();
    const [first, second] = [...attempt.reported.values()];
    expect([first, second]).toEqual(
      expect.arrayContaining([
        { kind: 'delivered' },
        { kind: 'quarantined', error: expect.objectContaining({ code: 'instance-refused', stage: 'verify' }) },
      ]),
    );
  });

  it('quarantines what is no DICOM and delivers the rest', async () => {
    const study = fixtureStudy({ seed: 'broken', series: 1 });
    const [bad, ...good] = study.instances;
    if (!bad) throw new Error('the sample study has no instance');
    const attempt = await new TestDelivery(orthancHandler, {
      ...study,
      instances: [
        ...good,
        { ...bad, manifest: { ...bad.manifest, sizeBytes: 9 }, read: () => [Buffer.from('not DICOM')] },
      ],
    }).attempt(parse());
    expect(attempt.error).toBeUndefined();
    expect([...attempt.reported.values()].map(({ kind }) => kind).sort()).toEqual([
      'delivered',
      'delivered',
      'quarantined',
    ]);
  });

  it('says so when something else than an Orthanc answers', async () => {
    const url = `${plain.url}/app`;
    const attempt = await new TestDelivery(orthancHandler, fixtureStudy()).attempt(parse({ url }));
    expect(attempt.error).toMatchObject({ code: 'target-misconfigured', stage: 'connect' });
  });

  it('refuses options that it does not know, and addresses with a password in them', () => {
    expect(() => parse({ lane: 3 })).toThrow(/lane/);
    expect(() => parse({ url: 'http://ada:secret@host:8042' })).toThrow(/without user/);
    expect(() => parse({ auth: { type: 'basic', username: 'ada', password: 'plain' } })).toThrow(/secret/);
    expect(parse({ url: 'http://host:8042/' }).url).toBe('http://host:8042');
  });
});

describe('pulling from an Orthanc', () => {
  let plain: OrthancServer;
  const ct = fixtureStudy({ seed: 'pull ct', modality: 'CT', series: 3, instancesPerSeries: 4 });
  const mr = fixtureStudy({ seed: 'pull mr', modality: 'MR', series: 1, instancesPerSeries: 2 });
  beforeAll(async () => {
    plain = await startOrthanc();
    for (const study of [ct, mr]) {
      for (const index of study.instances.keys()) await plain.upload(await bytesOf(study, index));
    }
  });
  afterAll(async () => {
    await plain?.stop();
  });
  const context = (signal = new AbortController().signal) => ({
    config: orthancTarget.parse({ type: 'orthanc', url: plain.url }),
    targetName: 'archive',
    signal,
  });
  const { pull } = orthancHandler;
  if (!pull) throw new Error('the orthanc handler can be pulled from');

  it('finds by accession number, patient, study and date, with filters on series', async () => {
    const { study, studyInstanceUid } = ct.tags;
    const all = await Array.fromAsync(pull.find({}, context()));
    expect(all.map((one) => one.studyInstanceUid).sort()).toEqual([studyInstanceUid, mr.tags.studyInstanceUid].sort());
    const queries: FindQuery[] = [
      { accessionNumber: study['AccessionNumber'] ?? '' },
      { patientId: study['PatientID'] ?? '' },
      { studyInstanceUid },
      { series: { Modality: 'CT' } },
      { series: { Modality: 'C*', SeriesNumber: '2' } },
    ];
    for (const query of queries) {
      const found = await Array.fromAsync(pull.find(query, context()));
      expect(found.map((one) => one.studyInstanceUid)).toEqual([studyInstanceUid]);
      expect(found[0]?.instanceCount).toBe(12);
      expect(found[0]?.series.length).toBe(query.series?.['SeriesNumber'] ? 1 : 3);
    }
    expect(await Array.fromAsync(pull.find({ accessionNumber: 'no such' }, context()))).toEqual([]);
  });

  it('retrieves every instance identical, with progress, and on resuming only what is missing', async () => {
    const kept = new Map<string, Buffer>();
    const steps: unknown[] = [];
    const request = {
      studyInstanceUid: ct.tags.studyInstanceUid,
      has: (uid: string) => kept.has(uid),
      store: async (uid: string, { body }: { body: AsyncIterable<Uint8Array> }) => {
        kept.set(uid, Buffer.concat(await Array.fromAsync(body)));
      },
      progress: (step: unknown) => void steps.push(step),
    };
    const stop = new AbortController();
    const broken = pull.retrieve(
      {
        ...request,
        store: async (uid, bytes) => {
          if (kept.size === 5) stop.abort();
          else await request.store(uid, bytes);
        },
      },
      context(stop.signal),
    );
    await expect(broken).rejects.toMatchObject({ code: 'cancelled' });
    const before = kept.size;
    expect(before).toBeLessThan(12);
    steps.length = 0;
    expect(await pull.retrieve(request, context())).toEqual({ completed: 12, failed: 0, remaining: 0 });
    expect(steps.length).toBe(13);
    for (const { manifest, facts } of ct.instances) {
      const found = await part10Facts([kept.get(manifest.sopInstanceUid) ?? Buffer.alloc(0)]);
      expect(found).toEqual(await facts());
    }
  });

  it('retrieves single series', async () => {
    const seriesInstanceUid = ct.instances[0]?.manifest.seriesInstanceUid ?? '';
    const kept: string[] = [];
    const last = await pull.retrieve(
      {
        studyInstanceUid: ct.tags.studyInstanceUid,
        seriesInstanceUids: [seriesInstanceUid],
        has: () => false,
        store: async (uid, { body }) => {
          await Array.fromAsync(body);
          kept.push(uid);
        },
        progress: () => {},
      },
      context(),
    );
    expect(last).toEqual({ completed: 4, failed: 0, remaining: 0 });
    expect(kept.length).toBe(4);
  });

  it('counts an instance that the target lost as failed and brings the others', async () => {
    const kept: string[] = [];
    const lost = mr.instances[0]?.manifest.sopInstanceUid ?? '';
    const id = ((await plain.send('POST', '/tools/lookup', lost)) as { ID: string }[])[0]?.ID ?? '';
    const last = await pull.retrieve(
      {
        studyInstanceUid: mr.tags.studyInstanceUid,
        // Asked for each instance after the listing: the moment at which the target loses one.
        has: async (uid) => {
          if (uid === lost) await plain.send('DELETE', `/instances/${id}`);
          return false;
        },
        store: async (uid, { body }) => {
          await Array.fromAsync(body);
          kept.push(uid);
        },
        progress: () => {},
      },
      context(),
    );
    expect(last).toEqual({ completed: 1, failed: 1, remaining: 0 });
    expect(kept).toEqual([mr.instances[1]?.manifest.sopInstanceUid]);
  });
});

async function bytesOf(study: FixtureStudy, index: number): Promise<Buffer> {
  const instance = study.instances[index];
  return instance ? Buffer.concat(await Array.fromAsync(instance.read())) : Buffer.alloc(0);
}
