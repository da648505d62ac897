import { readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { startFaultProxy, startHttpServer, waitFor, type HttpStandIn } from '@dicom-dispatch/harness';
import { stopClock } from '@dicom-dispatch/harness/stop-clock';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { collect, noResource, present, startFilledOrthanc, type FilledOrthanc } from '../test/filled-orthanc.ts';
import { okAnswer, startScriptedServer } from '../test/scripted-server.ts';
import { createOrthancClient, OrthancError, type OrthancClient } from './index.ts';

let filled: FilledOrthanc;
beforeAll(async () => {
  filled = await startFilledOrthanc();
});
afterAll(async () => {
  await filled[Symbol.asyncDispose]();
});

async function failureOf(act: Promise<unknown>): Promise<OrthancError> {
  const error = await act.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(OrthancError);
  return error as OrthancError;
}

describe('what is not there', () => {
  it('is distinguished from a 404 of a proxy', async () => {
    const { client } = filled;
    expect((await failureOf(client.instanceFile(noResource))).isOrthancAnswer).toBe(true);
    // Orthanc responds with an empty 404, as a proxy could.
    expect(await failureOf(client.study(noResource))).toMatchObject({ code: 'not-found', isOrthancAnswer: false });
    expect(await client.studies.exists(noResource)).toBe(false);
    expect(await client.studies.exists(filled.studyId)).toBe(true);
    expect(await client.instances.exists(noResource)).toBe(false);
  });

  it.each([
    ['a page', { 'content-type': 'text/html' }, '<html>404 Not Found</html>'],
    ['plain text', {}, 'page not found'],
    ['nothing', {}, ''],
    ['JSON of its own', { 'content-type': 'application/json' }, '{"message":"no Route matched with those values"}'],
    ['the words of an Orthanc for another status', {}, '{"OrthancError":"x","OrthancStatus":17,"HttpStatus":500}'],
  ])('is not believed of a proxy that answers 404 with %s', async (_, headers, body) => {
    await using server = await startHttpServer((_, response) => void response.writeHead(404, headers).end(body));
    await using client = createOrthancClient({ url: server.url });
    for (const act of [
      () => client.studies.exists(noResource),
      () => client.instanceFile(noResource),
      () => client.study(noResource),
    ]) {
      expect(await failureOf(act())).toMatchObject({ code: 'not-found', status: 404, isOrthancAnswer: false });
    }
  });

  it('is not believed of a proxy that answers 200 with a page', async () => {
    await using server = await startHttpServer((_, response) => void response.end('<html>log in</html>'));
    await using client = createOrthancClient({ url: server.url });
    expect(await failureOf(client.studies.exists(noResource))).toMatchObject({ code: 'protocol', status: 200 });
  });
});

describe('an answer 200 that is not what is due', () => {
  const html = '<!doctype html><title>Sign in</title>';
  let server: HttpStandIn;
  let client: OrthancClient;
  beforeAll(async () => {
    server = await startHttpServer(() => {});
    client = createOrthancClient({ url: server.url, maxRetryAfterMs: 0 });
  });
  afterAll(async () => {
    await client.close();
    await server.stop();
  });

  const files: [string, () => Promise<unknown>][] = [
    ['file', async () => collect((await client.instanceFile(noResource)).body)],
    ['attachment', async () => collect((await client.instances.attachmentData(noResource, 'dicom')).body)],
    ['modify', async () => collect((await client.instances.modify(noResource, {})).body)],
    ['anonymise', async () => collect((await client.instances.anonymise(noResource)).body)],
  ];
  const lists: [string, () => Promise<unknown>][] = [
    ['system', () => client.system()],
    ['changes', () => client.changes()],
    ['study', () => client.study(noResource)],
    ['find', () => client.find({ level: 'studies', query: {} })],
  ];

  it.each([...files, ...lists])('%s: a page is a typed error', async (_, act) => {
    for (const type of ['text/html; charset=utf-8', 'text/plain']) {
      server.setHandler((_, response) => void response.writeHead(200, { 'content-type': type }).end(html));
      const error = await failureOf(act());
      expect(error).toMatchObject({ code: 'protocol', status: 200 });
      expect(error.message).toMatch(/not DICOM|not JSON/);
      expect(error.message).not.toContain('Sign in');
    }
  });

  it.each([...files, ...lists])('%s: nothing is a typed error, with a length and without', async (_, act) => {
    server.setHandler((_, response) => void response.writeHead(200, { 'content-length': '0' }).end());
    expect(await failureOf(act())).toMatchObject({ code: 'protocol' });
    server.setHandler((_, response) => void response.writeHead(200, { 'transfer-encoding': 'chunked' }).end());
    expect(await failureOf(act())).toMatchObject({ code: 'protocol' });
  });

  it.each(lists)('%s: JSON of something else is a typed error that quotes nothing', async (_, act) => {
    for (const body of ['{"status":"ok"}', '"Probe^Paula"', '7', '[{"ID":7}]']) {
      server.setHandler((_, response) => void response.end(body));
      const error = await failureOf(act());
      expect(error).toMatchObject({ code: 'protocol' });
      expect(error.message).not.toContain('Paula');
    }
  });

  it('an empty DICOM file of Orthanc itself means that it cannot write one', async () => {
    const file = await readFile(new URL('../../../test/fixtures/cases/tiny-htj2k.dcm', import.meta.url));
    const { ID } = await filled.client.uploadInstance(file);
    expect(await failureOf(filled.client.instances.transcode(present(ID), '1.2.840.10008.1.2.1'))).toMatchObject({
      code: 'unsupported',
    });
    expect((await collect((await filled.client.instanceFile(present(ID))).body)).equals(file)).toBe(true);
  });
});

describe('a body', () => {
  it('ends at its length, whatever the server sends afterwards', async () => {
    await using server = await startScriptedServer((socket) => {
      socket.write(okAnswer('x'.repeat(1000)));
      const more = setInterval(() => socket.write('y'.repeat(100_000)), 1);
      socket.once('close', () => clearInterval(more));
    });
    await using client = createOrthancClient({ url: server.url, maxJsonBytes: 2000 });
    const { body } = await client.instanceFile(noResource);
    expect((await collect(body)).toString()).toBe('x'.repeat(1000));
    expect(await failureOf(client.studies.ids())).toMatchObject({ code: 'protocol' });
  });

  it('that is announced without end does not block a call', async () => {
    await using server = await startScriptedServer((socket) => {
      const more = setInterval(() => socket.write('HTTP/1.1 102 Processing\r\n\r\n'), 1);
      socket.once('close', () => clearInterval(more));
    });
    await using client = createOrthancClient({ url: server.url });
    expect(await failureOf(client.instanceFile(noResource))).toMatchObject({ code: 'protocol' });
    expect(await failureOf(client.studies.ids())).toMatchObject({ code: 'protocol' });
  });

  it('of JSON is bounded where it never ends', async () => {
    await using server = await startHttpServer((_, response) => {
      response.write('["');
      const more = setInterval(() => response.write('z'.repeat(100_000)), 1);
      response.once('close', () => clearInterval(more));
    });
    await using client = createOrthancClient({ url: server.url, maxJsonBytes: 1_000_000 });
    expect(await failureOf(client.studies.ids())).toMatchObject({ code: 'too-large' });
  });

  it('that trickles is cut off, on either side, and one that is only slow is not', async () => {
    await using server = await startHttpServer((_, response) => {
      const trickle = setInterval(() => response.write(' '), 20);
      response.once('close', () => clearInterval(trickle));
    });
    const options = { timeoutMs: 60_000, minBytesPerSecond: 10_000 };
    const timeout = { code: 'timeout', message: expect.stringContaining('10000 bytes a second') };
    {
      using clock = stopClock(['performance']);
      await using client = createOrthancClient({ url: server.url, ...options });
      const calling = client.statistics();
      await waitFor(() => server.requests.length === 1);
      expect(await failureOf(clock.passUntil(calling, 1000))).toMatchObject(timeout);
    }
    // Half a second for each 5,000 bytes, for longer than the timeout; and for each byte.
    for (const [bytes, isSlow] of [
      [5000, false],
      [1, true],
    ] as const) {
      let peer: Socket | undefined;
      await using scripted = await startScriptedServer((socket) => {
        peer = socket;
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n');
      });
      using clock = stopClock();
      await using client = createOrthancClient({ url: scripted.url, ...options });
      const { body } = await client.instanceFile(noResource);
      const collecting = collect(body);
      const ended = Promise.allSettled([collecting]);
      for (let sent = 0; sent < 200; sent += 1) {
        peer?.write(Buffer.alloc(bytes));
        await clock.pass(500);
      }
      if (isSlow) expect(await failureOf(collecting)).toMatchObject(timeout);
      else expect((await collecting).length).toBe(1_000_000);
      await ended;
    }
  });

  const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
  it.each<[string, string, string]>([
    ['in the value of a header field', 'HTTP/1.1 200 OK\r\nX-A: ', 'x'],
    ['in header fields', 'HTTP/1.1 200 OK\r\n', 'X-A: b\r\n'],
    ['in its status line', 'HTTP/1.1 200', ' '],
    ['in the line of a chunk', `${chunked}1;`, 'y'],
    ['in chunks of one byte', chunked, '1\r\n \r\n'],
    ['in its trailer', `${chunked}2\r\n[]\r\n0\r\n`, 'X-B: y\r\n'],
    ['until the connection ends', 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n', ' '],
  ])('that trickles %s is cut off', async (_where, begin, piece) => {
    await using server = await startScriptedServer((socket) => {
      socket.write(begin);
      const more = setInterval(() => socket.write(piece), 50);
      socket.once('close', () => clearInterval(more));
    });
    await using client = createOrthancClient({ url: server.url, timeoutMs: 500, minBytesPerSecond: 10_000 });
    const calls = [client.studies.ids(), client.instanceFile(noResource).then(({ body }) => collect(body))];
    for (const failure of await Promise.all(calls.map(failureOf))) expect(failure).toMatchObject({ code: 'timeout' });
  });

  it('that is read slowly by us is not cut off', async () => {
    const size = 10_000_000;
    let peer: Socket | undefined;
    await using server = await startScriptedServer((socket) => {
      peer = socket;
      socket.write(okAnswer(Buffer.alloc(size, 1)));
    });
    using clock = stopClock();
    await using client = createOrthancClient({
      url: server.url,
      timeoutMs: 500,
      minBytesPerSecond: 100_000,
      wholeBytes: 0,
      maxBufferedBytes: 65_536,
    });
    const { body } = await client.instanceFile(noResource);
    let read = 0;
    let pauses = 0;
    for await (const chunk of body) {
      read += chunk.length;
      if (pauses < 3) {
        // Until nothing can be received before we read on.
        for (let left = -1; peer?.writableLength !== left;) {
          left = peer?.writableLength ?? -1;
          for (let turn = 0; turn < 20; turn += 1) await clock.pass(0);
        }
        await clock.pass(700);
      }
      pauses += 1;
    }
    expect(read).toBe(size);
  });
});

describe('an upload', () => {
  it('that the server reads very slowly is aborted', async () => {
    await using proxy = await startFaultProxy({ port: filled.server.httpPort, bytesPerSecond: 20_000 });
    await using client = createOrthancClient({
      url: `http://127.0.0.1:${proxy.port}`,
      timeoutMs: 400,
      minBytesPerSecond: 5_000_000,
    });
    async function* body() {
      for (let count = 0; count < 400; count += 1) yield Buffer.alloc(20_000, 1);
    }
    expect(await failureOf(client.uploadInstance(body))).toMatchObject({ code: 'timeout' });
  });
});

describe('a study whose list is long', () => {
  it('is read in pages; one instance with odd values does not cost the others', async () => {
    const count = 30_000;
    const idOf = (number: number) => noResource.replace('00000000', number.toString(16).padStart(8, '0'));
    const series = {
      ID: idOf(0),
      Type: 'Series',
      ParentStudy: noResource,
      MainDicomTags: { SeriesInstanceUID: '1.2' },
    };
    const ids = Array.from({ length: count }, (_, index) => idOf(index + 1));
    const indexes = new Map(ids.map((id, index) => [id, index]));
    const instanceOf = (id: string, index: number) => ({
      ID: id,
      Type: 'Instance',
      FileSize: 1000,
      ParentSeries: series.ID,
      // As in responses of 1.12; some are sequences.
      MainDicomTags: {
        SOPInstanceUID: `1.2.${index}`,
        ImageComments: 'x'.repeat(300),
        RequestAttributesSequence: [{}],
      },
      Metadata: { SopClassUid: '1.2.840', TransferSyntax: '1.2.840.10008.1.2.1', RemoteAET: null, Nested: {} },
    });
    const asked: number[] = [];
    await using server = await startHttpServer((request, response) => {
      if (request.path === '/system') return void response.end('{"Version":"1.12.7","ApiVersion":28}');
      if (request.method === 'GET') return void response.end(JSON.stringify([{ ...series, Instances: ids }]));
      const { Resources: resources } = JSON.parse(request.body.toString()) as { Resources: string[] };
      const wanted = resources[0] === noResource ? ids : resources;
      asked.push(resources.length);
      response.end(JSON.stringify(wanted.map((id) => instanceOf(id, indexes.get(id) ?? -1))));
    });
    await using client = createOrthancClient({ url: server.url });
    const listed = await client.studyInstances(noResource);
    expect(new Set(listed.map(({ sopInstanceUid }) => sopInstanceUid)).size).toBe(count);
    expect(asked).toEqual([1, ...Array(6).fill(5000)]);
    expect(listed[0]).toMatchObject({ seriesInstanceUid: '1.2', remoteAet: undefined, sopClassUid: '1.2.840' });
  });
});

describe('a cache that mixes answers up', () => {
  const studies = ['a', 'b'].map((digit) => Array(5).fill(digit.repeat(8)).join('-')) as [string, string];

  it('is detected: the response is about another study', async () => {
    const other = await startFilledOrthanc();
    await using _ = other;
    const { studyId } = other;
    await using server = await startHttpServer((request, response) => {
      const path = request.path.replace(studies[0], studyId);
      void fetch(`${other.server.url}${path}?${request.query.toString()}`, {
        method: request.method,
        ...(request.method === 'POST' && { body: request.body.toString().replace(studies[0], studyId) }),
      })
        .then(async (answer) => response.writeHead(answer.status).end(await answer.text()))
        .catch(() => response.destroy());
    });
    await using client = createOrthancClient({ url: server.url });
    for (const act of [
      () => client.study(studies[0]),
      () => client.studyTags(studies[0]),
      () => client.studyInstances(studies[0]),
    ]) {
      expect(await failureOf(act())).toMatchObject({
        code: 'protocol',
        message: expect.stringContaining('another resource'),
      });
    }
  });

  it('an incomplete list is not treated as the study', async () => {
    const { client: direct, server: orthanc, studyId } = filled;
    const all = await direct.studyInstances(studyId);
    await using server = await startHttpServer((request, response) => {
      const { path, method, body } = request;
      void fetch(`${orthanc.url}${path}?${request.query.toString()}`, {
        method,
        ...(method === 'POST' && { body: body.toString() }),
      })
        .then(async (answer) => {
          const text = await answer.text();
          const isList = path === '/tools/bulk-content';
          response.end(isList ? JSON.stringify((JSON.parse(text) as unknown[]).slice(1)) : text);
        })
        .catch(() => response.destroy());
    });
    await using client = createOrthancClient({ url: server.url });
    expect(all.length).toBeGreaterThan(1);
    expect(await failureOf(client.studyInstances(studyId))).toMatchObject({ code: 'conflict' });
  });
});
