import { writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signIn, startTestConsole, testToken, type TestConsole } from '../testing/start-test-console.ts';

/* For a manually edited file that cannot be used, pages and forms show the problem, and none of them fails. */

const sources = `sources: { main: { url: 'http://127.0.0.1:1' } }\n`;
const good = `${sources}targets: { a: { type: dummy } }\nrules: [{ name: one, targets: [a] }]\n`;

let test: TestConsole;
beforeAll(async () => {
  test = await startTestConsole({ console: signIn, file: good });
});
afterAll(() => test?.[Symbol.asyncDispose]());

const ask = (method: string, path: string, body?: unknown): ReturnType<TestConsole['ask']> => {
  const authorization = `Bearer ${testToken.administrator}`;
  const headers = { authorization, ...(!path.startsWith('/api') && { accept: 'text/html' }) };
  return test.ask(method, path, { headers, body });
};
const edit = (text: string): Promise<void> => writeFile(test.store?.path ?? '', text);
const api = '/api/configuration';
const discard = async (): Promise<void> => {
  const { seen = '' } = (await ask('GET', `${api}/draft`)).body as { seen?: string };
  await ask('POST', `${api}/draft/discard`, { seen });
};

const pages = [
  '/configuration/targets',
  '/configuration/target?name=a',
  '/configuration/rules',
  '/configuration/rule?name=one',
  '/configuration/entries?kind=groups',
  '/configuration/entries?kind=users',
  '/configuration/entry?kind=cache',
  '/configuration/target-defaults',
];
const changes: readonly (readonly [string, string, unknown])[] = [
  ['POST', `${api}/targets/a/check`, { was: 'a', type: 'dummy', values: {} }],
  ['PUT', `${api}/targets/fresh`, { type: 'dummy', values: {} }],
  ['PUT', `${api}/targets/renamed`, { was: 'a', type: 'dummy', values: {} }],
  ['POST', `${api}/targets/a/enabled`, { enabled: false }],
  ['POST', `${api}/rules/one/check`, { was: 'one', values: { targets: 'a' } }],
  ['PUT', `${api}/rules/fresh`, { values: { targets: 'a' } }],
  ['POST', `${api}/rules/one/move`, { direction: 'down' }],
  ['PUT', `${api}/entries/groups/fresh`, { values: { targets: 'a' } }],
  ['PUT', `${api}/entries/users/fresh`, { values: { password: 'long enough to be kept' } }],
];

describe('a file that is edited by hand', () => {
  it.each([
    [
      'a key twice',
      'targets: { a: { type: dummy }, a: { type: dummy } }',
      /dispatch\.yaml:2:\d+: is not YAML: Map keys must be unique/,
    ],
    ['tabs', 'targets:\n\ta: { type: dummy }', /Tabs are not allowed/],
    ['an unknown alias', 'targets: *nothing', /Unresolved alias/],
  ])('with %s is reported as what it is, and is corrected as YAML', async (_, line, why) => {
    await edit(`${sources}${line}\n`);
    for (const path of pages) {
      const { status, text } = await ask('GET', path);
      expect([path, status], text).toEqual([path, 409]);
      expect(text).toMatch(why);
      expect(text).toContain('correct it with');
    }
    for (const [method, path, body] of changes)
      expect([path, (await ask(method, path, body)).status]).toEqual([path, 409]);
    const page = await ask('GET', '/configuration');
    expect([page.status, page.text.includes('Edit as YAML')]).toEqual([200, true]);
    const { digest } = (await ask('GET', api)).body as { digest: string };
    expect(await ask('PUT', `${api}/draft`, { text: good, seen: digest })).toMatchObject({ body: { problems: [] } });
    expect((await ask('GET', '/configuration/targets')).status).toBe(200);
    await discard();
  });

  it.each([
    ['lists', 'targets: []\nrules: {}\ngroups: [x]\nconsole: [x]\n'],
    ['texts', 'targets: text\nrules: text\ngroups: text\nconsole: text\ntargetDefaults: text\n'],
    ['nothing', 'targets: { a: }\nrules: [null]\ngroups: { g: }\nconsole: { users: { ada: } }\n'],
    [
      'texts as entries',
      'targets: { a: text, b: 7 }\nrules: [text, 7]\ngroups: { g: text }\nconsole: { users: { ada: x } }\n',
    ],
    ['an unknown type', 'targets: { a: { type: nothing }, b: { type: "package:./nothing.js" } }\nrules: [{}]\n'],
  ])('with %s where maps are expected fails in no page and no form', async (_, text) => {
    await edit(`${sources}${text}`);
    const failed: unknown[] = [];
    for (const path of pages) {
      const { status } = await ask('GET', path);
      if (status >= 500) failed.push([path, status]);
    }
    for (const [method, path, body] of changes) {
      const { status } = await ask(method, path, body);
      if (status >= 500) failed.push([path, status]);
      const { status: shown } = await ask('GET', '/configuration');
      if (shown !== 200) failed.push(['/configuration after', path, shown]);
      await discard();
    }
    expect(failed).toEqual([]);
  });
});
