import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Secret } from '@dicom-dispatch/core';
import {
  freePort,
  makeCertificates,
  startHttpServer,
  startOrthanc,
  startTlsFront,
  tempFolder,
  waitFor,
  type OrthancServer,
} from '@dicom-dispatch/harness';
import { stopClock } from '@dicom-dispatch/harness/stop-clock';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestDelivery } from '@dicom-dispatch/target-kit/testing';
import {
  fixtureStudy,
  handlerContract,
  part10Facts,
  type ArrangedFault,
  type FixtureStudy,
  type StartedTarget,
} from '../contract-suite/index.ts';
import type { FindQuery } from '@dicom-dispatch/target-kit';
import { blockStorage } from './block-storage.ts';
import { orthancHandler } from './handler.ts';
import { orthancTarget, type OrthancTarget } from './schema.ts';

const users = { ada: 'first-password', reader: 'reader-password', picky: 'picky-password', keeper: 'keeper-password' };

/** `reader` may not upload, `keeper` may not delete, and nothing from `picky` is stored. */
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
      timeout: '60s',
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
      // For TLS this is a certificate of an untrusted authority.
      arrange: () => ({ config: { tls: {} } }),
      code: 'target-tls',
      stage: 'connect',
    },
    full: { arrange: () => blockStorage(server.folder), code: 'target-full', stage: 'transfer' },
    unreachable: { arrange: elsewhere, code: 'target-unreachable', stage: 'connect' },
    hangs: {
      arrange: () => ({
        strike: () => server.kill('SIGSTOP'),
        undo: () => server.kill('SIGCONT'),
      }),
      code: 'target-timeout',
      stage: 'transfer',
      stopsClock: true,
    },
    cut: {
      // The connection is lost, and the second one too.
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

  it('compares the file itself if the target stores no MD5', async () => {
    const delivery = new TestDelivery(orthancHandler, fixtureStudy({ seed: 'no md5' }));
    expect((await delivery.attempt(parse({ verify: 'md5' }))).error).toBeUndefined();
    expect(delivery.pending).toEqual([]);
  });

  describe('an instance that is already stored', () => {
    const uidsOf = ({ instances }: FixtureStudy) => instances.map(({ manifest }) => manifest.sopInstanceUid);
    const kindsOf = (study: FixtureStudy, { ledger }: TestDelivery<OrthancTarget>) =>
      uidsOf(study).map((uid) => ledger.get(uid)?.kind ?? 'pending');
    const idsOf = async (uid: string) =>
      ((await plain.send('POST', '/tools/lookup', uid)) as { ID: string }[]).map(({ ID }) => ID);

    /** Two instances; the target has the first with another last byte of its pixels. */
    async function corrected(seed: string) {
      const study = fixtureStudy({ seed, series: 1, instancesPerSeries: 2 });
      const old = await bytesOf(study, 0);
      old[old.length - 1] = (old.at(-1) ?? 0) ^ 0xff;
      await plain.upload(old);
      return { study, old, delivery: new TestDelivery(orthancHandler, study) };
    }

    it.each(['none', 'md5'])('with the same content is delivered (verify: %s)', async (verify) => {
      const study = fixtureStudy({ seed: `same ${verify}`, series: 1, instancesPerSeries: 2 });
      await plain.upload(await bytesOf(study, 0));
      const delivery = new TestDelivery(orthancHandler, study);
      expect((await delivery.attempt(parse({ verify }))).error).toBeUndefined();
      expect(kindsOf(study, delivery)).toEqual(['delivered', 'delivered']);
      expect(delivery.openNow).toBe(0);
    });

    it.each(['none', 'md5'])('with other content is named, and left as it is (verify: %s)', async (verify) => {
      const { study, old, delivery } = await corrected(`other ${verify}`);
      expect((await delivery.attempt(parse({ verify }))).error).toBeUndefined();
      expect(kindsOf(study, delivery)).toEqual(['quarantined', 'delivered']);
      expect(delivery.ledger.get(uidsOf(study)[0] ?? '')).toMatchObject({
        error: { code: 'target-conflict', remedy: expect.stringContaining('onConflict') },
      });
      const [id] = await idsOf(uidsOf(study)[0] ?? '');
      expect((await plain.getBytes(`/instances/${id}/file`)).equals(old)).toBe(true);
      expect(delivery.openNow).toBe(0);
    });

    it('with other content is replaced by onConflict: overwrite', async () => {
      const { study, delivery } = await corrected('overwrite');
      expect((await delivery.attempt(parse({ onConflict: 'overwrite', verify: 'md5' }))).error).toBeUndefined();
      expect(kindsOf(study, delivery)).toEqual(['delivered', 'delivered']);
      const [id] = await idsOf(uidsOf(study)[0] ?? '');
      expect((await plain.getBytes(`/instances/${id}/file`)).equals(await bytesOf(study, 0))).toBe(true);
    });

    it('is not compared with onConflict: keep, and this is reported', async () => {
      const { study, delivery } = await corrected('keep');
      expect((await delivery.attempt(parse({ onConflict: 'keep' }))).error).toBeUndefined();
      expect(delivery.ledger.get(uidsOf(study)[0] ?? '')).toEqual({
        kind: 'delivered',
        warning: expect.stringContaining('not compared'),
        isExisting: true,
      });
    });

    it('with the same data set and other file meta information, as received by DICOM, is delivered', async () => {
      const study = fixtureStudy({ seed: 'other meta', series: 1, instancesPerSeries: 1 });
      const received = await bytesOf(study, 0);
      // Implementation Class UID (0002,0012): its last digit.
      const at = received.indexOf(Buffer.from([0x02, 0x00, 0x12, 0x00, 0x55, 0x49]));
      const last = at + 8 + received.readUInt16LE(at + 6) - 2;
      received[last] = received[last] === 0x31 ? 0x32 : 0x31;
      await plain.upload(received);
      const delivery = new TestDelivery(orthancHandler, study);
      expect((await delivery.attempt(parse())).error).toBeUndefined();
      expect(kindsOf(study, delivery)).toEqual(['delivered']);
    });
  });

  describe('an answer to an upload that is not one of Orthanc confirms nothing', () => {
    const study = fixtureStudy({ seed: 'lies', series: 1, instancesPerSeries: 2 });
    const other = Array(5).fill('01234567').join('-');
    const json = 'application/json';
    it.each([
      ['a page', 'text/html', '<html>log in</html>', 'target-error'],
      ['nothing', json, '', 'target-error'],
      ['another JSON', json, '{"status":"ok"}', 'target-error'],
      ['a list', json, `[{"ID":"${other}","Status":"Success"}]`, 'target-error'],
      ['an id that is none', json, '{"ID":"../../tools/reset","Status":"Success"}', 'target-error'],
      ['another instance', json, `{"ID":"${other}","Status":"Success"}`, 'target-error'],
      ['another instance, there before', json, `{"ID":"${other}","Status":"AlreadyStored"}`, 'target-error'],
      ['a failure', json, '{"ID":"OWN","Status":"Failure"}', 'instance-failed'],
      ['an unknown word', json, '{"ID":"OWN","Status":"Probe^Paula"}', 'instance-failed'],
      ['what cannot be compared', json, '{"ID":"OWN","Status":"AlreadyStored"}', 'verify-missing'],
    ])('%s', async (_, type, body, code) => {
      const asked: string[] = [];
      await using server = await startHttpServer(({ method, path, body: file }, response) => {
        asked.push(`${method} ${path}`);
        if (path === '/system') return void response.end('{"ApiVersion":28,"Version":"1.12.7"}');
        if (path === `/instances/${other}`) return void response.end('{"MainDicomTags":{"SOPInstanceUID":"1.2.3"}}');
        if (method !== 'POST') return void response.writeHead(404).end();
        response.writeHead(200, { 'content-type': type }).end(body.replace('OWN', ownId(study, file)));
      });
      const delivery = new TestDelivery(orthancHandler, study);
      const { error } = await delivery.attempt(
        orthancTarget.parse({ type: 'orthanc', url: server.url, maxParallel: 1 }),
      );
      expect(error).toMatchObject({ code });
      expect(error?.message).not.toMatch(/Paula|<html>/);
      expect(delivery.ledger.size).toBe(0);
      expect(asked.every((one) => !one.includes('..'))).toBe(true);
    });

    it.each([
      ['502', 502],
      ['500 of a script', 500],
      ['a reset', 'reset'],
      ['silence', 'silence'],
    ] as const)('%s at one instance does not keep the others; at the third time it is quarantined', async (_, fate) => {
      const many = fixtureStudy({ seed: `one ${fate}`, series: 1, instancesPerSeries: 6 });
      const bad = many.instances[1]?.manifest.sopInstanceUid ?? '';
      await using gateway = await startHttpServer(async ({ method, path, body }, response) => {
        if (method === 'POST' && body.includes(bad)) {
          if (fate === 'silence') return;
          if (fate === 'reset') return void response.socket?.resetAndDestroy();
          return void response.writeHead(fate).end();
        }
        const answer = await fetch(`${plain.url}${path}`, {
          method,
          ...(method === 'POST' && { body: new Uint8Array(body) }),
        });
        response.writeHead(answer.status).end(Buffer.from(await answer.arrayBuffer()));
      });
      const delivery = new TestDelivery(orthancHandler, many);
      const config = parse({ url: gateway.url, timeout: fate === 'silence' ? '10s' : '30s' });
      for (const _ of [1, 2]) {
        expect((await delivery.attempt(config)).error).toMatchObject({ code: 'instance-failed', stage: 'transfer' });
        expect(delivery.pending.map(({ sopInstanceUid }) => sopInstanceUid)).toEqual([bad]);
      }
      expect((await delivery.attempt(config)).error).toBeUndefined();
      expect(delivery.ledger.get(bad)).toMatchObject({ kind: 'quarantined' });
    });

    it('an instance whose response did not arrive in time is asked for, and not sent again if it is there', async () => {
      const one = fixtureStudy({ seed: 'unanswered', series: 1, instancesPerSeries: 2 });
      let isSilent = true;
      let posts = 0;
      let stored = 0;
      using clock = stopClock();
      await using gateway = await startHttpServer(async ({ method, path, body }, response) => {
        if (path === '/system') return void response.end('{"ApiVersion":28,"Version":"1.12.7"}');
        if (method === 'POST') posts += 1;
        const answer = await fetch(`${plain.url}${path}`, {
          method,
          ...(method === 'POST' && { body: new Uint8Array(body) }),
        });
        if (method === 'POST') stored += 1;
        // The client waits for its own timeout.
        if (method === 'POST' && isSilent) return clock.pass(30_000);
        response.writeHead(answer.status).end(Buffer.from(await answer.arrayBuffer()));
      });
      const delivery = new TestDelivery(orthancHandler, one);
      const config = { url: gateway.url, maxParallel: 1, timeout: '30s' };
      expect((await delivery.attempt(parse(config))).error).toMatchObject({ code: 'instance-failed' });
      await waitFor(() => stored === posts);
      const sent = posts;
      expect(sent).toBeGreaterThan(0);
      isSilent = false;
      const next = await delivery.attempt(parse(config));
      expect(next.error).toBeUndefined();
      const answers = [...next.reported.values()].map((outcome) => outcome.kind === 'delivered' && outcome.answer);
      expect(answers.filter((answer) => String(answer).startsWith('there with the same content, ')).length).toBe(sent);
      expect(posts).toBe(one.instances.length);
    });

    it('an instance without a response is sent again if the target has other content, or none', async () => {
      const one = fixtureStudy({ seed: 'unanswered before', series: 1, instancesPerSeries: 1 });
      const delivery = new TestDelivery(orthancHandler, one);
      const { sourceId } = one.instances[0]!.manifest;
      delivery.state.set('orthanc-unanswered', [sourceId]);
      expect((await delivery.attempt(parse())).reported.size).toBe(1);
      const changed = fixtureStudy({
        seed: 'unanswered before',
        series: 1,
        instancesPerSeries: 1,
        attributes: { StudyDescription: 'other content' },
      });
      const other = new TestDelivery(orthancHandler, changed);
      other.state.set('orthanc-unanswered', [changed.instances[0]!.manifest.sourceId]);
      const [outcome] = (await other.attempt(parse())).reported.values();
      expect(outcome).toMatchObject({ kind: 'quarantined', error: { code: 'target-conflict' } });
    });

    it('an instance without a response is open at the source only once, also while it is compared or sent again', async () => {
      const shape = { seed: 'opened once', series: 1, instancesPerSeries: 1 };
      const changed = { ...shape, attributes: { StudyDescription: 'other content' } };
      await plain.upload(await bytesOf(fixtureStudy(shape), 0));
      for (const [study, opened, kind] of [
        [fixtureStudy(shape), 2, 'delivered'],
        [fixtureStudy(changed), undefined, 'quarantined'],
      ] as const) {
        const { sopInstanceUid, sourceId } = study.instances[0]!.manifest;
        const delivery = new TestDelivery(orthancHandler, study);
        delivery.state.set('orthanc-unanswered', [sourceId]);
        const attempt = await delivery.attempt(parse());
        expect(attempt.reported.get(sopInstanceUid)).toMatchObject({ kind });
        if (opened !== undefined) expect(attempt.opened.length).toBe(opened);
        expect(delivery.maxOpen).toBe(1);
        expect(delivery.openNow).toBe(0);
        expect(delivery.state.get('orthanc-unanswered')).toEqual([]);
      }
    });

    it.each([401, 403, 500, 'reset'] as const)(
      'an instance without a response is sent again if the question about it ends with %s; it is kept until an answer',
      async (fate) => {
        const one = fixtureStudy({ seed: `no question ${fate}`, series: 1, instancesPerSeries: 1 });
        let isDown = true;
        await using server = await startHttpServer(({ method, path, body }, response) => {
          if (path === '/system') return void response.end('{"ApiVersion":28,"Version":"1.12.7"}');
          if (method === 'POST' && isDown) return void response.writeHead(500).end();
          if (method === 'POST') return void response.end(`{"ID":"${ownId(one, body)}","Status":"Success"}`);
          if (fate === 'reset') return void response.socket?.resetAndDestroy();
          response.writeHead(fate).end();
        });
        const { sopInstanceUid, sourceId } = one.instances[0]!.manifest;
        const delivery = new TestDelivery(orthancHandler, one);
        delivery.state.set('orthanc-unanswered', [sourceId]);
        const config = parse({ url: server.url, verify: 'none' });
        expect((await delivery.attempt(config)).error).toMatchObject({ code: 'instance-failed' });
        expect(delivery.state.get('orthanc-unanswered')).toEqual([sourceId]);
        isDown = false;
        expect((await delivery.attempt(config)).error).toBeUndefined();
        expect(delivery.ledger.get(sopInstanceUid)).toMatchObject({
          kind: 'delivered',
          answer: expect.stringContaining('Success'),
        });
        expect(delivery.state.get('orthanc-unanswered')).toEqual([]);
        expect(delivery.maxOpen).toBe(1);
      },
    );

    it('a gateway whose Orthanc is down is waited for', async () => {
      for (const status of [502, 503, 504]) {
        await using server = await startHttpServer((_, response) => void response.writeHead(status).end());
        const { error } = await new TestDelivery(orthancHandler, study).attempt(parse({ url: server.url }));
        expect(error).toMatchObject({ code: 'target-unreachable', stage: 'connect', disposition: 'wait' });
      }
    });
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

  it('reports a server that is not an Orthanc', async () => {
    const url = `${plain.url}/app`;
    const attempt = await new TestDelivery(orthancHandler, fixtureStudy()).attempt(parse({ url }));
    expect(attempt.error).toMatchObject({ code: 'target-misconfigured', stage: 'connect' });
  });

  it('rejects unknown options, and URLs with a password', () => {
    expect(() => parse({ lane: 3 })).toThrow(/lane/);
    expect(() => parse({ url: 'http://ada:secret@host:8042' })).toThrow(/without user/);
    expect(() => parse({ auth: { type: 'basic', username: 'ada', password: 'plain' } })).toThrow(/secret/);
    expect(parse({ url: 'http://host:8042/' }).url).toBe('http://host:8042');
  });
});

describe('pulling from a newer Orthanc (simulated)', () => {
  const idOf = (digit: string) => Array(5).fill(digit.repeat(8)).join('-');
  /** Begins as a data set without a preamble. */
  const file = (uid: string, length = 100) => Buffer.concat([Buffer.of(8, 0), Buffer.alloc(length - 2, uid)]);
  const instance = (digit: string, more: object = {}) => ({
    ID: idOf(digit),
    Type: 'Instance',
    FileSize: 100,
    MainDicomTags: { SOPInstanceUID: `1.2.${digit}`, RequestAttributesSequence: [{}] },
    ...more,
  });
  const series = {
    ID: idOf('a'),
    Type: 'Series',
    // As in Orthanc 1.12, which has RequestAttributesSequence among its main tags.
    MainDicomTags: { SeriesInstanceUID: '1.2', Modality: 'CT', RequestAttributesSequence: [{ StepID: '1' }] },
    Instances: [idOf('1'), idOf('2')],
  };
  const studies = [
    { ID: 7, MainDicomTags: null },
    'no study',
    { ID: idOf('b'), MainDicomTags: { StudyInstanceUID: ['1', '2'] }, PatientMainDicomTags: {} },
    {
      ID: idOf('c'),
      MainDicomTags: { StudyInstanceUID: '1', StudyDescription: 7, ReferencedStudySequence: [] },
      PatientMainDicomTags: { PatientID: 'P', OtherPatientIDsSequence: [{}] },
    },
  ];

  async function standIn(instances: readonly unknown[], files: Readonly<Record<string, Buffer>> = {}) {
    const server = await startHttpServer(({ path, body }, response) => {
      if (path === '/tools/find') {
        const { Level: level } = JSON.parse(body.toString()) as { Level: string };
        return void response.end(JSON.stringify(level === 'Study' ? studies : [series, { ID: 'odd' }]));
      }
      if (path === `/series/${series.ID}/instances`) return void response.end(JSON.stringify(instances));
      const found = files[path.split('/')[2] ?? ''];
      if (!found) return void response.writeHead(404).end();
      response.writeHead(200, { 'content-type': 'application/dicom', connection: 'close' }).end(found);
    });
    const config = orthancTarget.parse({ type: 'orthanc', url: server.url });
    return { server, context: { config, targetName: 'archive', signal: new AbortController().signal } };
  }
  const { pull } = orthancHandler;
  if (!pull) throw new Error('the orthanc handler can be pulled from');

  it('finds studies with sequences among their tags, and is not stopped by odd answers', async () => {
    const { server, context } = await standIn([]);
    await using _server = server;
    expect(await Array.fromAsync(pull.find({}, context))).toEqual([
      {
        studyInstanceUid: '1',
        instanceCount: 2,
        tags: { PatientID: 'P', StudyInstanceUID: '1' },
        series: [{ seriesInstanceUid: '1.2', instanceCount: 2, tags: { SeriesInstanceUID: '1.2', Modality: 'CT' } }],
      },
    ]);
  });

  it('counts instances that the target does not name, or returns with another size, as failed and retrieves the rest', async () => {
    const nameless = instance('3', { MainDicomTags: { RequestAttributesSequence: [{}] } });
    const files = {
      [idOf('1')]: file('1'),
      [idOf('2')]: file('2', 99),
      [idOf('4')]: file('4', 101),
    };
    const odd = [instance('1'), instance('2'), nameless, { ID: '../../tools/reset' }, instance('4')];
    const { server, context } = await standIn(odd, files);
    await using _server = server;
    const kept: string[] = [];
    const last = await pull.retrieve(
      {
        studyInstanceUid: '1',
        has: () => false,
        store: async (uid, { body }) => {
          await Array.fromAsync(body);
          kept.push(uid);
        },
        progress: () => {},
      },
      context,
    );
    expect(last).toMatchObject({ completed: 1, failed: 4, remaining: 0 });
    expect(last.problems?.map(({ sopInstanceUid }) => sopInstanceUid).sort()).toEqual([
      '1.2.2',
      '1.2.4',
      undefined,
      undefined,
    ]);
    expect(kept).toEqual(['1.2.1']);
    expect(server.requests.some(({ path }) => path.includes('reset'))).toBe(false);
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
        // Called for each instance after the listing: then the target loses one.
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
    expect(last).toMatchObject({ completed: 1, failed: 1, remaining: 0 });
    expect(kept).toEqual([mr.instances[1]?.manifest.sopInstanceUid]);
  });
});

/** Orthanc's id of the instance in a file. */
function ownId({ tags, instances }: FixtureStudy, file: Buffer): string {
  const manifest = instances.find(({ manifest }) => file.includes(manifest.sopInstanceUid))?.manifest;
  const uids = [manifest?.studyInstanceUid, manifest?.seriesInstanceUid, manifest?.sopInstanceUid];
  const digest = createHash('sha1')
    .update([tags.study['PatientID'], ...uids].join('|'))
    .digest('hex');
  return digest.match(/.{8}/g)?.join('-') ?? '';
}

async function bytesOf(study: FixtureStudy, index: number): Promise<Buffer> {
  const instance = study.instances[index];
  return instance ? Buffer.concat(await Array.fromAsync(instance.read())) : Buffer.alloc(0);
}
