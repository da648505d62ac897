import { makeCertificates, startFaultProxy, startHttpServer, startOrthanc, waitFor } from '@dicom-dispatch/harness';
import type { FaultProxy } from '@dicom-dispatch/harness';
import { Readable } from 'node:stream';
import { makeStudy } from '@dicom-dispatch/samples';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { collect, noResource, present, startFilledOrthanc } from '../test/filled-orthanc.ts';
import type { FilledOrthanc } from '../test/filled-orthanc.ts';
import { createOrthancClient, OrthancError } from './index.ts';
import type { OrthancClient } from './index.ts';

let filled: FilledOrthanc;
let proxy: FaultProxy;
let client: OrthancClient;
let instanceId: string;
let url: string;

const users = { anna: 'geheim' };

beforeAll(async () => {
  filled = await startFilledOrthanc({ users });
  proxy = await startFaultProxy({ port: filled.server.httpPort });
  url = `http://127.0.0.1:${proxy.port}`;
  client = createOrthancClient({ url, username: 'anna', password: 'geheim' });
  instanceId = present([...filled.instanceIds.values()][0]);
  await client.system();
});

afterEach(async () => {
  await proxy.heal();
});

afterAll(async () => {
  await client.close();
  await proxy.stop();
  await filled[Symbol.asyncDispose]();
});

/** One call for each way to the server. */
const ways: [string, (client: OrthancClient, signal?: AbortSignal) => Promise<unknown>][] = [
  ['json', (client, signal) => client.statistics({ signal })],
  ['file', async (client, signal) => collect((await client.instanceFile(instanceId, { signal })).body)],
  ['stream', async (client, signal) => collect((await client.studies.archive(filled.studyId, { signal })).body)],
  ['post', (client, signal) => client.findIds({ level: 'studies', query: {} }, { signal })],
];

describe.each(ways)('%s', (_, act) => {
  it('reports wrong credentials without showing them', async () => {
    for (const login of [{ username: 'anna', password: 'falsch' }, {}]) {
      await using stranger = createOrthancClient({ url: filled.server.url, ...login });
      const error = (await act(stranger).catch((error: unknown) => error)) as OrthancError;
      expect(error).toBeInstanceOf(OrthancError);
      expect(error).toMatchObject({ code: 'unauthorized', status: 401, path: expect.stringMatching(/^\/\w/) });
      expect(JSON.stringify(error) + error.message).not.toContain('falsch');
    }
  });

  it('reports that the server is unreachable', async () => {
    await proxy.set({ refuse: true });
    proxy.cut();
    await expect(act(client)).rejects.toMatchObject({ code: 'unreachable', message: expect.stringContaining('url') });
    await proxy.heal();
    await act(client);
  });

  it('reports a reset after one retry', async () => {
    await proxy.set({ resetAfterBytesDown: 0 });
    await using fresh = createOrthancClient({ url, username: 'anna', password: users.anna });
    const before = proxy.counters().connections;
    await expect(act(fresh)).rejects.toMatchObject({ code: 'reset' });
    expect(proxy.counters().connections - before).toBe(2);
  });

  it('survives that all its connections are cut between two calls', async () => {
    await Promise.all([act(client), act(client), act(client)]);
    proxy.cut();
    await act(client);
  });

  it('times out with a server that does not respond', async () => {
    await proxy.set({ blackHole: true });
    await using impatient = createOrthancClient({ url, username: 'anna', password: users.anna, timeoutMs: 200 });
    await expect(act(impatient)).rejects.toMatchObject({ code: 'timeout' });
  });

  it('waits for a slow server that continues', async () => {
    await proxy.set({ latencyMs: 100 });
    await act(client);
  });

  it('is cancelled', async () => {
    await proxy.set({ blackHole: true });
    proxy.cut();
    const controller = new AbortController();
    const before = proxy.counters().connections;
    const calling = act(client, controller.signal);
    await waitFor(() => proxy.counters().connections > before);
    controller.abort(new Error('the reason is ours'));
    await expect(calling).rejects.toMatchObject({ code: 'cancelled', cause: { message: 'the reason is ours' } });
    await expect(act(client, AbortSignal.abort())).rejects.toMatchObject({ code: 'cancelled' });
    await expect(act(client, AbortSignal.timeout(10))).rejects.toMatchObject({ code: 'timeout' });
  });

  it('is over after close()', async () => {
    const closed = createOrthancClient({ url: filled.server.url, username: 'anna', password: 'geheim' });
    await act(closed);
    await closed.close();
    await expect(act(closed)).rejects.toMatchObject({ code: 'cancelled' });
  });
});

