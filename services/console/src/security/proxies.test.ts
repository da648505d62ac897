import { request } from 'node:http';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLogger, createMetrics } from '@dicom-dispatch/runtime';
import { startConsole } from '../start-console.ts';
import { signIn, startTestConsole, testConfig, testToken, type TestConsole } from '../testing/start-test-console.ts';

function status(test: TestConsole, path: string, headers: Record<string, string>, method = 'GET'): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request(new URL(path, test.url), { method, headers }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    });
    sent.on('error', reject);
    sent.end();
  });
}

/** Sends raw bytes; returns the first line of the response. */
function rawStatus(test: TestConsole, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(test.url).port), '127.0.0.1', () => socket.write(text));
    socket.once('data', (data) => {
      resolve(data.toString().split('\r\n')[0] ?? '');
      socket.destroy();
    });
    socket.once('error', reject);
    socket.once('close', () => resolve(''));
  });
}

describe('a console without sign-in, behind a proxy that names this machine', () => {
  let test: TestConsole;
  beforeAll(async () => {
    test = await startTestConsole();
  });
  afterAll(() => test[Symbol.asyncDispose]());

  it.each([
    'X-Forwarded-For',
    'X-Forwarded-Host',
    'X-Forwarded-Proto',
    'X-Forwarded',
    'Forwarded',
    'Via',
    'X-Real-IP',
    'True-Client-IP',
    'CF-Connecting-IP',
    'CDN-Loop',
    'X-Envoy-External-Address',
    'X-Amzn-Trace-Id',
    'X-Original-URL',
    'Fly-Client-IP',
    'X-Vercel-Id',
    'Incap-Client-IP',
    'X-HTTP-Host-Override',
    'Surrogate-Capability',
    'MS-ASPNETCORE-TOKEN',
    'Remote-User',
    'X-Cloud-Trace-Context',
    'X-SSL-Client-Cert',
  ])('does not take the world for its administrator: %s', async (header) => {
    const { host } = new URL(test.url);
    for (const [method, path] of [
      ['GET', '/api/overview'],
      ['GET', '/studies'],
      ['GET', '/queues'],
      ['POST', '/api/targets/a/pause'],
    ] as const) {
      expect(await status(test, path, { host, [header]: 'for=203.0.113.7' }, method)).toBe(403);
    }
    expect(await test.operations.queues.target('a').isPaused()).toBe(false);
  });

  it('and serves what browsers and programs of this machine send', async () => {
    const { host } = new URL(test.url);
    for (const header of [
      'DNT',
      'Sec-CH-UA',
      'X-Requested-With',
      'Traceparent',
      'X-Request-Id',
      'Upgrade-Insecure-Requests',
    ])
      expect([header, await status(test, '/api/overview', { host, [header]: '1' })]).toEqual([header, 200]);
  });

  it('nor with one that sends no such header, but HTTP 1.0 or the page with its own name', async () => {
    const { host } = new URL(test.url);
    const get = 'GET /api/overview HTTP';
    expect(await rawStatus(test, `${get}/1.0\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)).toMatch(/ 403 /);
    expect(await rawStatus(test, `${get}/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)).toMatch(/ 200 /);
    const referer = 'https://dispatch.hospital.example/studies';
    expect(await status(test, '/api/overview', { host, referer, 'sec-fetch-site': 'same-origin' })).toBe(403);
    expect(
      await status(test, '/studies', { host, referer: `http://${host}/targets`, 'sec-fetch-site': 'same-origin' }),
    ).toBe(200);
    // A link on a foreign page is not a proxy.
    expect(
      await status(test, '/studies', { host, referer: 'https://wiki.example/', 'sec-fetch-site': 'cross-site' }),
    ).toBe(200);
  });

  it.each([
    ['a name of its own', { publicUrl: 'https://dispatch.hospital.example' }, /publicUrl/],
    ['a proxy that is trusted', { trustProxy: 1 }, /trustProxy/],
    ['an address that others reach', { listen: '0.0.0.0:0' }, /listen/],
  ])('does not start with %s', async (_, console, reason) => {
    const log = createLogger('console', { level: 'fatal', format: 'json' });
    const config = testConfig({ console });
    const started = startConsole({ config, redis: test.redis, log, metrics: createMetrics() });
    await expect(started).rejects.toThrow(reason);
    // The listening address does not change with the configuration.
    if (!('listen' in console)) expect(() => test.console.reload(config)).toThrow(/no sign-in is required/);
  });
});

