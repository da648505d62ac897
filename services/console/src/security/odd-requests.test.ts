import { request, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { waitFor } from '@dicom-dispatch/harness';
import { signIn, startTestConsole, testToken, type TestConsole } from '../testing/start-test-console.ts';

let test: TestConsole;
beforeAll(async () => {
  test = await startTestConsole({ console: signIn });
  await test.route();
});
afterAll(() => test[Symbol.asyncDispose]());

const headers = { authorization: `Bearer ${testToken.administrator}` };

describe('names that every object has', () => {
  it.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf', '__defineGetter__'])(
    'are no target, source or delivery: %s',
    async (name) => {
      const withNames = test.console.routes.filter(({ url }) => url.includes(':') && url !== '/static/:version/:name');
      for (const { method, url } of withNames) {
        if (method === 'HEAD' || url.startsWith('/queues')) continue;
        const path = url.replaceAll(/:\w+/g, name);
        const body = method === 'GET' ? undefined : { to: name, concurrency: 2, deliveriesPerMinute: 2 };
        const { status } = await test.ask(method, path, { headers, body });
        // 503: this console has no configuration file that it could change.
        const isRefused = status >= 400 && (status < 500 || (status === 503 && path.startsWith('/api/configuration')));
        expect([method, path, isRefused]).toEqual([method, path, true]);
      }
      for (const [path, body] of [
        ['/api/route', { source: name, orthancStudyId: 'x' }],
        ['/api/route', { source: 'main', orthancStudyId: 'x', targets: [name] }],
      ] as const) {
        const { status } = await test.ask('POST', path, { headers, body });
        expect([path, [400, 404, 503].includes(status)]).toEqual([path, true]);
      }
    },
  );
});

describe('answers', () => {
  it('are cached by browsers only if their URL allows it, not because of a query', async () => {
    for (const path of [
      '/api/overview?x=/static/',
      '/studies?search=/static/',
      '/sign-in?to=/static/',
      '/static/nothing',
    ]) {
      expect([path, (await test.ask('GET', path, { headers })).headers.get('cache-control')]).toEqual([
        path,
        'no-store',
      ]);
    }
    const page = await test.ask('GET', '/studies', { headers: { ...headers, accept: 'text/html' } });
    const [style = ''] = /\/static\/[0-9a-f]+\/console\.css/.exec(page.text) ?? [];
    expect((await test.ask('GET', style)).headers.get('cache-control')).toContain('immutable');
  });

  it('to addresses that nothing can be looked up by are like those to any that are not there', async () => {
    const get = async (path: string): Promise<readonly unknown[]> => {
      const answer = await new Promise<IncomingMessage>((resolve, reject) => {
        const { hostname, port } = new URL(test.url);
        request({ hostname, port, path, headers }, resolve).on('error', reject).end();
      });
      answer.resume();
      return [answer.statusCode, answer.headers['cache-control'], answer.headers['content-security-policy']];
    };
    const usual = await get('/nothing');
    expect(usual.slice(0, 2)).toEqual([404, 'no-store']);
    for (const path of ['/%zz', '/api/targets/%c0%ae', `/api/targets/${'x'.repeat(300)}`, '/%', '/api/%ff?x'])
      expect([path, await get(path)]).toEqual([path, usual]);
  });

  it('escape bidirectional marks', async () => {
    const text = 'exe.\u202egpj \u2066x\u2069 \u001b[31mred\u009b0m';
    const { text: page } = await test.ask('GET', `/studies?search=${encodeURIComponent(text)}`, {
      headers: { ...headers, accept: 'text/html' },
    });
    // eslint-disable-next-line no-control-regex
    expect(page).not.toMatch(/[\u001b\u009b\u202e\u2066\u2069]/);
    expect(page).toContain('exe.\\u202egpj');
  });
});

