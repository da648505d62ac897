import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signIn, startTestConsole, testToken, type TestConsole } from '../testing/start-test-console.ts';

const file = `sources: { main: { url: 'http://127.0.0.1:1' } } # ours
targets:
  a: { type: dummy }
groups:
  g: { targets: [a] }
rules:
  - { name: all, targets: [g] }
`;
/** An external handler. */
const handler = `export const createHandler = (kit) => ({
  contractVersion: kit.contractVersion,
  type: 'gateway',
  about: {
    displayName: 'Gateway of the hospital', purpose: 'Sends to the gateway.', icon: 'M3 3h18v18H3z',
    groups: { basic: ['address'], security: ['apiKey'] }, example: { address: 'gateway.example' },
  },
  schema: kit.z.strictObject({
    type: kit.z.string(), ...kit.targetOptions,
    address: kit.z.string().min(3).describe('address of the gateway'),
    colour: kit.z.enum(['red', 'green']).default('green').describe('colour of its lamp'),
    apiKey: kit.secret.optional().describe('its key'),
  }),
  deliver: async () => {},
  testConnection: async function* () { yield { name: 'lamp', result: 'passed', durationMs: 1, detail: 'on' }; },
});`;

const api = '/api/configuration';
const headers = (isPage: boolean): Record<string, string> => ({
  authorization: `Bearer ${testToken.administrator}`,
  ...(isPage && { accept: 'text/html' }),
});
const asker =
  (test: () => TestConsole) =>
  (method: string, path: string, body?: unknown): ReturnType<TestConsole['ask']> =>
    test().ask(method, path, { headers: headers(!path.startsWith('/api')), ...(body !== undefined && { body }) });

describe('console.editing: false, for a file that is managed elsewhere', () => {
  let test: TestConsole;
  const ask = asker(() => test);
  beforeAll(async () => {
    test = await startTestConsole({ console: { ...signIn, editing: false }, file });
  });
  afterAll(() => test?.[Symbol.asyncDispose]());

  it('shows everything, and a draft as a patch to copy, and applies nothing', async () => {
    expect(await ask('POST', `${api}/targets/a/enabled`, { enabled: false })).toMatchObject({ status: 200 });
    const draft = (await ask('GET', `${api}/draft`)).body as { seen: string; patch: string };
    expect(draft.patch).toMatch(
      /^--- .*\n\+\+\+ [^]*-  a: \{ type: dummy \}\n\+  a: \{ type: dummy, enabled: false \}/m,
    );
    const page = (await ask('GET', '/configuration')).text;
    for (const text of ['console.editing is false', 'Copy as a patch', 'targets.a.enabled is added: false'])
      expect(page).toContain(text);
    expect(page).not.toContain('Apply to all services');
    for (const [path, body] of [
      ['draft/apply', { seen: draft.seen }],
      ['versions/1/restore', {}],
    ] as const)
      expect(await ask('POST', `${api}/${path}`, body)).toMatchObject({
        status: 409,
        text: expect.stringContaining('managed elsewhere'),
      });
  });

  it('an edit that is undone leaves no draft, in any notation', async () => {
    await ask('POST', `${api}/targets/a/enabled`, { enabled: true });
    expect((await ask('GET', `${api}/draft`)).status).toBe(404);
    const rename = (was: string, name: string): ReturnType<TestConsole['ask']> =>
      ask('PUT', `${api}/targets/${name}`, { was, type: 'dummy', values: {} });
    expect((await rename('a', 'b')).status).toBe(200);
    expect((await ask('GET', `${api}/draft`)).body).toMatchObject({
      text: expect.stringContaining('g: { targets: [ b ] }'),
    });
    expect((await rename('b', 'a')).status).toBe(200);
    expect((await ask('GET', `${api}/draft`)).status).toBe(404);
  });
});

describe('a handler from outside', () => {
  let test: TestConsole;
  const ask = asker(() => test);
  const type = 'package:./gateway.mjs';
  beforeAll(async () => {
    test = await startTestConsole({ console: signIn, file });
    await writeFile(join(dirname(test.store?.path ?? ''), 'gateway.mjs'), handler);
  });
  afterAll(() => test?.[Symbol.asyncDispose]());

  it('has a form from its schema, with its name, groups, examples and problems, and is tested and saved', async () => {
    const page = (await ask('GET', `/configuration/target?type=${encodeURIComponent(type)}`)).text;
    for (const text of [
      'Gateway of the hospital',
      'address of the gateway',
      'value="gateway.example"',
      'colour of its lamp',
    ])
      expect(page).toContain(text);
    expect(page).toMatch(/<input\s+type="password"\s+name="apiKey"/);
    const form = (address: string): object => ({ type, values: { address, colour: 'red', apiKey: 'a word of it' } });
    expect((await ask('POST', `${api}/targets/gate/check`, form('x'))).body).toMatchObject({
      problems: [{ field: 'address' }],
    });
    expect((await ask('POST', `${api}/targets/gate/test`, form('gateway.example'))).body).toMatchObject({
      passed: true,
      checks: [{ name: 'lamp' }],
    });
    expect(await ask('PUT', `${api}/targets/gate`, form('gateway.example'))).toMatchObject({ status: 200 });
    const { text } = (await ask('GET', `${api}/draft`)).body as { text: string };
    expect(text).toMatch(/gate:\n +type: package:\.\/gateway\.mjs\n/);
    expect(text).toMatch(/apiKey:\n +sealed: v1\./);
    expect(text).not.toContain('a word of it');
  });
});
