import { request as send } from 'node:http';
import { roles, Secret, type Role } from '@dicom-dispatch/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { boardVerdict } from '../queues/board-access.ts';
import { passwordOf, signIn, startTestConsole, testToken, type TestConsole } from '../testing/start-test-console.ts';

/*
 * Every route of the console, as registered by the server itself, for every kind of caller. The expected permissions of a route
 * of the API come from the OpenAPI document, of Bull Board from `board-access.ts`, of pages from this file. The test fails for a
 * route that none of them contains, and for one that nobody may use although it should be usable.
 */

type Need = Role | 'public' | 'nobody';

const pages: Readonly<Record<string, Need>> = {
  'GET /healthz': 'public',
  'GET /readyz': 'public',
  'GET /metrics': 'viewer',
  'GET /static/:version/:name': 'public',
  'GET /favicon.ico': 'public',
  'GET /sign-in': 'public',
  'POST /sign-in': 'public',
  'GET /sign-in/oidc': 'public',
  'GET /sign-in/oidc/callback': 'public',
  'GET /api/openapi.json': 'viewer',
  'GET /audit': 'administrator',
  'GET /fetch': 'operator',
  'GET /test-study': 'administrator',
  'GET /configuration': 'editor',
  'GET /configuration/versions/:version': 'editor',
  'GET /configuration/targets': 'editor',
  'GET /configuration/target': 'editor',
  'GET /configuration/rules': 'editor',
  'GET /configuration/rule': 'editor',
  'GET /configuration/target-defaults': 'editor',
  'GET /configuration/target-defaults/form': 'editor',
  'GET /configuration/entries': 'editor',
  'GET /configuration/entry': 'editor',
  'GET /configuration/target/remove': 'editor',
};

interface Route {
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly needs: Need | undefined;
}

let test: TestConsole;
let delivery: string;
let routes: readonly Route[];
beforeAll(async () => {
  const limited = { token: new Secret(limitedToken), role: 'operator', targets: ['b'] };
  test = await startTestConsole({
    console: { ...signIn, trustProxy: true, tokens: { ...signIn.tokens, limited } },
  });
  delivery = (await test.route()).a;
  const document = await openApi();
  const seen = new Set<string>();
  routes = test.console.routes
    .filter(({ method }) => method !== 'HEAD' && method !== 'OPTIONS')
    .map(({ method, url }) => ({
      name: `${method} ${url}`,
      method,
      path: fill(url),
      needs: neededFor(method, url, document),
    }))
    .filter(({ name }) => !seen.has(name) && seen.add(name));
});
afterAll(() => test[Symbol.asyncDispose]());

const limitedToken = 'limited-token-0123456789abcdef';

type Document = Readonly<Record<string, Readonly<Record<string, { readonly description?: string }>>>>;

async function openApi(): Promise<Document> {
  const headers = { authorization: `Bearer ${testToken.viewer}` };
  return ((await test.ask('GET', '/api/openapi.json', { headers })).body as { paths: Document }).paths;
}

function neededFor(method: string, url: string, document: Document): Need | undefined {
  const fixed = pages[`${method} ${url}`];
  if (fixed) return fixed;
  if (url.startsWith('/api/')) {
    const text = document[url.replaceAll(/:(\w+)/g, '{$1}')]?.[method.toLowerCase()]?.description;
    return roles.find((role) => text === `Needs the role ${role}.`);
  }
  if (url === '/queues' || url.startsWith('/queues/')) {
    const verdict = boardVerdict(method, url.slice('/queues'.length) || '/');
    if (verdict.kind === 'unknown') return undefined;
    if (verdict.kind === 'refused') return 'nobody';
    return verdict.kind === 'read' ? 'viewer' : verdict.role;
  }
  // All other pages are for every signed-in user.
  return method === 'GET' ? 'viewer' : undefined;
}

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

/** The status of the response, without waiting for its end: some are streams. */
function status({ method, path }: Pick<Route, 'method' | 'path'>, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    const body = method === 'GET' ? '' : '{}';
    const json: Record<string, string> = method === 'GET' ? {} : { 'content-type': 'application/json' };
    const sent = send(new URL(path, test.url), { method, headers: { ...json, ...headers } }, (answer) => {
      resolve(answer.statusCode ?? 0);
      answer.destroy();
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

/** Statuses by route; each caller has a separate address. */
let callers = 0;
async function statuses(
  which: (route: Route) => boolean,
  headers: Record<string, string>,
): Promise<[name: string, status: number][]> {
  callers += 1;
  const from = { 'x-forwarded-for': `10.1.0.${callers}` };
  const found: [string, number][] = [];
  for (const route of routes.filter(which)) found.push([route.name, await status(route, { ...from, ...headers })]);
  return found;
}

const isRefusal = (code: number): boolean => code === 401 || code === 403;
const rank = (need: Need | undefined): number =>
  need === 'public' ? -1 : need === 'nobody' ? roles.length : roles.indexOf(need as Role);

async function session(name: string): Promise<{ cookie: string; csrf: string }> {
  const answer = await fetch(`${test.url}/sign-in`, {
    method: 'POST',
    redirect: 'manual',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ name, password: passwordOf(name) }),
  });
  const cookie = answer.headers.getSetCookie()[0]?.split(';')[0] ?? '';
  const page = await test.ask('GET', '/targets', { headers: { cookie, accept: 'text/html' } });
  return { cookie, csrf: /name="csrf-token" content="([^"]+)"/.exec(page.text)?.[1] ?? '' };
}

