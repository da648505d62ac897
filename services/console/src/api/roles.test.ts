import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signIn, startTestConsole, testToken, type TestConsole } from '../testing/start-test-console.ts';

/* Permissions of routes are tested in security/route-matrix.test.ts. */

let test: TestConsole;
beforeAll(async () => {
  test = await startTestConsole({ console: signIn });
  await test.route();
});
afterAll(() => test[Symbol.asyncDispose]());

function bearer(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` };
}

interface Event {
  readonly who: string;
  readonly outcome: string;
  readonly action: string;
  readonly count: number;
}

describe('roles', () => {
  it('allows viewers only known read-only routes with another method than GET', async () => {
    const { body } = await test.ask('GET', '/api/openapi.json', { headers: bearer(testToken.viewer) });
    const { paths } = body as { paths: Record<string, Record<string, { description: string }>> };
    const open = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods)
        .filter(([method, { description }]) => method !== 'get' && description === 'Needs the role viewer.')
        .map(() => path),
    );
    expect(open.sort()).toEqual(['/api/bulk/preview', '/api/route/preview', '/api/rules/dry-run', '/api/sign-out']);
  });

  it('allows an operator to act, and records it', async () => {
    const headers = bearer(testToken.operator);
    expect((await test.ask('POST', '/api/targets/a/pause', { headers })).status).toBe(200);
    expect((await test.ask('POST', '/api/targets/a/resume', { headers })).status).toBe(200);
    const csv = await test.ask('GET', '/api/audit/export?format=csv', { headers: bearer(testToken.administrator) });
    expect(csv.text).toMatch(/token:operator,operator,pause,a,done/);
  });

  it('counts what is refused apart from the audit log, which nothing that is refused can wash out', async () => {
    const administrator = bearer(testToken.administrator);
    const entries = async (path: string): Promise<Event[]> =>
      ((await test.ask('GET', path, { headers: administrator })).body as { entries: Event[] }).entries;
    const before = await entries('/api/audit');
    const keys = new Set(await test.redis.keys('*'));
    for (let count = 0; count < 300; count += 1) {
      expect((await test.ask('POST', '/api/targets/a/pause', { headers: bearer(testToken.viewer) })).status).toBe(403);
    }
    // Reading the audit log is recorded too.
    const isRead = ({ action }: Event): boolean => action === 'read audit log';
    expect((await entries('/api/audit')).filter((one) => !isRead(one))).toEqual(before.filter((one) => !isRead(one)));
    const refused = (await entries('/api/audit/refused')).filter(({ who }) => who === 'token:viewer');
    expect(refused).toMatchObject([{ outcome: 'refused', action: 'pause', count: 1 }]);
    // The console's own heartbeat starts meanwhile.
    const added = (await test.redis.keys('*')).filter((key) => !keys.has(key) && !/:(generation|process)/.test(key));
    expect(added.length).toBeLessThanOrEqual(1);
    const { text } = await test.ask('GET', '/metrics', { headers: administrator });
    expect(text).toMatch(/dispatch_console_refused_total\{reason="forbidden"\} 300/);
  });
});