describe('the address of a client', () => {
  /** The address in the audit log for a change with this X-Forwarded-For. */
  async function addressSeen(test: TestConsole, forwarded: string): Promise<string> {
    const headers = { authorization: `Bearer ${testToken.operator}`, 'x-forwarded-for': forwarded };
    expect((await test.ask('POST', '/api/targets/a/pause', { headers })).status).toBe(200);
    const { body } = await test.ask('GET', '/api/audit?limit=1', {
      headers: { authorization: `Bearer ${testToken.administrator}` },
    });
    return (body as { entries: { address: string }[] }).entries[0]?.address ?? '';
  }

  it.each<[unknown, string, string]>([
    [false, '6.6.6.6', '127.0.0.1'],
    [true, '6.6.6.6, 203.0.113.9', '203.0.113.9'],
    [1, '6.6.6.6, 203.0.113.9', '203.0.113.9'],
    [2, '6.6.6.6, 203.0.113.9, 10.0.0.5', '203.0.113.9'],
    [['127.0.0.1', '10.0.0.0/24'], '6.6.6.6, 203.0.113.9, 10.0.0.5', '203.0.113.9'],
    [['10.0.0.0/24'], '6.6.6.6, 203.0.113.9', '127.0.0.1'],
  ])(
    'with trustProxy %j and X-Forwarded-For "%s" is %s, never what the client wrote',
    async (trustProxy, header, seen) => {
      await using test = await startTestConsole({ console: { ...signIn, trustProxy } });
      expect(await addressSeen(test, header)).toBe(seen);
    },
  );

  it('is read as proxies write it, and is one for all of its connections', async () => {
    await using test = await startTestConsole({ console: { ...signIn, trustProxy: 1 } });
    for (const [header, seen] of [
      ['203.0.113.9:51234', '203.0.113.9'],
      ['[2001:db8::9]:443', '2001:db8::9'],
      ['"[2001:db8::9]"', '2001:db8::9'],
      ['fe80::9%eth0', 'fe80::9'],
      ['::ffff:203.0.113.9', '203.0.113.9'],
      ['203.0.113.9, unknown', 'unknown'],
      ['0x7f.1', 'unknown'],
      ['x'.repeat(3000), 'unknown'],
    ] as const) {
      expect([header, await addressSeen(test, header)]).toEqual([header, seen]);
    }
  });

  it('decides with console.allowFrom, also behind a proxy', async () => {
    await using test = await startTestConsole({
      console: { ...signIn, trustProxy: 1, allowFrom: ['10.20.0.0/16', '2001:db8::/32'] },
    });
    const headers = { authorization: `Bearer ${testToken.viewer}` };
    for (const [from, expected] of [
      ['10.20.3.4', 200],
      ['::ffff:10.20.3.4', 200],
      ['2001:db8::1', 200],
      ['10.20.3.4:51234', 200],
      ['[2001:db8::1]:443', 200],
      ['10.21.0.1', 403],
      ['203.0.113.9', 403],
      ['not an address', 403],
    ] as const) {
      for (const path of ['/api/overview', '/sign-in', '/metrics']) {
        const code = await status(test, path, { ...headers, 'x-forwarded-for': from });
        expect([from, path, code < 400 ? 200 : code]).toEqual([from, path, expected]);
      }
    }
  });
});
