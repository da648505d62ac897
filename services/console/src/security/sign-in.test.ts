import { readFile } from 'node:fs/promises';
import { Secret } from '@dicom-dispatch/core';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { passwordOf, signIn, startTestConsole, testConfig, type TestConsole } from '../testing/start-test-console.ts';
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
    ['//evil.example', '/'],
    ['/\\evil.example', '/'],
    ['https://evil.example', '/'],
    ['/a\r\nSet-Cookie: x', '/'],
    ['/sign-in', '/'],
    [`/studies?search=${'x'.repeat(8000)}`, '/'],
    [undefined, '/'],
  ])('%o leads to %s', (to, expected) => {
    expect(safeDestination(to)).toBe(expected);
  });
});

describe('sign-in', () => {
  let test: TestConsole;
  beforeAll(async () => {
    test = await startTestConsole({ console: { ...signIn, trustProxy: true } });
  });
  afterAll(() => test[Symbol.asyncDispose]());

  /** Each test uses a separate address. */
  let address = 0;
  beforeEach(() => void (address += 1));

  async function attempt(
    name: string,
    password: string,
    cookie = '',
  ): Promise<{ status: number; cookies: string[]; location: string | null }> {
    const answer = await fetch(`${test.url}/sign-in`, {
      method: 'POST',
      redirect: 'manual',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        'x-forwarded-for': `10.0.0.${address}`,
        cookie,
      },
      body: new URLSearchParams({ name, password, to: '/targets' }),
    });
    await answer.text();
    return { status: answer.status, cookies: answer.headers.getSetCookie(), location: answer.headers.get('location') };
  }

  it('gives a session that dies with the sign-out', async () => {
    const { status, cookies, location } = await attempt('otto', passwordOf('otto'));
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

  it('stores no cookie and no password in Redis', async () => {
    const { cookies } = await attempt('vera', passwordOf('vera'));
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

  it('stops parallel guesses, and counts them before it checks them', async () => {
    const guess = (count: number) => attempt('ada', `guess-${count}`);
    const answers = await Promise.all(Array.from({ length: 120 }, (_, count) => guess(count)));
    for (let count = 0; count < 20; count += 1) answers.push(await guess(count));
    // 503: the password was not checked, and the attempt does not count.
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([401, 429, 503]));
    expect(answers.filter(({ status }) => status === 401).length).toBe(20);
    expect((await attempt('ada', passwordOf('ada'))).status).toBe(429);
    expect((await attempt('vera', passwordOf('vera'))).status).toBe(303);
  });

  it('admits a user who has signed in with this browser before, whatever others guess under the name', async () => {
    const { cookies } = await attempt('otto', passwordOf('otto'));
    const device = cookies.find((one) => one.startsWith('dispatch-device-')) ?? '';
    expect(device).toMatch(/; HttpOnly/);
    const cookie = device.split(';')[0] ?? '';
    for (let count = 0; count < 25; count += 1) await attempt('otto', `guess-${count}`);
    expect((await attempt('otto', passwordOf('otto'))).status).toBe(429);
    expect((await attempt('otto', passwordOf('otto'), cookie)).status).toBe(303);
    // A known browser has the same number of guesses as others, and its mark applies to its own name only.
    const guesses = [];
    for (let count = 0; count < 12; count += 1) guesses.push((await attempt('otto', `guess-${count}`, cookie)).status);
    expect(guesses.slice(0, 10)).toEqual(Array(10).fill(401));
    expect(guesses.at(-1)).toBe(429);
    expect((await attempt('ada', passwordOf('ada'), cookie)).status).toBe(429);
  });

  it('knows a browser over a change of console.secret, until the old key is dropped', async () => {
    const secrets = (...letters: string[]): void =>
      test.console.reload(
        testConfig({
          console: { ...signIn, trustProxy: true, secret: letters.map((one) => new Secret(one.repeat(32))) },
        }),
      );
    secrets('a');
    const { cookies } = await attempt('edda', passwordOf('edda'));
    const cookie = cookies.find((one) => one.startsWith('dispatch-device-'))?.split(';')[0] ?? '';
    for (let count = 0; count < 21; count += 1) await attempt('edda', `guess-${count}`);
    expect((await attempt('edda', passwordOf('edda'))).status).toBe(429);
    secrets('b', 'a');
    expect((await attempt('edda', passwordOf('edda'), cookie)).status).toBe(303);
    secrets('b');
    expect((await attempt('edda', passwordOf('edda'), cookie)).status).toBe(429);
    test.console.reload(test.config);
  });

  it('hashes few passwords at a time: other work in threads continues', async () => {
    let hashed = 0;
    const guesses = Array.from({ length: 200 }, async (_, count) => {
      const { status } = await attempt(`nobody-${count}`, 'x'.repeat(20));
      if (status === 401) hashed += 1;
      return status;
    });
    // Requests read during the wait are read before most are checked.
    for (let count = 0; count < 8; count += 1) await readFile(import.meta.filename);
    expect(hashed).toBeLessThan(10);
    const statuses = await Promise.all(guesses);
    expect(statuses.filter((status) => status === 503).length).toBeGreaterThan(100);
    expect(statuses.filter((status) => status === 401).length).toBeLessThan(30);
  });

  it('stores no tried names in Redis', async () => {
    const size = async (): Promise<number> => {
      const keys = await test.redis.keys('*:sign-in:*');
      const sizes = await Promise.all(keys.map((key) => test.redis.strlen(key)));
      return sizes.reduce((sum, one) => sum + one, 0);
    };
    for (let count = 0; count < 20; count += 1) await attempt(`somebody-${count}`, 'wrong');
    expect((await test.redis.keys('*:sign-in:*')).length).toBeLessThanOrEqual(4);
    expect(await size()).toBeLessThanOrEqual(4 * 16_384);
  });

  it('rejects a form larger than expected', async () => {
    expect((await attempt('vera', 'x'.repeat(20_000))).status).toBe(413);
  });
});