describe('bodies that break off in the middle', () => {
  it('fail, also if the server announces no length', async () => {
    await proxy.set({ resetAfterBytesDown: 6000 });
    proxy.cut();
    const file = await client.instanceFile(instanceId);
    await expect(collect(file.body)).rejects.toMatchObject({ code: 'reset', path: expect.stringContaining('/file') });
    proxy.cut();
    const archive = await client.studies.archive(filled.studyId);
    expect(archive.sizeBytes).toBeUndefined();
    await expect(collect(archive.body)).rejects.toMatchObject({ code: 'reset' });
  });

  it('of an archive fail if the end of the connection looks like the end of the file', async () => {
    const whole = await collect((await client.studies.archive(filled.studyId)).body);
    await using server = await startHttpServer((_, response) => {
      response.writeHead(200, { connection: 'close', 'content-type': 'application/zip' });
      response.useChunkedEncodingByDefault = false;
      response.end(whole.subarray(0, -30));
    });
    await using reader = createOrthancClient({ url: server.url });
    const archive = await reader.studies.archive(noResource);
    await expect(collect(archive.body)).rejects.toMatchObject({
      code: 'reset',
      message: expect.stringMatching(/is incomplete/),
    });
    server.setHandler((_, response) => void response.writeHead(200, { connection: 'close' }).end(whole));
    expect((await collect((await reader.studies.archive(noResource)).body)).equals(whole)).toBe(true);
  });
});

describe('connections that are cut at any moment', () => {
  it('lose no call, and never change a byte', async () => {
    const files = filled.instances.map(({ sopInstanceUid, bytes }) => ({
      id: present(filled.instanceIds.get(sopInstanceUid)),
      bytes,
    }));
    await proxy.set({ bytesPerSecond: 2_000_000 });
    let cuts = 0;
    let whole = 0;
    let failed = 0;
    const cutting = setInterval(() => {
      cuts += 1;
      proxy.cut();
    }, 7);
    async function work(worker: number): Promise<void> {
      for (let round = 0; round < 40; round += 1) {
        const { id, bytes } = present(files[(worker + round) % files.length]);
        try {
          const file = await client.instanceFile(id);
          const chunks: Buffer[] = [];
          for await (const chunk of file.body) {
            chunks.push(Buffer.from(chunk));
            file.release(chunk);
          }
          expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
          whole += 1;
        } catch (error) {
          expect(error).toMatchObject({ name: 'OrthancError', code: 'reset' });
          failed += 1;
        }
      }
    }
    try {
      await Promise.all(Array.from({ length: 10 }, (_, worker) => work(worker)));
    } finally {
      clearInterval(cutting);
    }
    expect(whole + failed).toBe(400);
    expect(cuts).toBeGreaterThan(10);
    expect(whole).toBeGreaterThan(0);
    await proxy.heal();
    await work(0);
  });
});

describe('what must not be done twice', () => {
  it('is not repeated after a reset, but finds a connection though the kept ones are dead', async () => {
    await client.statistics();
    proxy.cut();
    const result = await client.studies.modify(filled.studyId, { Replace: { StudyDescription: 'once' } });
    await client.studies.delete(result.ID);
    await proxy.set({ resetAfterBytesDown: 0 });
    proxy.cut();
    const before = proxy.counters().connections;
    const modifying = client.studies.modify(filled.studyId, { Replace: { StudyDescription: 'once' } });
    await expect(modifying).rejects.toMatchObject({ code: 'reset' });
    expect(proxy.counters().connections - before).toBe(1);
  });

  it('an upload is repeated when its body can be had again, and not when it cannot', async () => {
    const bytes = present(filled.instances[0]).bytes;
    await proxy.set({ resetAfterBytesUp: 2000 });
    for (const [body, attempts] of [
      [bytes, 2],
      [() => Readable.from([bytes]), 2],
      [Readable.from([bytes]), 1],
    ] as const) {
      await using fresh = createOrthancClient({ url, username: 'anna', password: users.anna });
      const before = proxy.counters().connections;
      await expect(fresh.uploadInstance(body)).rejects.toMatchObject({ code: 'reset' });
      expect(proxy.counters().connections - before).toBe(attempts);
    }
  });

  it('an upload with a failing source reports this, and leaves nothing incomplete', async () => {
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('abc');
      throw new Error('disk gone');
    }
    const count = (await filled.client.statistics()).CountInstances;
    await expect(filled.client.uploadInstance(broken())).rejects.toMatchObject({ name: 'OrthancError' });
    expect((await filled.client.statistics()).CountInstances).toBe(count);
  });
});

