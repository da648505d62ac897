import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { signIn, startTestConsole, testToken, type TestConsole } from '../testing/start-test-console.ts';

const names = ['r1', 'r2', 'r3', 'r4', 'r5', 'r6'];
const file = `sources:
  main: { url: http://127.0.0.1:1 }
targets:
  a: { type: dummy }
rules:
${names.map((name) => `  - { name: ${name}, targets: [a] }\n`).join('')}`;

const headers = { authorization: `Bearer ${testToken.administrator}` };
let test: TestConsole;
beforeAll(async () => {
  test = await startTestConsole({ console: signIn, file });
});
afterAll(() => test?.[Symbol.asyncDispose]());

const ask = (method: string, path: string, body?: unknown) => test.ask(method, path, { headers, body });

interface Draft {
  readonly seen: string;
  readonly text: string;
}
const draft = async (): Promise<Draft> => (await ask('GET', '/api/configuration/draft')).body as Draft;
const rules = async (): Promise<{ name: string; enabled?: boolean; description?: string }[]> =>
  (parse((await draft()).text) as { rules: { name: string }[] }).rules;
const put = (path: string, body: unknown) => ask('PUT', `/api/configuration/${path}`, body);

describe('two users who change the configuration at the same time', () => {
  it('change the named rules, whatever their current position', async () => {
    const answers = await Promise.all([
      ...['r1', 'r2', 'r4'].map((name) => ask('POST', `/api/configuration/rules/${name}/remove`)),
      ask('POST', '/api/configuration/rules/r5/enabled', { enabled: false }),
      put('rules/r6', { was: 'r6', values: { targets: 'a', description: 'the last' } }),
      put('rules/r7', { values: { targets: 'a' } }),
      put('rules/r8', { values: { targets: 'a' } }),
    ]);
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    const left = await rules();
    expect(left.map(({ name }) => name).sort()).toEqual(['r3', 'r5', 'r6', 'r7', 'r8']);
    expect(left.filter(({ enabled }) => enabled === false).map(({ name }) => name)).toEqual(['r5']);
    expect(left.find(({ description }) => description === 'the last')?.name).toBe('r6');
  });

  it('add one rule or target of a name, not one over the other', async () => {
    for (const [path, body] of [
      ['rules/new', { values: { targets: 'a' } }],
      ['targets/new', { type: 'dummy', values: {} }],
    ] as const) {
      const answers = await Promise.all([put(path, body), put(path, body)]);
      expect(answers.map(({ status }) => status).sort()[0]).toBe(200);
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    }
  });

  it('change nothing that was removed', async () => {
    const [removed] = await Promise.all([
      ask('POST', '/api/configuration/targets/new/remove', {}),
      ask('POST', '/api/configuration/targets/new/enabled', { enabled: false }),
    ]);
    expect(removed.status).toBe(200);
    expect(parse((await draft()).text)).toMatchObject({ targets: { a: { type: 'dummy' } } });
    expect((await draft()).text).not.toMatch(/\bnew: *\{? *enabled/);
  });

  it('do not replace a text that they have not seen', async () => {
    const page = await ask('GET', '/configuration');
    const { seen, text } = await draft();
    expect(page.text).toContain(`data-seen="${seen}"`);
    expect((await put('draft', { text })).status).toBe(400);
    expect(await put('draft', { text: `${text}# one\n`, seen })).toMatchObject({ status: 200 });
    expect(await put('draft', { text: `${text}# other\n`, seen })).toMatchObject({ status: 409 });
    expect((await draft()).text).toBe(`${text}# one\n`);
    expect(await ask('POST', '/api/configuration/draft/discard', { seen })).toMatchObject({ status: 409 });
    expect((await draft()).text, 'what others have changed since is kept').toBe(`${text}# one\n`);
    expect(await ask('POST', '/api/configuration/draft/discard', { seen: (await draft()).seen })).toMatchObject({
      status: 200,
    });
    const { digest } = (await ask('GET', '/api/configuration')).body as { digest: string };
    expect((await ask('GET', '/configuration')).text).toContain(`data-seen="${digest}"`);
    expect(await put('draft', { text: `${file}# third\n`, seen: digest })).toMatchObject({ status: 200 });
  });
});
