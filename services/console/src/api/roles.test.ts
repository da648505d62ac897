import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signIn, startTestConsole, testToken, type TestConsole } from '../testing/start-test-console.ts';

let test: TestConsole;
let delivery: string;
beforeAll(async () => {
  test = await startTestConsole({ console: signIn });
  delivery = (await test.route()).a;
});
afterAll(() => test[Symbol.asyncDispose]());

function bearer(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` };
}

interface Route {
  readonly method: string;
  readonly path: string;
  readonly access: string;
}

/** Every route of the API, from its own document. */
async function apiRoutes(): Promise<Route[]> {
  const { body } = await test.ask('GET', '/api/openapi.json', { headers: bearer(testToken.viewer) });
  const { paths } = body as { paths: Record<string, Record<string, { description: string }>> };
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { description }]) => ({
      method: method.toUpperCase(),
      access: /role (\w+)/.exec(description)?.[1] ?? '',
      path: path
        .replace('{deliveryId}', delivery)
        .replace('{target}', 'a')
        .replace('{source}', 'main')
        .replace('{studyInstanceUid}', '1.2.826.0.1.1'),
    })),
  );
}

const boardChanges = [
  ['PUT', '/queues/api/queues/target-a/JOB/retry'],
  ['PUT', '/queues/api/queues/target-a/JOB/promote'],
  ['PUT', '/queues/api/queues/target-a/JOB/clean'],
  ['PATCH', '/queues/api/queues/target-a/JOB/update-data'],
  ['PATCH', '/queues/api/queues/target-a/JOB/delay'],
  ['PATCH', '/queues/api/queues/target-a/JOB/priority'],
  ['PUT', '/queues/api/queues/target-a/JOB/remove-unprocessed-children'],
  ['PUT', '/queues/api/queues/target-a/retry/failed'],
  ['PUT', '/queues/api/queues/target-a/promote'],
  ['PUT', '/queues/api/queues/target-a/clean/failed'],
  ['PUT', '/queues/api/queues/target-a/pause'],
  ['PUT', '/queues/api/queues/target-a/resume'],
  ['PUT', '/queues/api/queues/target-a/empty'],
  ['PUT', '/queues/api/queues/target-a/obliterate'],
  ['PUT', '/queues/api/queues/target-a/concurrency'],
  ['PUT', '/queues/api/queues/target-a/rate-limit'],
  ['PUT', '/queues/api/queues/target-a/rate-limit/release'],
  ['POST', '/queues/api/queues/target-a/add'],
  ['PUT', '/queues/api/queues/pause'],
  ['PUT', '/queues/api/queues/resume'],
  ['PUT', '/queues/api/queues/target-a/job-schedulers/x/remove'],
  ['PATCH', '/queues/api/queues/target-a/job-schedulers/x'],
  ['PUT', '/queues/api/queues/target-a/job-schedulers/x/run'],
] as const;

describe('roles', () => {
  it('lets nobody in who is not known', async () => {
    const routes = await apiRoutes();
    expect(routes.length).toBeGreaterThan(25);
    for (const { method, path } of routes) {
      const answer = await test.ask(method, path);
      expect(answer.status, `${method} ${path}`).toBe(401);
    }
    for (const path of ['/queues', '/queues/api/queues', '/metrics', '/studies', '/targets', '/audit']) {
      expect((await test.ask('GET', path)).status, path).toBe(401);
    }
  });

  it('lets a viewer change nothing, by no route', async () => {
    for (const { method, path, access } of await apiRoutes()) {
      if (access === 'viewer') continue;
      const answer = await test.ask(method, path, {
        headers: bearer(testToken.viewer),
        body: method === 'GET' ? undefined : {},
      });
      expect(answer.status, `${method} ${path}`).toBe(403);
    }
    for (const [method, path] of boardChanges) {
      const answer = await test.ask(method, path.replace('JOB', delivery), {
        headers: bearer(testToken.viewer),
        body: {},
      });
      expect(answer.status, `${method} ${path}`).toBe(403);
    }
    expect(await test.operations.records.delivery(delivery)).toMatchObject({ state: 'waiting' });
    expect(await test.operations.queues.target('a').isPaused()).toBe(false);
  });

  it('keeps every route that changes something from viewers, unless it only reads', async () => {
    const open = (await apiRoutes()).filter(({ method, access }) => method !== 'GET' && access === 'viewer');
    expect(open.map(({ path }) => path).sort()).toEqual(['/api/bulk/preview', '/api/rules/dry-run', '/api/sign-out']);
  });

  it('keeps the audit log for administrators', async () => {
    expect((await test.ask('GET', '/api/audit', { headers: bearer(testToken.operator) })).status).toBe(403);
    const { status, body } = await test.ask('GET', '/api/audit', { headers: bearer(testToken.administrator) });
    expect(status).toBe(200);
    const { entries } = body as { entries: { who: string; outcome: string }[] };
    expect(entries.some(({ who, outcome }) => who === 'token:viewer' && outcome === 'refused')).toBe(true);
  });

  it('lets an operator act, and writes it down', async () => {
    const headers = bearer(testToken.operator);
    expect((await test.ask('POST', '/api/targets/a/pause', { headers })).status).toBe(200);
    expect((await test.ask('POST', '/api/targets/a/resume', { headers })).status).toBe(200);
    const csv = await test.ask('GET', '/api/audit/export?format=csv', { headers: bearer(testToken.administrator) });
    expect(csv.text).toMatch(/token:operator,operator,pause,a,done/);
  });

  it('refuses a token that is not right, too short or sent another way', async () => {
    for (const authorization of [
      `Bearer ${testToken.viewer}x`,
      'Bearer short',
      `Basic ${testToken.viewer}`,
      'Bearer ',
    ]) {
      expect((await test.ask('GET', '/api/overview', { headers: { authorization } })).status).toBe(401);
    }
  });
});
