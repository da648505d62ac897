import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startConsole } from '../start-console.ts';
import { startTestConsole, testConfig, type TestConsole } from '../testing/start-test-console.ts';
import { createLogger, createMetrics } from '@dicom-dispatch/runtime';

let test: TestConsole;
beforeAll(async () => {
  test = await startTestConsole();
});
afterAll(() => test[Symbol.asyncDispose]());

/** A request as a program may send it: with any Host header. */
function raw(path: string, method: string, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    const url = new URL(path, test.url);
    const sent = request({ host: url.hostname, port: url.port, path, method, headers }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    });
    sent.on('error', reject);
    sent.end();
  });
}

describe('a console without sign-in', () => {
  it('does not answer under a foreign name that leads to loopback (DNS rebinding)', async () => {
    expect(await raw('/api/overview', 'GET', { host: 'evil.example' })).toBe(403);
    expect(await raw('/queues', 'GET', { host: '127.0.0.1.evil.example:80' })).toBe(403);
    expect(await raw('/api/overview', 'GET', { host: `localhost:${new URL(test.url).port}` })).toBe(200);
  });

  it.each<Record<string, string>>([
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
  ])('takes no change that a page of somebody else sends: %o', async (headers) => {
    const host = new URL(test.url).host;
    expect(await raw('/api/targets/a/pause', 'POST', { host, ...headers })).toBe(403);
    expect(await raw('/queues/api/queues/target-a/pause', 'PUT', { host, ...headers })).toBe(403);
    expect(await test.operations.queues.target('a').isPaused()).toBe(false);
  });

  it('accepts changes from its own pages', async () => {
    const { host, origin } = new URL(test.url);
    const headers = { host, origin, 'sec-fetch-site': 'same-origin' };
    expect(await raw('/api/targets/b/pause', 'POST', headers)).toBe(200);
    expect(await raw('/api/targets/b/resume', 'POST', headers)).toBe(200);
  });

  it('does not start where others could reach it', async () => {
    const config = testConfig({ console: { listen: '0.0.0.0:0' } });
    const log = createLogger('console', { level: 'fatal', format: 'json' });
    await expect(startConsole({ config, redis: test.redis, log, metrics: createMetrics() })).rejects.toThrow(
      /no sign-in is required/,
    );
  });

  it('sends headers that keep browsers from other hosts', async () => {
    const { headers } = await test.ask('GET', '/api/overview');
    const policy = headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toContain('unsafe');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('x-frame-options')).toBe('DENY');
    expect(headers.get('cache-control')).toBe('no-store');
  });
});
