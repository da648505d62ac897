import { Secret } from '@dicom-dispatch/core';
import { waitFor } from '@dicom-dispatch/harness';
import { createLogger, createMetrics } from '@dicom-dispatch/runtime';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startConsole } from '../start-console.ts';
import {
  passwordOf,
  signIn,
  startTestConsole,
  testConfig,
  testToken,
  type TestConsole,
} from '../testing/start-test-console.ts';

const users = (changes: Record<string, unknown> = {}): Record<string, unknown> => ({
  console: { ...signIn, users: { ...signIn.users, ...changes } },
});

let test: TestConsole;
beforeEach(async () => {
  test = await startTestConsole({ console: signIn });
});
afterEach(() => test[Symbol.asyncDispose]());

async function signedIn(name: string, url = test.url): Promise<Record<string, string>> {
  const answer = await fetch(`${url}/sign-in`, {
    method: 'POST',
    redirect: 'manual',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ name, password: passwordOf(name) }),
  });
  return { cookie: answer.headers.getSetCookie()[0]?.split(';')[0] ?? '' };
}

async function csrfOf(headers: Record<string, string>): Promise<string> {
  const page = await test.ask('GET', '/targets', { headers: { ...headers, accept: 'text/html' } });
  return /name="csrf-token" content="([^"]+)"/.exec(page.text)?.[1] ?? '';
}

/** Opens the stream of events; `ended` resolves when it ends. */
async function listen(headers: Record<string, string>, url = test.url): Promise<{ readonly ended: Promise<string> }> {
  const answer = await fetch(`${url}/api/events`, { headers });
  expect(answer.status).toBe(200);
  const reader = answer.body!.getReader();
  await reader.read();
  return {
    ended: (async () => {
      for (;;) {
        const { done } = await reader.read().catch(() => ({ done: true }));
        if (done) return 'ended';
      }
    })(),
  };
}

describe('a session', () => {
  it.each([
    ['another password', { ada: { password: new Secret('quite another one'), role: 'administrator' } }],
    ['a removal', { ada: undefined }],
  ])('ends at once with %s in the configuration, and so does what it listens to', async (_, changes) => {
    const headers = await signedIn('ada');
    const stream = await listen(headers);
    expect((await test.ask('GET', '/api/audit', { headers })).status).toBe(200);
    const { ada, ...others } = { ...signIn.users, ...(changes as Record<string, unknown>) };
    test.console.reload(testConfig({ console: { ...signIn, users: ada ? { ...others, ada } : others } }));
    expect((await test.ask('GET', '/api/audit', { headers })).status).toBe(401);
    expect(await stream.ended).toBe('ended');
    test.console.reload(testConfig(users()));
    expect((await test.ask('GET', '/api/me', { headers })).status).toBe(401);
  });

  it('has the role that the configuration gives now', async () => {
    const headers = await signedIn('ada');
    test.console.reload(testConfig(users({ ada: { password: new Secret(passwordOf('ada')), role: 'viewer' } })));
    expect((await test.ask('GET', '/api/audit', { headers })).status).toBe(403);
    expect((await test.ask('GET', '/api/me', { headers })).body).toMatchObject({ role: 'viewer' });
    const token = await csrfOf(headers);
    expect(
      (await test.ask('POST', '/api/targets/a/pause', { headers: { ...headers, 'x-xsrf-token': token } })).status,
    ).toBe(403);
  });

  it('ends on every console, with its streams, when the user signs out on one', async () => {
    const other = await startConsole({
      config: test.config,
      redis: test.redis,
      log: createLogger('console', { level: 'fatal', format: 'json' }),
      metrics: createMetrics(),
    });
    try {
      const headers = await signedIn('otto');
      const stay = await listen(await signedIn('otto'));
      let hasStayed = true;
      void stay.ended.then(() => (hasStayed = false));
      const streams = [await listen(headers), await listen(headers, other.url)];
      const token = await csrfOf(headers);
      await test.ask('POST', '/api/sign-out', { headers: { ...headers, 'x-xsrf-token': token } });
      expect(await Promise.all(streams.map(({ ended }) => ended))).toEqual(['ended', 'ended']);
      expect(hasStayed).toBe(true);
    } finally {
      await other.stop();
    }
  });

  it('can be ended by an administrator, all of one user together', async () => {
    const [one, two] = [await signedIn('otto'), await signedIn('otto')];
    const stream = await listen(one);
    const headers = { authorization: `Bearer ${testToken.administrator}` };
    const ended = await test.ask('POST', '/api/sessions/end', { headers, body: { name: 'otto' } });
    expect(ended.status).toBe(200);
    expect(await stream.ended).toBe('ended');
    for (const session of [one, two]) expect((await test.ask('GET', '/api/me', { headers: session })).status).toBe(401);
    expect((await test.ask('GET', '/api/me', { headers: await signedIn('otto') })).status).toBe(200);
  });

  it('of a token ends with the token', async () => {
    const stream = await listen({ authorization: `Bearer ${testToken.viewer}` });
    const { viewer: _, ...tokens } = signIn.tokens;
    test.console.reload(testConfig({ console: { ...signIn, tokens } }));
    expect(await stream.ended).toBe('ended');
  });

  it('of a token hears nothing any more when the token is limited to some targets, or its network is shut out', async () => {
    const headers = { authorization: `Bearer ${testToken.viewer}` };
    const limited = { token: new Secret(testToken.viewer), role: 'viewer', targets: ['a'] };
    const first = await listen(headers);
    test.console.reload(testConfig({ console: { ...signIn, tokens: { ...signIn.tokens, viewer: limited } } }));
    expect(await first.ended).toBe('ended');
    const behindProxy = { ...signIn, trustProxy: 1 };
    test.console.reload(testConfig({ console: behindProxy }));
    const second = await listen({ ...headers, 'x-forwarded-for': '10.9.9.9' });
    test.console.reload(testConfig({ console: { ...behindProxy, allowFrom: ['10.20.0.0/16'] } }));
    expect(await second.ended).toBe('ended');
  });

  it('takes the place of the one that the browser had, whoever put that there', async () => {
    const planted = await signedIn('vera');
    const answer = await fetch(`${test.url}/sign-in`, {
      method: 'POST',
      redirect: 'manual',
      headers: { ...planted, 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ name: 'ada', password: passwordOf('ada') }),
    });
    const cookie = answer.headers.getSetCookie()[0]?.split(';')[0] ?? '';
    expect(cookie).not.toBe(planted['cookie']);
    expect((await test.ask('GET', '/api/me', { headers: { cookie } })).body).toMatchObject({ name: 'ada' });
    expect((await test.ask('GET', '/api/me', { headers: planted })).status).toBe(401);
  });

  it('that only listens does not last longer for it', async () => {
    test.console.reload(testConfig({ console: { ...signIn, session: { idle: '60s' } } }));
    const headers = await signedIn('vera');
    const key = (await test.redis.keys('*:session:*'))[0] ?? '';
    await listen(headers);
    await test.redis.pexpire(key, 300);
    await waitFor(async () => (await test.redis.exists(key)) === 0);
    expect((await test.ask('GET', '/api/me', { headers })).status).toBe(401);
  });
});
