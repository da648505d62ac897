import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';

import { waitFor } from '@dicom-dispatch/harness';
import { stopClock } from '@dicom-dispatch/harness/stop-clock';
import { describe, expect, it } from 'vitest';

import { collect, noResource } from '../../test/filled-orthanc.ts';
import { okAnswer, startScriptedServer } from '../../test/scripted-server.ts';
import { createOrthancClient } from '../index.ts';

const chunkedHead = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';

describe('bodies', () => {
  it.each([
    { bytes: 1, chunks: 1 },
    { bytes: 100_000, chunks: 1 },
    { bytes: 1024 * 1024, chunks: 1 },
    { bytes: 1024 * 1024 + 1, chunks: 5 },
    { bytes: 9_000_001, chunks: 35 },
  ])('of $bytes bytes come whole, in $chunks chunks', async ({ bytes, chunks }) => {
    const content = randomBytes(bytes);
    await using server = await startScriptedServer((socket) => socket.write(okAnswer(content)));
    await using client = createOrthancClient({ url: server.url });
    const file = await client.instanceFile(noResource);
    const parts: Uint8Array[] = [];
    for await (const chunk of file.body) parts.push(chunk);
    expect(file.sizeBytes).toBe(bytes);
    expect(parts.length).toBe(chunks);
    expect(Buffer.concat(parts).equals(content)).toBe(true);
  });

  it('arrive complete in pieces of any size, by length or chunked', async () => {
    const content = randomBytes(300);
    const half = content.subarray(0, 150);
    const answers = [
      okAnswer(content),
      Buffer.concat([
        Buffer.from(`${chunkedHead}96\r\n`),
        half,
        Buffer.from('\r\n96\r\n'),
        content.subarray(150),
        Buffer.from('\r\n0\r\n\r\n'),
      ]),
      Buffer.concat([Buffer.from('HTTP/1.1 100 Continue\r\n\r\n'), okAnswer(content)]),
    ];
    let asked = 0;
    await using server = await startScriptedServer((socket) => {
      const answer = answers[asked % answers.length] as Buffer;
      const pieceBytes = 1 + Math.floor(asked / answers.length) * 7;
      asked += 1;
      void (async () => {
        for (let at = 0; at < answer.length; at += pieceBytes) {
          socket.write(answer.subarray(at, at + pieceBytes));
          await new Promise(setImmediate);
        }
      })();
    });
    await using client = createOrthancClient({ url: server.url });
    for (let round = 0; round < 30; round += 1) {
      expect((await collect((await client.instanceFile(noResource)).body)).equals(content)).toBe(true);
    }
    expect(server.connections()).toBe(1);
  });

  it('end with the connection if the server announces no length', async () => {
    const content = randomBytes(200_000);
    await using server = await startScriptedServer((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n');
      socket.end(content);
    });
    await using client = createOrthancClient({ url: server.url });
    const file = await client.instanceFile(noResource);
    expect(file.sizeBytes).toBeUndefined();
    expect((await collect(file.body)).equals(content)).toBe(true);
  });

  it.each([
    { how: 'by length', answer: 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc' },
    { how: 'in chunks', answer: `${chunkedHead}3\r\nabc\r\n` },
  ])('that break off fail, $how', async ({ answer }) => {
    await using server = await startScriptedServer((socket) => socket.end(answer));
    await using client = createOrthancClient({ url: server.url });
    const file = await client.instanceFile(noResource);
    await expect(collect(file.body)).rejects.toMatchObject({ code: 'reset', path: `/instances/${noResource}/file` });
  });

  it('may be kept: chunks are not overwritten unless released', async () => {
    let asked = 0;
    await using server = await startScriptedServer((socket) => {
      asked += 1;
      socket.write(okAnswer(Buffer.alloc(50_000, asked)));
    });
    await using client = createOrthancClient({ url: server.url });
    const kept = [];
    for (let round = 0; round < 20; round += 1) kept.push(await collect((await client.instanceFile(noResource)).body));
    kept.forEach((bytes, index) => expect(bytes.equals(Buffer.alloc(50_000, index + 1))).toBe(true));
  });

  it('reuse released memory', async () => {
    await using server = await startScriptedServer((socket) => socket.write(okAnswer(Buffer.alloc(50_000))));
    await using client = createOrthancClient({ url: server.url });
    const memories = new Set<ArrayBufferLike>();
    for (let round = 0; round < 20; round += 1) {
      const file = await client.instanceFile(noResource);
      for await (const chunk of file.body) {
        memories.add(chunk.buffer);
        file.release(chunk);
      }
    }
    expect(memories.size).toBe(1);
  });
});

describe('back-pressure', () => {
  it('buffers at most the limit for a reader that does not read, and continues when it does', async () => {
    const pieces = 64;
    const piece = Buffer.alloc(1024 * 1024, 7);
    let peer: Socket | undefined;
    await using server = await startScriptedServer((socket) => {
      peer = socket;
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${pieces * piece.length}\r\n\r\n`);
      for (let index = 0; index < pieces; index += 1) socket.write(piece);
    });
    const timeoutMs = 500;
    using clock = stopClock();
    await using client = createOrthancClient({ url: server.url, maxBufferedBytes: piece.length, timeoutMs });
    const { body } = await client.instanceFile(noResource);
    await body.next();
    // Until the server can send nothing, and then for twice the timeout: a reader's slowness is no silence of the server.
    let left = -1;
    for (let same = 0; same < 20; same += 1) {
      if (peer?.writableLength !== left) same = 0;
      left = peer?.writableLength ?? -1;
      await clock.pass(0);
    }
    await clock.pass(2 * timeoutMs);
    expect(peer?.writableLength).toBe(left);
    // Data that have left the server are in the kernel's buffers and in ours: much less than the body.
    expect(left).toBeGreaterThan((pieces / 2) * piece.length);
    let rest = 0;
    for await (const chunk of body) rest += chunk.length;
    expect(rest).toBe(pieces * piece.length - 256 * 1024);
  });
});

describe('connections', () => {
  it('are reused, and at most the allowed number in parallel', async () => {
    await using server = await startScriptedServer((socket) => setImmediate(() => socket.write(okAnswer('hello'))));
    await using client = createOrthancClient({ url: server.url, maxConnections: 3 });
    const read = async () => (await collect((await client.instanceFile(noResource)).body)).toString();
    const all = await Promise.all(Array.from({ length: 50 }, read));
    expect(all).toEqual(Array.from({ length: 50 }, () => 'hello'));
    expect(server.connections()).toBe(3);
  });

  it('that the server has closed meanwhile are replaced silently', async () => {
    await using server = await startScriptedServer((socket, request) => {
      // The second request on each connection finds it closed, before any byte of a response.
      if (request === 0) socket.write(okAnswer('hello', 'Keep-Alive: timeout=100'));
      else socket.destroy();
    });
    await using client = createOrthancClient({ url: server.url });
    for (let round = 0; round < 5; round += 1) {
      expect((await collect((await client.instanceFile(noResource)).body)).toString()).toBe('hello');
    }
    expect(server.connections()).toBe(5);
  });

  it('are not kept longer than the server keeps them', async () => {
    await using server = await startScriptedServer((socket) =>
      socket.write(okAnswer('hello', 'Keep-Alive: timeout=0')),
    );
    await using client = createOrthancClient({ url: server.url });
    await collect((await client.instanceFile(noResource)).body);
    await collect((await client.instanceFile(noResource)).body);
    expect(server.connections()).toBe(2);
  });

  it('are closed when the server sends unexpected data', async () => {
    await using server = await startScriptedServer((socket) => {
      socket.write(Buffer.concat([okAnswer('hello', 'Keep-Alive: timeout=100'), okAnswer('again')]));
    });
    await using client = createOrthancClient({ url: server.url });
    expect((await collect((await client.instanceFile(noResource)).body)).toString()).toBe('hello');
    expect((await collect((await client.instanceFile(noResource)).body)).toString()).toBe('hello');
    expect(server.connections()).toBe(2);
  });

  it('that break twice before an answer fail the call', async () => {
    await using server = await startScriptedServer((socket) => socket.resetAndDestroy());
    await using client = createOrthancClient({ url: server.url });
    await expect(client.instanceFile(noResource)).rejects.toMatchObject({ code: 'reset' });
    expect(server.connections()).toBe(2);
  });

  it('are free again when a reader leaves early', async () => {
    await using server = await startScriptedServer((socket, _, connection) => {
      socket.write(connection === 0 ? 'HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\nabc' : okAnswer('hello'));
    });
    await using client = createOrthancClient({ url: server.url, maxConnections: 1 });
    const { body } = await client.instanceFile(noResource);
    await body.return?.();
    expect((await collect((await client.instanceFile(noResource)).body)).toString()).toBe('hello');
  });
});

describe('answers', () => {
  it.each([
    { what: 'that are no HTTP', bytes: 'SSH-2.0-OpenSSH_9.2\r\n\r\n', code: 'protocol' },
    { what: 'with an endless head', bytes: `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(70_000)}`, code: 'protocol' },
    { what: 'in an encoding', bytes: 'HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n', code: 'protocol' },
    { what: '500', bytes: 'HTTP/1.1 500 X\r\nContent-Length: 3\r\n\r\nabc', code: 'server-error' },
    { what: '403', bytes: 'HTTP/1.1 403 X\r\nContent-Length: 0\r\n\r\n', code: 'forbidden' },
    { what: '302', bytes: 'HTTP/1.1 302 X\r\nContent-Length: 0\r\n\r\n', code: 'bad-request' },
  ])('$what are told as $code', async ({ bytes, code }) => {
    await using server = await startScriptedServer((socket) => socket.write(bytes));
    await using client = createOrthancClient({ url: server.url });
    await expect(client.instanceFile(noResource)).rejects.toMatchObject({ name: 'OrthancError', code, method: 'GET' });
  });

  it('503 with Retry-After are waited for, when that is soon', async () => {
    await using server = await startScriptedServer((socket, request) => {
      socket.write(
        request < 2 ? 'HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n' : okAnswer('hello'),
      );
    });
    await using client = createOrthancClient({ url: server.url });
    expect((await collect((await client.instanceFile(noResource)).body)).toString()).toBe('hello');
    expect(server.requests.length).toBe(3);
  });

  it('503 are waited for a limited time', async () => {
    let retryAfter = '3600';
    await using server = await startScriptedServer((socket) => {
      socket.write(`HTTP/1.1 503 Busy\r\nRetry-After: ${retryAfter}\r\nContent-Length: 0\r\n\r\n`);
    });
    await using client = createOrthancClient({ url: server.url });
    await expect(client.instanceFile(noResource)).rejects.toMatchObject({ code: 'busy', retryAfterMs: 3_600_000 });
    expect(server.requests.length).toBe(1);
    retryAfter = '0';
    await expect(client.instanceFile(noResource)).rejects.toMatchObject({ code: 'busy', status: 503 });
    expect(server.requests.length).toBe(5);
  });
});

describe('patience', () => {
  it('ends if there is no response', async () => {
    await using server = await startScriptedServer(() => undefined);
    await using client = createOrthancClient({ url: server.url, timeoutMs: 100 });
    await expect(client.instanceFile(noResource)).rejects.toMatchObject({ code: 'timeout' });
  });

  it('can be shorter for one call', async () => {
    await using server = await startScriptedServer(() => undefined);
    await using client = createOrthancClient({ url: server.url, timeoutMs: 300_000 });
    await expect(client.instanceFile(noResource, { timeoutMs: 50 })).rejects.toMatchObject({
      code: 'timeout',
      message: expect.stringContaining('50 ms'),
    });
  });

  it('is longer for a file that Orthanc reads completely before it responds, until the response begins', async () => {
    await using silent = await startScriptedServer(() => undefined);
    await using client = createOrthancClient({ url: silent.url, timeoutMs: 50 });
    await expect(client.instanceFile(noResource, { preparationMs: 100 })).rejects.toMatchObject({
      code: 'timeout',
      message: expect.stringContaining('within 150 ms'),
    });
    await using stopping = await startScriptedServer((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc');
    });
    await using other = createOrthancClient({ url: stopping.url, timeoutMs: 50, minBytesPerSecond: 0 });
    const { body } = await other.instanceFile(noResource, { preparationMs: 300_000 });
    await expect(collect(body)).rejects.toMatchObject({ message: expect.stringContaining('within 50 ms') });
  });

  it('is longer for what Orthanc makes of an instance', async () => {
    await using server = await startScriptedServer((socket) => {
      // undici checks its limits about once a second.
      setTimeout(() => socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n'), 3_000);
    });
    await using client = createOrthancClient({ url: server.url, timeoutMs: 50 });
    const options = { preparationMs: 600_000 };
    await expect(client.instances.modify(noResource, {}, options)).rejects.toMatchObject({ code: 'not-found' });
  });

  it('ends when a body stops coming', async () => {
    await using server = await startScriptedServer((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc');
    });
    using clock = stopClock();
    await using client = createOrthancClient({ url: server.url, timeoutMs: 100 });
    const { body } = await client.instanceFile(noResource);
    await expect(clock.passUntil(collect(body))).rejects.toMatchObject({ code: 'timeout' });
  });

  it.each([
    { when: 'before', code: 'cancelled' },
    { when: 'while the answer is waited for', code: 'cancelled' },
    { when: 'in the body', code: 'cancelled' },
  ])('ends by the signal $when', async ({ when, code }) => {
    await using server = await startScriptedServer((socket) => {
      if (when === 'in the body') socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc');
    });
    await using client = createOrthancClient({ url: server.url, maxConnections: 1 });
    const controller = new AbortController();
    if (when === 'before') controller.abort();
    const reading = client.instanceFile(noResource, { signal: controller.signal }).then((file) => collect(file.body));
    if (when !== 'before') {
      await waitFor(() => server.requests.length === 1);
      controller.abort();
    }
    await expect(reading).rejects.toMatchObject({ code });
  });

  it('ends by the signal while waiting for a connection', async () => {
    await using server = await startScriptedServer(() => undefined);
    await using client = createOrthancClient({ url: server.url, maxConnections: 1 });
    const first = client.instanceFile(noResource);
    const refused = expect(first).rejects.toMatchObject({ code: 'cancelled' });
    const second = client.instanceFile(noResource, { signal: AbortSignal.timeout(50) });
    await expect(second).rejects.toMatchObject({ code: 'timeout' });
    await client.close();
    await refused;
  });

  it('of others is not ended by a signal that aborts after the end', async () => {
    await using server = await startScriptedServer((socket) => setTimeout(() => socket.write(okAnswer('hello')), 20));
    await using client = createOrthancClient({ url: server.url, maxConnections: 1 });
    const controller = new AbortController();
    await collect((await client.instanceFile(noResource, { signal: controller.signal })).body);
    const next = client.instanceFile(noResource);
    controller.abort();
    expect((await collect((await next).body)).toString()).toBe('hello');
  });

  it('ends by close()', async () => {
    await using server = await startScriptedServer(() => undefined);
    const client = createOrthancClient({ url: server.url, maxConnections: 1 });
    const calls = [client.instanceFile(noResource), client.instanceFile(noResource)].map((call) =>
      expect(call).rejects.toMatchObject({ code: 'cancelled' }),
    );
    await waitFor(() => server.requests.length === 1);
    await client.close();
    await Promise.all(calls);
    await expect(client.instanceFile(noResource)).rejects.toMatchObject({ code: 'cancelled' });
  });
});

it('requests no encoding, with the credentials and the path under the prefix', async () => {
  await using server = await startScriptedServer((socket) => socket.write(okAnswer('hello')));
  const url = `${server.url}/orthanc/`;
  await using client = createOrthancClient({ url, token: 'abc', headers: { 'X-Who': 'us' } });
  await collect((await client.instanceFile(noResource)).body);
  const [line, ...fields] = (server.requests[0] ?? '').split('\r\n');
  expect(line).toBe(`GET /orthanc/instances/${noResource}/file HTTP/1.1`);
  expect(fields.map((field) => field.toLowerCase()).sort()).toEqual([
    'accept-encoding: identity',
    'authorization: bearer abc',
    `host: ${new URL(server.url).host}`,
    'x-who: us',
  ]);
});
