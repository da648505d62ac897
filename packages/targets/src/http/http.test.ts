import { writeFile } from 'node:fs/promises';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { DispatchError, Secret } from '@dicom-dispatch/core';
import {
  freePort,
  makeCertificates,
  startFaultProxy,
  startHttpServer,
  tempFolder,
  type HttpStandIn,
} from '@dicom-dispatch/harness';
import { stopClock } from '@dicom-dispatch/harness/stop-clock';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { ProgressTimeout } from './progress-timeout.ts';
import { inPieces } from './pieces.ts';
import { Gate, HttpConnection, httpOptions, httpUrl, retryAfterMs, simpleAuth, statusError } from './index.ts';

const schema = z.object({ url: httpUrl, auth: simpleAuth, ...httpOptions });
const signal = new AbortController().signal;

function open(options: object): Promise<HttpConnection> {
  return HttpConnection.open(schema.parse(options), { connections: 2 });
}

async function failureOf(options: object, request: object = {}): Promise<unknown> {
  let http: HttpConnection | undefined;
  try {
    http = await open(options);
    await (await http.request({ method: 'GET', path: '/', signal, ...request })).discard();
    return undefined;
  } catch (error) {
    return error;
  } finally {
    await http?.close();
  }
}

describe('HttpConnection', () => {
  let server: HttpStandIn;
  beforeAll(async () => {
    server = await startHttpServer(({ method, path, headers, bodyBytes }, response) => {
      response.setHeader('content-type', 'application/json; charset=utf-8');
      response.end(JSON.stringify({ method, path, headers, bodyBytes }));
    });
  });
  afterAll(() => server.stop());

  it('sends headers and credentials, and requests no compression', async () => {
    const http = await open({
      url: `${server.url}/base/`,
      auth: { type: 'basic', username: 'ada', password: new Secret('pass:word') },
      headers: { 'X-Site': 'north', 'X-Key': new Secret('k') },
    });
    const answer = await http.request({ method: 'GET', path: '/a?b=c', signal });
    expect(answer.mediaType).toBe('application/json');
    const { path, headers } = (await answer.json(10_000)) as { path: string; headers: Record<string, string> };
    expect(path).toBe('/base/a');
    const authorization = `Basic ${Buffer.from('ada:pass:word').toString('base64')}`;
    expect(headers).toMatchObject({ 'x-site': 'north', 'x-key': 'k', 'accept-encoding': 'identity', authorization });
    await http.close();
  });

  it('rejects a response that is longer than allowed', async () => {
    const http = await open({ url: server.url });
    const answer = await http.request({ method: 'GET', path: '/', signal });
    await expect(answer.text(10)).rejects.toMatchObject({ code: 'target-error' });
    await http.close();
  });

  it('sends a body with its length, and in chunks without', async () => {
    const http = await open({ url: server.url });
    async function* body() {
      yield new Uint8Array(600_000);
      yield new Uint8Array(7);
    }
    for (const bodyBytes of [600_007, undefined]) {
      const answer = await http.request({ method: 'POST', path: '/', body, bodyBytes, signal });
      const seen = (await answer.json(10_000)) as { bodyBytes: number; headers: Record<string, string> };
      expect(seen.bodyBytes).toBe(600_007);
      expect(seen.headers['content-length']).toBe(bodyBytes === undefined ? undefined : '600007');
    }
    await http.close();
  });

  it('passes on what the body threw, not what it led to', async () => {
    const error = new DispatchError('source-error', 'the source broke');
    async function* body() {
      yield new Uint8Array(100_000);
      throw error;
    }
    expect(await failureOf({ url: server.url }, { method: 'POST', body, bodyBytes: 200_000 })).toBe(error);
  });

  it('repeats a read once when a kept socket was closed under it', async () => {
    let connections = 0;
    await using fragile = await startHttpServer((_request, response) => {
      connections += 1;
      if (connections === 1) response.destroy();
      else response.end('{}');
    });
    expect(await failureOf({ url: fragile.url })).toBeUndefined();
    expect(connections).toBe(2);
    connections = 0;
    // A request with side effects is not repeated unless the caller allows it.
    expect(await failureOf({ url: fragile.url }, { method: 'POST' })).toMatchObject({ code: 'target-connection-lost' });
    connections = 0;
    expect(await failureOf({ url: fragile.url }, { method: 'POST', repeat: true })).toBeUndefined();
  });

  it('a kept socket that the peer closes while the source is slow to begin costs nothing', async () => {
    await using closing = await startHttpServer((_, response) => void response.end('{}'));
    const sockets: Socket[] = [];
    const onSocket = (message: unknown): void => void sockets.push((message as { socket: Socket }).socket);
    subscribe('undici:client:connected', onSocket);
    const http = await open({ url: closing.url });
    try {
      await (await http.request({ method: 'GET', path: '/', signal })).discard();
      async function* slow(): AsyncGenerator<Uint8Array> {
        const closed = new Promise((done) => sockets[0]!.once('close', done));
        closing.cut();
        await closed;
        yield Buffer.from('late');
      }
      const answer = await http.request({ method: 'POST', path: '/', body: slow, repeat: false, signal });
      await answer.discard();
      expect(sockets.length).toBe(2);
      expect(closing.requests.map(({ method, body }) => `${method} ${body.toString()}`)).toEqual(['GET ', 'POST late']);
    } finally {
      unsubscribe('undici:client:connected', onSocket);
      await http.close();
    }
  });

  it('ends a body that had begun when no connection is possible', async () => {
    let isOpen = false;
    async function* body(): AsyncGenerator<Uint8Array> {
      isOpen = true;
      try {
        yield Buffer.from('first');
        yield Buffer.from('second');
      } finally {
        isOpen = false;
      }
    }
    const port = await freePort();
    const error = await failureOf({ url: `http://127.0.0.1:${port}` }, { method: 'POST', body });
    expect(error).toMatchObject({ code: 'target-unreachable' });
    await vi.waitFor(() => expect(isOpen).toBe(false));
  });

  it('is not patient with a silent peer', async () => {
    await using proxy = await startFaultProxy({ port: server.port, blackHole: true });
    const url = `http://127.0.0.1:${proxy.port}`;
    async function* body() {
      for (let chunk = 0; chunk < 100; chunk += 1) yield new Uint8Array(1_000_000);
    }
    const post = { method: 'POST', body, bodyBytes: 100_000_000 };
    expect(await failureOf({ url, timeout: '300ms' }, post)).toMatchObject({ code: 'target-timeout' });
    expect(await failureOf({ url, timeout: '300ms' })).toMatchObject({ code: 'target-timeout' });
  });

  it('aborts a peer that transfers bytes very slowly, and not one that is only slow', async () => {
    const options = { timeout: '60s', minBytesPerSecond: '20kB' };
    await using trickling = await startHttpServer((_request, response) => {
      const trickle = setInterval(() => response.write('x'), 20);
      response.once('close', () => clearInterval(trickle));
    });
    const slow = { code: 'target-timeout', message: expect.stringContaining('20000 bytes a second') };
    {
      using clock = stopClock(['performance']);
      const http = await open({ url: trickling.url, ...options });
      const answer = await http.request({ method: 'GET', path: '/', signal });
      await expect(clock.passUntil(answer.text(1_000_000))).rejects.toMatchObject(slow);
      await http.close();
    }

    async function* body() {
      for (let chunk = 0; chunk < 400; chunk += 1) yield new Uint8Array(20_000);
    }
    await using narrow = await startFaultProxy({ port: server.port, bytesPerSecond: 200_000 });
    const url = `http://127.0.0.1:${narrow.port}`;
    const upload = { method: 'POST', body, bodyBytes: 8_000_000 };
    expect(await failureOf({ url, timeout: '1s', minBytesPerSecond: '50MB' }, upload)).toMatchObject({
      code: 'target-timeout',
    });
    async function* little() {
      for (let chunk = 0; chunk < 5; chunk += 1) yield new Uint8Array(20_000);
    }
    expect(await failureOf({ url, ...options }, { method: 'POST', body: little })).toBeUndefined();
  });

  it('does not count the time in which the source is slow, or the target thinks', async () => {
    using clock = stopClock(['performance']);
    await using thoughtful = await startHttpServer(async (_request, response) => {
      await clock.pass(50_000);
      response.end('{}');
    });
    async function* slowly() {
      for (let chunk = 0; chunk < 4; chunk += 1) {
        yield new Uint8Array(10);
        await clock.pass(40_000);
      }
    }
    const options = { url: thoughtful.url, timeout: '60s', minBytesPerSecond: '1MB' };
    expect(await failureOf(options, { method: 'POST', body: slowly })).toBeUndefined();
  });

  it('does not accept a success while it is still sending; a rejection is accepted', async () => {
    for (const [status, code] of [
      [200, 'target-connection-lost'],
      [413, undefined],
    ] as const) {
      // Responds after the headers, and continues to read.
      const hasty = createTcpServer((socket) => {
        socket
          .on('error', () => {})
          .once('data', () => {
            socket.write(`HTTP/1.1 ${status} Hasty\r\nContent-Length: 2\r\n\r\n{}`);
            socket.resume();
          });
      });
      await once(hasty.listen(0, '127.0.0.1'), 'listening');
      const url = `http://127.0.0.1:${(hasty.address() as AddressInfo).port}`;
      async function* body() {
        for (let chunk = 0; chunk < 50; chunk += 1) {
          yield new Uint8Array(100_000);
          await pause(2);
        }
      }
      for (const bodyBytes of [5_000_000, undefined]) {
        const failure = await failureOf({ url }, { method: 'POST', body, bodyBytes });
        if (code === undefined) expect(failure).toBeUndefined();
        else
          expect(failure).toMatchObject({ code, message: expect.stringContaining('before it had received the whole') });
      }
      hasty.close();
    }
  });

  it('accepts a response to the last byte, although the source has not reported that it was the last', async () => {
    async function* body() {
      yield new Uint8Array(300_000);
      await pause(300);
    }
    expect(await failureOf({ url: server.url }, { method: 'POST', body, bodyBytes: 300_000 })).toBeUndefined();
  });

  it('does not wait for an unwanted body', async () => {
    await using trickling = await startHttpServer((_request, response) => {
      const trickle = setInterval(() => response.write('x'), 100);
      response.once('close', () => clearInterval(trickle));
    });
    const http = await open({ url: trickling.url });
    const answer = await http.request({ method: 'GET', path: '/', signal });
    // The body is endless: without limits this would not return.
    await answer.discard();
    await http.close();
  });

  it('reads no more of a body than was declared, and than is allowed', async () => {
    const raw = createTcpServer((socket) => {
      socket
        .on('error', () => {})
        .once('data', () => {
          socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n${'x'.repeat(1000)}`);
          const more = setInterval(() => socket.write('y'.repeat(100_000)), 1);
          socket.once('close', () => clearInterval(more));
        });
    });
    await once(raw.listen(0, '127.0.0.1'), 'listening');
    await using endless = await startHttpServer((_request, response) => {
      const more = setInterval(() => response.write('z'.repeat(100_000)), 1);
      response.once('close', () => clearInterval(more));
    });
    const http = await open({ url: `http://127.0.0.1:${(raw.address() as AddressInfo).port}` });
    const declared = await http.request({ method: 'GET', path: '/', signal });
    expect(await declared.text(10_000)).toBe('x'.repeat(1000));
    const other = await http.request({ method: 'GET', path: endless.url, signal });
    let length = 0;
    await expect(
      (async () => {
        for await (const chunk of other.chunks(1_000_000)) length += chunk.byteLength;
      })(),
    ).rejects.toMatchObject({ code: 'target-error' });
    expect(length).toBeLessThanOrEqual(1_000_000);
    await http.close();
    raw.close();
  });

  it('decompresses a short answer that was compressed unasked, within its bound; never a file', async () => {
    const answers: Record<string, [string, Buffer]> = {
      '/gzip': ['gzip', gzipSync('{"a":1}')],
      '/br': ['br', brotliCompressSync('{"a":1}')],
      '/lie': ['gzip', Buffer.from('{"a":1}')],
      '/bomb': ['gzip', gzipSync(Buffer.alloc(5_000_000, ' '))],
      '/odd': ['zstd', Buffer.from('{"a":1}')],
    };
    await using packed = await startHttpServer(({ path }, response) => {
      const [encoding, bytes] = answers[path] ?? ['', Buffer.alloc(0)];
      response.writeHead(200, { 'content-encoding': encoding }).end(bytes);
    });
    const http = await open({ url: packed.url });
    const get = (path: string) => http.request({ method: 'GET', path, signal });
    expect(await (await get('/gzip')).json(100_000)).toEqual({ a: 1 });
    expect(await (await get('/br')).json(100_000)).toEqual({ a: 1 });
    for (const path of ['/lie', '/bomb', '/odd']) {
      await expect((await get(path)).json(100_000), path).rejects.toMatchObject({ code: 'target-error' });
    }
    await expect(Array.fromAsync((await get('/gzip')).chunks(100_000))).rejects.toMatchObject({ code: 'target-error' });
    await http.close();
  });

  it('ends immediately when cancelled', async () => {
    await using proxy = await startFaultProxy({ port: server.port, blackHole: true });
    const stop = new AbortController();
    const failure = failureOf({ url: `http://127.0.0.1:${proxy.port}` }, { signal: stop.signal });
    stop.abort();
    expect(await failure).toMatchObject({ code: 'cancelled' });
    expect(await failureOf({ url: server.url }, { signal: AbortSignal.abort() })).toMatchObject({ code: 'cancelled' });
  });

  it('reports network errors', async () => {
    const of = async (url: string) => failureOf({ url });
    expect(await of('http://no-such-host.invalid')).toMatchObject({
      code: 'target-unreachable',
      message: expect.stringContaining('the host name does not resolve'),
    });
    expect(await of(`http://127.0.0.1:${await freePort()}`)).toMatchObject({
      code: 'target-unreachable',
      message: expect.stringContaining('connection refused'),
    });
    const other = createTcpServer((socket) => {
      socket.on('error', () => {}).once('data', () => socket.write('ERR unknown command\r\n'));
    });
    await once(other.listen(0, '127.0.0.1'), 'listening');
    const { port } = other.address() as AddressInfo;
    expect(await of(`http://127.0.0.1:${port}`)).toMatchObject({ code: 'target-misconfigured' });
    expect(await of(`https://127.0.0.1:${port}`)).toMatchObject({ code: 'target-tls' });
    other.close();
  });

  it('reports certificate errors', async () => {
    const all = await makeCertificates();
    const { ca, server: good, otherServer, expiredServer, wrongHostServer } = all;
    const cases = [
      [good, undefined],
      [otherServer, 'the certificate authority is not trusted'],
      [expiredServer, 'the certificate has expired'],
      [wrongHostServer, 'the certificate is for another name'],
    ] as const;
    for (const [identity, reason] of cases) {
      await using secure = await startHttpServer((_request, response) => void response.end('{}'), {
        tls: { key: identity.key, cert: identity.cert },
      });
      const failure = await failureOf({ url: secure.url, tls: { ca: ca.certFile } });
      if (reason === undefined) expect(failure).toBeUndefined();
      else expect(failure).toMatchObject({ code: 'target-tls', message: expect.stringContaining(reason) });
      // For trying: any certificate.
      expect(await failureOf({ url: secure.url, tls: { verify: false } })).toBeUndefined();
    }
    await using named = await startHttpServer((_request, response) => void response.end('{}'), {
      tls: { key: wrongHostServer.key, cert: wrongHostServer.cert },
    });
    const tls = { ca: ca.certFile, serverName: 'elsewhere.example' };
    expect(await failureOf({ url: named.url, tls })).toBeUndefined();
  });

  it('reports errors of certificate files', async () => {
    await using folder = await tempFolder('pem');
    const wrong = join(folder.path, 'wrong.pem');
    await writeFile(wrong, 'no PEM');
    const of = async (tls: object) => failureOf({ url: 'https://127.0.0.1:1', tls });
    expect(await of({ ca: '/no/such/file.pem' })).toMatchObject({
      code: 'config-invalid',
      message: expect.stringMatching(/tls\.ca/),
    });
    expect(await of({ cert: wrong })).toMatchObject({
      code: 'config-invalid',
      message: expect.stringMatching(/tls\.cert/),
    });
    const { client, ca } = await makeCertificates();
    expect(await of({ cert: client.certFile, key: ca.keyFile })).toMatchObject({ code: 'config-invalid' });
  });
});

describe('ProgressTimeout', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('times out with a stalled peer, restarts with each step, and pauses while the peer waits for us', async () => {
    let over = false;
    const progressTimeout = new ProgressTimeout({ silenceMs: 1000, minBytesPerSecond: 0 }, () => {
      over = true;
    });
    const source = Promise.withResolvers<void>();
    async function* body() {
      yield new Uint8Array(1_000_000);
      await source.promise;
      yield new Uint8Array(10);
    }
    const pieces = inPieces(body(), progressTimeout).body[Symbol.asyncIterator]();
    // A chunk of a megabyte is accepted in four steps of 900 ms each: a slow peer, but not a stalled one.
    for (let step = 0; step < 4; step += 1) {
      expect((await pieces.next()).done).toBe(false);
      vi.advanceTimersByTime(900);
    }
    // The source takes an hour: this does not count against the peer.
    const next = pieces.next();
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect(over).toBe(false);
    source.resolve();
    await next;
    vi.advanceTimersByTime(1001);
    expect(over).toBe(true);
  });

  it('allows a peer to store what it has received before it responds', async () => {
    const overAfter: number[] = [];
    const limits = { silenceMs: 1000, minBytesPerSecond: 0 };
    const progressTimeout = new ProgressTimeout(limits, (_why, afterMs) => void overAfter.push(afterMs));
    async function* body() {
      yield new Uint8Array(100_000_000);
    }
    for await (const _piece of inPieces(body(), progressTimeout).body);
    vi.advanceTimersByTime(20_999);
    expect(overAfter).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(overAfter).toEqual([21_000]);
  });

  it('has no end without a limit', () => {
    const progressTimeout = new ProgressTimeout({ silenceMs: 0, minBytesPerSecond: 0 }, () => expect.unreachable());
    progressTimeout.start();
    vi.advanceTimersByTime(1e9);
  });
});

describe('addresses', () => {
  it('are http or https, without what belongs elsewhere', () => {
    expect(httpUrl.parse('https://[::1]:8042/x/')).toBe('https://[::1]:8042/x');
    for (const bad of ['ftp://x', 'x', 'http://u:p@x', 'http://x?q=1', 'http://x#f', '']) {
      expect(httpUrl.safeParse(bad).success, bad).toBe(false);
    }
  });
});

describe('Retry-After', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  it.each([
    ['7', 7000],
    ['0', 0],
    ['Thu, 01 Jan 2026 00:01:00 GMT', 60_000],
    ['Wed, 31 Dec 2025 00:00:00 GMT', 0],
    ['999999999', 86_400_000],
    ['soon', undefined],
    ['-5', undefined],
    ['', undefined],
    [undefined, undefined],
  ])('%s is %s ms', (header, expected) => {
    expect(retryAfterMs(header, now)).toBe(expected);
  });

  it.each(['9999999999', '9'.repeat(40)])('%s is a day', (header) => {
    expect(retryAfterMs(header, 0)).toBe(86_400_000);
  });

  it('is removed with the error', () => {
    expect(statusError(503, { what: 'a search', retryAfterMs: 9 })).toMatchObject({
      code: 'target-busy',
      retryAfterMs: 9,
    });
  });
});

describe('Gate', () => {
  it('admits the allowed number, the others in order, and forgets cancelled ones', async () => {
    const gate = new Gate(1);
    const order: number[] = [];
    const first = await gate.enter(signal);
    const stop = new AbortController();
    const second = gate.enter(stop.signal);
    const third = gate.enter(signal).then((place) => {
      order.push(3);
      return place;
    });
    stop.abort();
    await expect(second).rejects.toMatchObject({ code: 'cancelled' });
    expect(order).toEqual([]);
    first[Symbol.dispose]();
    first[Symbol.dispose]();
    const place = await third;
    const fourth = gate.enter(signal).then(() => order.push(4));
    place[Symbol.dispose]();
    await fourth;
    expect(order).toEqual([3, 4]);
  });
});
