import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signIn, startTestConsole, type TestConsole } from '../testing/start-test-console.ts';
import { checkPassword, hashPassword } from './password.ts';
import { safeDestination } from './start-session.ts';

describe('passwords', () => {
  it('are checked against a hash or as they are, and nothing else passes', async () => {
    const hash = await hashPassword('correct horse');
    expect(hash).toMatch(/^scrypt:32768:8:1:/);
    expect(await checkPassword('correct horse', hash)).toBe(true);
    expect(await checkPassword('wrong horse', hash)).toBe(false);
    expect(await checkPassword('plain', 'plain')).toBe(true);
    expect(await checkPassword('', '')).toBe(false);
    expect(await checkPassword('x'.repeat(2000), 'x'.repeat(2000))).toBe(false);
    expect(await checkPassword(hash, hash)).toBe(false);
  });
});

describe('where to after the sign-in', () => {
  it.each([
    ['/targets?x=1', '/targets?x=1'],
    ['//evil.example', '/studies'],
    ['/\\evil.example', '/studies'],
    ['https://evil.example', '/studies'],
    ['/a\r\nSet-Cookie: x', '/studies'],
    ['/sign-in', '/studies'],
    [undefined, '/studies'],
  ])('%o leads to %s', (to, expected) => {
    expect(safeDestination(to)).toBe(expected);
  });
});

describe('sign-in', () => {
  let test: TestConsole;
  beforeAll(async () => {
    test = await startTestConsole({ console: signIn });
  });
  afterAll(() => test[Symbol.asyncDispose]());

  async function attempt(
    name: string,
    password: string,
  ): Promise<{ status: number; cookies: string[]; location: string | null }> {
    const answer = await fetch(`${test.url}/sign-in`, {
      method: 'POST',
      redirect: 'manual',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ name, password, to: '/targets' }),
    });
    return { status: answer.status, cookies: answer.headers.getSetCookie(), location: answer.headers.get('location') };
  }

  it('gives a session that dies with the sign-out', async () => {
    const { status, cookies, location } = await attempt('otto', 'otto-otto');
    expect([status, location]).toEqual([303, '/targets']);
    const session = cookies.find((cookie) => cookie.startsWith('dispatch=')) ?? '';
    expect(session).toMatch(/; HttpOnly/);
    expect(session).toMatch(/; SameSite=Lax/);
    const cookie = session.split(';')[0] ?? '';
    expect((await test.ask('GET', '/api/me', { headers: { cookie } })).body).toMatchObject({
      name: 'otto',
      role: 'operator',
    });
    const page = await test.ask('GET', '/targets', { headers: { cookie, accept: 'text/html' } });
    const token = /name="csrf-token" content="([^"]+)"/.exec(page.text)?.[1] ?? '';
    expect((await test.ask('POST', '/api/sign-out', { headers: { cookie } })).status).toBe(403);
    expect((await test.ask('POST', '/api/sign-out', { headers: { cookie, 'x-xsrf-token': token } })).status).toBe(200);
    expect((await test.ask('GET', '/api/me', { headers: { cookie } })).status).toBe(401);
  });

  it('keeps no cookie and no password in Redis', async () => {
    const { cookies } = await attempt('vera', 'vera-vera');
    const id = /dispatch=([^;]+)/.exec(cookies.join())?.[1] ?? 'nothing';
    const keys = await test.redis.keys('*');
    expect(keys.join()).not.toContain(id);
    expect(keys.some((key) => key.includes(':session:'))).toBe(true);
  });

  it('answers a wrong name as a wrong password', async () => {
    expect((await attempt('nobody', 'x')).status).toBe(401);
    expect((await attempt('otto', 'x')).status).toBe(401);
    expect((await attempt('__proto__', 'x')).status).toBe(401);
  });

  it('stops guessing, also with the right password at last', async () => {
    for (let count = 0; count < 20; count += 1) await attempt('ada', `guess-${count}`);
    expect((await attempt('ada', 'ada-ada')).status).toBe(429);
    expect((await attempt('vera', 'vera-vera')).status).toBe(303);
  });
});
