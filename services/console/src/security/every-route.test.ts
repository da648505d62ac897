import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signIn, startTestConsole, testToken, type TestConsole } from '../testing/start-test-console.ts';

/*
 * Every route that the console serves, as the server itself registered them: pages, API and Bull Board. What is open is
 * listed here, so that a new route is closed until somebody writes down that it is not.
 */

/** Served to everybody. */
const open: ReadonlySet<string> = new Set([
  'GET /healthz',
  'GET /readyz',
  'GET /sign-in',
  'POST /sign-in',
  'GET /sign-in/oidc',
  'GET /sign-in/oidc/callback',
  'GET /static/:version/:name',
  'GET /favicon.ico',
]);
/** Not a GET, and yet changes nothing but one's own session. */
const harmless: ReadonlySet<string> = new Set([
  'POST /api/bulk/preview',
  'POST /api/rules/dry-run',
  'POST /api/rules/test',
  'POST /api/rules/replay',
  'POST /api/sign-out',
]);
const administratorOnly: ReadonlySet<string> = new Set(['GET /api/audit', 'GET /api/audit/export', 'GET /audit']);

let test: TestConsole;
let delivery: string;
let routes: { name: string; method: string; path: string }[];
beforeAll(async () => {
  test = await startTestConsole({ console: signIn });
  delivery = (await test.route()).a;
  routes = test.console.routes
    .filter(({ method }) => method !== 'HEAD' && method !== 'OPTIONS')
    .map(({ method, url }) => ({ name: `${method} ${url}`, method, path: fill(url) }))
    .filter(({ name }, index, all) => all.findIndex((other) => other.name === name) === index);
});
afterAll(() => test[Symbol.asyncDispose]());

function fill(url: string): string {
  return url
    .replace(':deliveryId', delivery)
    .replace(':jobId', delivery)
    .replace(':queueName', 'target-a')
    .replace(':queueStatus', 'failed')
    .replace(':target', 'a')
    .replace(':source', 'main')
    .replace(':study', '1.2.826.0.1.1')
    .replace(/:\w+/g, 'x')
    .replace('*', 'console.css');
}

async function cookieOf(name: string): Promise<{ cookie: string; csrf: string }> {
  const answer = await fetch(`${test.url}/sign-in`, {
    method: 'POST',
    redirect: 'manual',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ name, password: `${name}-${name}` }),
  });
  const cookie = answer.headers.getSetCookie()[0]?.split(';')[0] ?? '';
  const page = await test.ask('GET', '/targets', { headers: { cookie } });
  return { cookie, csrf: /name="csrf-token" content="([^"]+)"/.exec(page.text)?.[1] ?? '' };
}

const changes = ({ name, method }: { name: string; method: string }): boolean =>
  method !== 'GET' && !open.has(name) && !harmless.has(name);

/** What a change of any kind would leave behind. */
async function picture(): Promise<unknown> {
  const { queues, records, redis, keys } = test.operations;
  const queue = queues.target('a');
  return {
    record: await records.delivery(delivery),
    events: await records.events(delivery),
    counts: await records.counts(),
    jobs: await queue.getJobCounts(),
    job: (await queue.getJob(delivery))?.asJSON(),
    paused: await queue.isPaused(),
    concurrency: await queue.getGlobalConcurrency(),
    rate: await queue.getGlobalRateLimit(),
    held: await redis.smembers(keys.held),
  };
}

async function statuses(
  which: (route: { name: string; method: string }) => boolean,
  headers: Record<string, string>,
): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const route of routes.filter(which)) {
    const body = route.method === 'GET' ? undefined : {};
    found[route.name] = (await test.ask(route.method, route.path, { headers, body })).status;
  }
  return found;
}

describe('every route', () => {
  it('is known here: pages, API and Bull Board', () => {
    const names = routes.map(({ name }) => name);
    expect(names.filter((name) => name.includes(' /api/')).length).toBeGreaterThan(25);
    expect(names.filter((name) => name.includes(' /queues/api/')).length).toBeGreaterThan(30);
    expect(routes.filter(changes).length).toBeGreaterThan(30);
  });

  it('is closed to who is not signed in', async () => {
    const found = await statuses(({ name }) => !open.has(name), {});
    expect(Object.entries(found).filter(([, status]) => status !== 401 && status !== 403)).toEqual([]);
  });

  it('lets a viewer change nothing, with a token or with a session and its CSRF token', async () => {
    const before = await picture();
    const { cookie, csrf } = await cookieOf('vera');
    const ways: Record<string, string>[] = [
      { authorization: `Bearer ${testToken.viewer}` },
      { cookie, 'x-xsrf-token': csrf },
    ];
    for (const headers of ways) {
      const found = await statuses((route) => changes(route) || administratorOnly.has(route.name), headers);
      expect(Object.entries(found).filter(([, status]) => status !== 403)).toEqual([]);
    }
    expect(await picture()).toEqual(before);
  });

  it('lets nobody change anything without the CSRF token of their session, or with that of somebody else', async () => {
    const before = await picture();
    const { csrf: ofAnother } = await cookieOf('vera');
    for (const name of ['otto', 'ada']) {
      const { cookie } = await cookieOf(name);
      for (const headers of [
        { cookie },
        { cookie, 'x-xsrf-token': '' },
        { cookie, 'x-xsrf-token': ofAnother },
        { cookie, 'x-xsrf-token': 'x'.repeat(ofAnother.length) },
      ]) {
        const found = await statuses(changes, headers as Record<string, string>);
        expect(Object.entries(found).filter(([, status]) => status !== 403)).toEqual([]);
      }
    }
    expect(await picture()).toEqual(before);
  });

  it('keeps the audit log from operators', async () => {
    const found = await statuses(({ name }) => administratorOnly.has(name), {
      authorization: `Bearer ${testToken.operator}`,
    });
    expect(Object.values(found)).toEqual([403, 403, 403]);
  });

  it('refuses to an administrator too what is not offered: adding and editing jobs, emptying queues, Redis', async () => {
    const { cookie, csrf } = await cookieOf('ada');
    const found = await statuses(
      ({ name }) =>
        /\/(add|update-data|empty|obliterate|clean\/:queueStatus|remove-unprocessed-children|job-schedulers\/.*)$/.test(
          name,
        ) || name.includes('/redis/'),
      { cookie, 'x-xsrf-token': csrf },
    );
    expect(Object.keys(found).length).toBeGreaterThanOrEqual(9);
    expect(Object.entries(found).filter(([, status]) => status !== 403)).toEqual([]);
  });
});