describe('streams of events', () => {
  it('are given to one person up to a number, so that others get some too', async () => {
    const open: AbortController[] = [];
    const listen = async (token: string): Promise<number> => {
      const abort = new AbortController();
      open.push(abort);
      const { signal } = abort;
      return (await fetch(`${test.url}/api/events`, { headers: { authorization: `Bearer ${token}` }, signal })).status;
    };
    const statuses: number[] = [];
    for (let count = 0; count < 25; count += 1) statuses.push(await listen(testToken.viewer));
    expect(statuses.filter((status) => status === 200).length).toBe(20);
    expect(await listen(testToken.operator)).toBe(200);
    for (const one of open) one.abort();
    await waitFor(async () => (await listen(testToken.viewer)) === 200);
    for (const one of open) one.abort();
  });
});

describe('the audit log', () => {
  it('cannot be filled by exports, which change nothing and stand in it, too', async () => {
    const entries = () => test.redis.xlen(`${test.config.redis.prefix}:audit`);
    const before = await entries();
    const ask = async (token: string): Promise<number> =>
      (await test.ask('GET', '/api/deliveries.csv?target=b', { headers: { authorization: `Bearer ${token}` } })).status;
    const statuses = await Promise.all(Array.from({ length: 450 }, () => ask(testToken.viewer)));
    expect(new Set(statuses)).toEqual(new Set([200, 429]));
    expect((await entries()) - before).toBeLessThan(400);
    // Others export as before, and a user who has exported much can still read.
    expect(await ask(testToken.operator)).toBe(200);
    const viewer = { authorization: `Bearer ${testToken.viewer}` };
    expect((await test.ask('GET', '/api/deliveries', { headers: viewer })).status).toBe(200);
    const { headers } = await untilRefused('/api/deliveries.csv?target=b', testToken.viewer);
    expect(headers.get('retry-after')).toBe('60');
  });

  it('has a limit separate from that of exports, with Retry-After in the response', async () => {
    const { headers, text } = await untilRefused('/api/audit?limit=1', testToken.administrator);
    expect(text).toContain('once a second');
    expect(headers.get('retry-after')).toBe('1');
    const authorization = `Bearer ${testToken.administrator}`;
    expect((await test.ask('GET', '/api/deliveries.csv?target=b', { headers: { authorization } })).status).toBe(200);
  });

  async function untilRefused(path: string, token: string): ReturnType<typeof test.ask> {
    for (;;) {
      const ask = () => test.ask('GET', path, { headers: { authorization: `Bearer ${token}` } });
      const refused = (await Promise.all(Array.from({ length: 100 }, ask))).find(({ status }) => status === 429);
      if (refused) return refused;
    }
  }
});

describe('connections', () => {
  it('of requests whose body never ends are closed', async () => {
    const sockets = await Promise.all(
      Array.from({ length: 30 }, () => {
        const { promise, resolve } = Promise.withResolvers<Socket>();
        const socket = connect(Number(new URL(test.url).port), '127.0.0.1', () => resolve(socket));
        socket.on('error', () => {});
        return promise;
      }),
    );
    const { length } = sockets;
    let closed = 0;
    for (const socket of sockets) socket.once('close', () => (closed += 1)).resume();
    const head = `POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\n`;
    for (const socket of sockets) socket.write(`${head}name=`);
    await waitFor(() => closed === length, { message: () => `${closed} of ${length} are closed` });
  });

  it.each([
    'GET /api/overview HTTP/1.1',
    'OPTIONS /api/overview HTTP/1.1',
    'POST /api/targets/a/pause HTTP/1.1\r\nContent-Type: application/json',
  ])('are closed when a body goes on after the answer: %s', async (head) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    let answer = '';
    const socket = connect(Number(new URL(test.url).port), '127.0.0.1');
    const chunk = `8000\r\n${'x'.repeat(0x8000)}\r\n`;
    const send = (): void => {
      while (!socket.destroyed && socket.write(chunk));
    };
    socket.on('error', () => {}).on('drain', () => setImmediate(send));
    socket.on('data', (data) => (answer += data.toString())).once('close', resolve);
    socket.write(`${head}\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`);
    // The client has its response, and would continue to send.
    await waitFor(() => answer !== '');
    send();
    await promise;
    expect(answer).toMatch(/^HTTP\/1\.1 40[14] /);
    expect(socket.bytesWritten).toBeLessThan(400_000_000);
  });
});