describe('answers', () => {
  it.each([
    { what: 'no JSON', body: '<html>', code: 'protocol' },
    { what: 'JSON of another kind', body: '{"CountPatients":"many"}', code: 'protocol' },
    { what: 'more than is allowed', body: `"${'x'.repeat(2000)}"`, code: 'too-large' },
  ])('that are $what are told as $code', async ({ body, code }) => {
    await using server = await startHttpServer((_, response) => void response.end(body));
    await using reader = createOrthancClient({ url: server.url, maxJsonBytes: 1000 });
    const error = (await reader.statistics().catch((error: unknown) => error)) as OrthancError;
    expect(error).toMatchObject({ code, path: '/statistics' });
    // Received data may be about a patient.
    expect(`${error.message} ${String(error.cause)}`).not.toMatch(/html|many|xxx/);
  });

  it.each([
    [400, 'bad-request'],
    [403, 'forbidden'],
    [405, 'bad-request'],
    [412, 'conflict'],
    [413, 'too-large'],
    [415, 'bad-request'],
    [429, 'busy'],
    [500, 'server-error'],
    [503, 'busy'],
    [507, 'server-error'],
  ] as const)('%i is %s', async (status, code) => {
    const body = { Message: 'What Orthanc says', Details: 'about Doe^John', OrthancStatus: 3 };
    await using server = await startHttpServer(
      (_, response) => void response.writeHead(status).end(JSON.stringify(body)),
    );
    await using reader = createOrthancClient({ url: server.url });
    const error = (await reader.lookup('Doe^John').catch((error: unknown) => error)) as OrthancError;
    expect(error).toMatchObject({ code, status, orthancStatus: 3, method: 'POST', path: '/tools/lookup' });
    expect(error.message).toContain('What Orthanc says');
    expect(error.details).toBe('about Doe^John');
    expect(JSON.stringify({ ...error, message: error.message, stack: error.stack })).not.toContain('Doe^John');
  });

  it('503 with Retry-After are waited for by reads, and by reads only', async () => {
    let busy = 0;
    await using server = await startHttpServer((_, response) => {
      busy += 1;
      if (busy <= 2) response.writeHead(503, { 'retry-after': '0' }).end();
      else response.end('[]');
    });
    await using reader = createOrthancClient({ url: server.url });
    expect(await reader.lookup('x')).toEqual([]);
    busy = 0;
    await expect(reader.studies.modify(noResource, {})).rejects.toMatchObject({ code: 'busy', retryAfterMs: 0 });
  });

  it('with a query in the path do not carry it into the error', async () => {
    await using server = await startHttpServer((_, response) => void response.writeHead(500).end());
    await using reader = createOrthancClient({ url: server.url });
    const error = (await reader.studies.list({ since: 1, limit: 2 }).catch((error: unknown) => error)) as OrthancError;
    expect(error).toMatchObject({ path: '/studies', message: expect.not.stringContaining('since') });
  });
});

describe('TLS', () => {
  it('is checked, with client certificates too', async () => {
    const { ca, server: identity, client: own, otherCa, otherClient } = await makeCertificates();
    await using server = await startOrthanc({ tls: { key: identity.key, cert: identity.cert, ca: ca.cert } });
    // Large enough for several reads into several blocks.
    const [large] = makeStudy({ modality: 'OT', instancesPerSeries: 1, rows: 1024, columns: 1024, frames: 3 });
    const { bytes } = present(large);
    await using trusting = createOrthancClient({ url: server.url, tls: { ca: ca.cert } });
    const { ID } = await trusting.uploadInstance(bytes);
    for (let round = 0; round < 3; round += 1) {
      expect((await collect((await trusting.instanceFile(present(ID))).body)).equals(bytes)).toBe(true);
    }
    for (const tls of [{}, { ca: otherCa.cert }, { ca: ca.cert, servername: 'elsewhere.example' }]) {
      await using wary = createOrthancClient({ url: server.url, tls });
      await expect(wary.system()).rejects.toMatchObject({ code: 'tls', message: expect.stringContaining('tls.ca') });
      await expect(wary.instanceFile(present(ID))).rejects.toMatchObject({ code: 'tls' });
    }
    await using plain = createOrthancClient({ url: server.url.replace('https', 'http') });
    await expect(plain.instanceFile(present(ID))).rejects.toMatchObject({ name: 'OrthancError' });

    await using strict = await startHttpServer((request, response) => void response.end(`"${request.clientName}"`), {
      tls: { key: identity.key, cert: identity.cert, ca: ca.cert, requestClientCertificate: 'required' },
    });
    await using known = createOrthancClient({ url: strict.url, tls: { ca: ca.cert, key: own.key, cert: own.cert } });
    expect((await collect((await known.instanceFile(noResource)).body)).toString()).toBe('"client"');
    const stranger = { ca: ca.cert, key: otherClient.key, cert: otherClient.cert };
    await using unknown = createOrthancClient({ url: strict.url, tls: stranger });
    await expect(unknown.instanceFile(noResource)).rejects.toMatchObject({ name: 'OrthancError' });
    await expect(unknown.system()).rejects.toMatchObject({ name: 'OrthancError' });
  });

  it('towards a server without it fails as such', async () => {
    const url = filled.server.url.replace('http', 'https');
    await using wrong = createOrthancClient({ url });
    await expect(wrong.system()).rejects.toMatchObject({ code: 'tls' });
    await expect(wrong.instanceFile(noResource)).rejects.toMatchObject({ code: 'tls' });
  });
});
