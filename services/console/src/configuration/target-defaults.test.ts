import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse } from 'yaml';
import { signIn, startTestConsole, testToken, type TestConsole } from '../testing/start-test-console.ts';

/** A file with defaults of a type, merge keys and `x-` keys, which are preserved when a target is edited in its form. */
const file = `sources: { main: { url: 'http://127.0.0.1:1' } }
x-quick: &quick { attempts: 2 }
targetDefaults:
  sftp: { timeout: 2m, password: '\${PACS_PASSWORD}', username: me, enabled: false }
targets:
  pacs:
    <<: *quick # as agreed
    type: sftp
    host: files.example
    path: /in
    hostKey: insecure-any
    x-owner: Anna
rules:
  - { name: all, targets: [pacs] }
`;

let test: TestConsole;
beforeAll(async () => {
  test = await startTestConsole({ console: signIn, file, env: { PACS_PASSWORD: 'pacs-secret-3' } });
});
afterAll(() => test[Symbol.asyncDispose]());

const path = '/api/configuration/targets/pacs';
const values = { host: 'files.example', path: '/in', hostKey: 'insecure-any', attempts: '2' };

function as(role: keyof typeof testToken, method: string, to: string, body?: unknown): ReturnType<TestConsole['ask']> {
  const headers = {
    authorization: `Bearer ${testToken[role]}`,
    ...(!to.startsWith('/api') && { accept: 'text/html' }),
  };
  return test.ask(method, to, { headers, ...(body !== undefined && { body }) });
}

it('the form shows what a target has from targetDefaults, and of a secret only where it is', async () => {
  const { text } = await as('editor', 'GET', '/configuration/target?name=pacs');
  for (const shown of ['from targetDefaults: 2m', 'from targetDefaults: me', 'from targetDefaults: ${PACS_PASSWORD}'])
    expect(text).toContain(shown);
  expect(text).not.toContain('pacs-secret-3');
});

it('a change writes no default into the target, and preserves merge key, comment and x- key', async () => {
  const form = { was: 'pacs', type: 'sftp', values: { ...values, maxParallel: '3' } };
  expect((await as('editor', 'POST', `${path}/check`, form)).body).toMatchObject({ problems: [] });
  expect(await as('editor', 'PUT', path, form)).toMatchObject({ status: 200 });
  const { patch } = (await as('editor', 'GET', '/api/configuration/draft')).body as { patch: string };
  const changed = patch.split('\n').filter((line) => /^[+-](?![+-])/.test(line));
  expect(changed).toEqual(['+    maxParallel: 3']);
});

it('a target that is off by default is switched on by its own option', async () => {
  expect(await as('editor', 'POST', `${path}/enabled`, { enabled: true })).toMatchObject({ status: 200 });
  const { text } = (await as('administrator', 'GET', '/api/configuration/draft')).body as { text: string };
  expect((parse(text, { merge: true }) as { targets: { pacs: object } }).targets.pacs).toMatchObject({ enabled: true });
  expect(await as('editor', 'POST', `${path}/enabled`, { enabled: false })).toMatchObject({ status: 200 });
  const off = (await as('administrator', 'GET', '/api/configuration/draft')).body as { text: string };
  expect((parse(off.text) as { targets: { pacs: object } }).targets.pacs).not.toHaveProperty('enabled');
});

it('an editor cannot send the default secret to another host', async () => {
  const form = { was: 'pacs', type: 'sftp', values: { ...values, host: 'evil.example' } };
  for (const [method, to] of [
    ['POST', `${path}/check`],
    ['POST', `${path}/test`],
    ['PUT', path],
  ] as const)
    expect((await as('editor', method, to, form)).text).toMatch(/host is changed.*enter the secret again/);
});

it('the form of a new target is rejected for a page of another site, which could name a program to load', async () => {
  const headers = {
    authorization: `Bearer ${testToken.administrator}`,
    accept: 'text/html',
    'sec-fetch-site': 'cross-site',
  };
  const { status, text } = await test.ask('GET', '/configuration/target?type=./other.ts', { headers });
  expect(status).toBe(400);
  expect(text).toContain('sent by a page of another site');
});