const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });

/** A snapshot of the state, to detect changes of any kind. */
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
    audit: await redis.xlen(`${test.config.redis.prefix}:audit`),
  };
}

describe('every route', () => {
  it('has a role that may use it, or is known as rejected', () => {
    expect(routes.filter(({ needs }) => needs === undefined).map(({ name }) => name)).toEqual([]);
    expect(routes.filter(({ name }) => name.includes(' /api/')).length).toBeGreaterThan(30);
    expect(routes.filter(({ name }) => name.includes(' /queues/api/')).length).toBeGreaterThan(30);
  });

  it.each<[string, Record<string, string>]>([
    ['nobody', {}],
    ['a token that is not right', bearer(`${testToken.administrator}x`)],
    ['a token that is too short', bearer('short')],
    ['a token sent another way', { authorization: `Basic ${testToken.administrator}` }],
    ['a session that never was', { cookie: `dispatch=${'x'.repeat(43)}` }],
  ])('is closed to %s, unless it is public', async (_, headers) => {
    const found = await statuses(({ needs }) => needs !== 'public', headers);
    expect(found.filter(([, code]) => !isRefusal(code))).toEqual([]);
  });

  it.each(roles)('that needs more than the role %s is closed to it, by token and by session', async (role) => {
    const before = await picture();
    const name = { viewer: 'vera', operator: 'otto', editor: 'edda', administrator: 'ada' }[role];
    const { cookie, csrf } = await session(name);
    const signedIn = (await picture()) as { audit: number };
    for (const headers of [bearer(testToken[role]), { cookie, 'x-xsrf-token': csrf }]) {
      const found = await statuses(({ needs }) => rank(needs) > roles.indexOf(role), headers);
      expect(found.filter(([, code]) => code !== 403)).toEqual([]);
    }
    expect(await picture()).toEqual({ ...(before as object), audit: signedIn.audit });
  });

  it('that changes something rejects a foreign page, and requests without the right CSRF token', async () => {
    const { csrf: ofAnother } = await session('vera');
    const { cookie, csrf } = await session('ada');
    const before = await picture();
    const changes = ({ method, needs }: Route): boolean => method !== 'GET' && needs !== 'public';
    const ways: Record<string, string>[] = [
      { cookie },
      { cookie, 'x-xsrf-token': '' },
      { cookie, 'x-xsrf-token': ofAnother },
      { cookie, 'x-xsrf-token': 'x'.repeat(ofAnother.length) },
      { cookie, 'x-xsrf-token': csrf, origin: 'https://evil.example' },
      { cookie, 'x-xsrf-token': csrf, 'sec-fetch-site': 'cross-site' },
    ];
    for (const headers of ways) {
      const found = await statuses(changes, headers);
      expect(found.filter(([, code]) => code !== 403)).toEqual([]);
    }
    expect(await picture()).toEqual(before);
  });

  it('of another target, or of all, rejects a token that is limited to one', async () => {
    const before = await picture();
    const free = new Set(['GET /api/me', 'GET /api/openapi.json']);
    const found = await statuses(({ name, needs }) => needs !== 'public' && !free.has(name), bearer(limitedToken));
    expect(found.filter(([, code]) => code !== 403)).toEqual([]);
    expect(await picture()).toEqual(before);
    const headers = bearer(limitedToken);
    const { b } = await test.route();
    for (const path of ['/api/targets/b', '/api/deliveries?target=b', `/api/deliveries/${b}`, '/api/me']) {
      expect([path, (await test.ask('GET', path, { headers })).status]).toEqual([path, 200]);
    }
    expect((await test.ask('POST', `/api/deliveries/${b}/hold`, { headers })).status).toBe(200);
    for (const path of ['/api/deliveries?target=a', '/api/deliveries?target=b&target=a', '/api/deliveries']) {
      expect([path, (await test.ask('GET', path, { headers })).status]).toEqual([path, 403]);
    }
  });

  // The last test: it executes every action.
  it.each(roles)('accessible with the role %s accepts it', async (role) => {
    const found = await statuses(
      // Except the sign-in, which itself responds with 401.
      ({ name, needs }) => name !== 'POST /sign-in' && needs !== 'nobody' && rank(needs) <= roles.indexOf(role),
      bearer(testToken[role]),
    );
    expect(found.filter(([, code]) => isRefusal(code) || code === 429)).toEqual([]);
    expect(found.length).toBeGreaterThan(40);
  });
});
