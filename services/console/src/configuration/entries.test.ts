import { isPasswordHash } from '@dicom-dispatch/core';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { signIn, startTestConsole, testToken, type TestConsole } from '../testing/start-test-console.ts';
import { formKinds } from './entry-kinds.ts';

const file = `sources:
  main: { url: http://127.0.0.1:1 }
targets:
  a: { type: dummy }
  b: { type: dummy }
rules:
  # the first
  - { name: one, targets: [a] }
  - { name: two, targets: [b] }
console:
  users:
    ada: { role: administrator, password: '\${ADA}' } # asks Anna
    bob: { role: administrator, password: '\${ADA}' }
  tokens:
    administrator: { role: administrator, token: '\${TOKEN}' }
    editor: { role: editor, token: '\${TOKEN}' }
  notifications:
    backlogOlderThan: 2h
    webhooks:
      old: { url: 'http://127.0.0.1:9' }
`;
const env = { ADA: 'ada has a bicycle', TOKEN: testToken.administrator };

let test: TestConsole;
beforeAll(async () => {
  // In the configuration in use, no rule sends to b.
  test = await startTestConsole({ console: signIn, file, env, rules: [{ name: 'one', targets: ['a'] }] });
});
afterAll(() => test?.[Symbol.asyncDispose]());
beforeEach(async () => {
  const { seen = '' } = (await ask('GET', '/api/configuration/draft')).body as { seen?: string };
  await ask('POST', '/api/configuration/draft/discard', { seen });
});

type Answer = Awaited<ReturnType<TestConsole['ask']>>;
const as = (role: 'administrator' | 'editor', method: string, path: string, body?: unknown): Promise<Answer> => {
  const headers = {
    authorization: `Bearer ${testToken[role]}`,
    ...(!path.startsWith('/api') && { accept: 'text/html' }),
  };
  return test.ask(method, path, { headers, body });
};
const ask = (method: string, path: string, body?: unknown): Promise<Answer> => as('administrator', method, path, body);
const entry = (path: string): string => `/api/configuration/entries/${path}`;
const draft = async (): Promise<{ text: string; problems: { message: string }[] }> =>
  (await ask('GET', '/api/configuration/draft')).body as never;
const fieldsOf = async (path: string, values: Record<string, string>, was?: string): Promise<string[]> => {
  const { body } = await ask('POST', entry(`${path}/check`), { values, was });
  return (body as { problems: { field: string }[] }).problems.map(({ field }) => field);
};

describe('the form of each part', () => {
  it.each(formKinds)('of %s is made from the schema', async (kind) => {
    const page = await ask('GET', `/configuration/entry?kind=${kind}`);
    expect([page.status, page.text.includes('data-error-of=')]).toEqual([200, true]);
  });

  it('shows problems at its field, like config check', async () => {
    expect(await fieldsOf('groups/g', { targets: 'nowhere' })).toEqual(['targets']);
    expect(await fieldsOf('groups/g', { targets: 'a\nb' })).toEqual([]);
    expect(await fieldsOf('sources/s', { url: 'ftp://x' })).toEqual(['url']);
    expect(await fieldsOf('transforms/t', { remove: 'NoSuchTag' })).toEqual(['remove']);
    expect(await fieldsOf('webhooks/w', { url: 'http://127.0.0.1:9', on: 'nothing' })).toEqual(['on']);
    expect(await fieldsOf('emails/e', { to: 'nobody' })).toEqual(['to']);
    expect(await fieldsOf('users/carl', { password: 'short' })).toEqual(['password']);
    expect(await fieldsOf('users/ada', { password: 'long enough to be kept' })).toEqual(['name']);
    expect(await fieldsOf('cache/cache', { maxMemory: 'much' })).toEqual(['maxMemory']);
  });

  it('preserves options that are not in the form, and comments', async () => {
    await ask('PUT', entry('notifications/notifications'), {
      was: 'notifications',
      values: { backlogOlderThan: '3h', 'smtp.host': 'mail', 'smtp.from': 'a@b.example' },
    });
    await ask('PUT', entry('webhooks/new'), { values: { url: 'http://127.0.0.1:8' } });
    const { text, problems } = await draft();
    expect(problems).toEqual([]);
    expect(parse(text)).toMatchObject({
      console: {
        notifications: {
          backlogOlderThan: '3h',
          smtp: { host: 'mail', from: 'a@b.example' },
          webhooks: { old: { url: 'http://127.0.0.1:9' }, new: { url: { sealed: expect.stringMatching(/^v1\./) } } },
        },
      },
    });
    expect(text).toContain('# asks Anna');
  });

  it('removes a section that loses its last option', async () => {
    await ask('PUT', entry('cache/cache'), { values: { maxMemory: '1GB' } });
    expect(parse((await draft()).text)).toMatchObject({ cache: { maxMemory: '1GB' } });
    await ask('PUT', entry('cache/cache'), { was: 'cache', values: { maxMemory: '' } });
    expect((await ask('GET', '/api/configuration/draft')).status, 'nothing is changed').toBe(404);
  });

  it('rotates keys in a list: a new first one, without the last one', async () => {
    const keys = async (secret: string, was?: string): Promise<unknown[]> => {
      await ask('PUT', entry('cache/cache'), { ...(was !== undefined && { was }), values: { secret } });
      return (parse((await draft()).text) as { cache: { secret: unknown[] } }).cache.secret;
    };
    const [first] = await keys('[a long key of last year, a long key of the year before]');
    const { text } = await ask('GET', '/configuration/entry?kind=cache&name=cache');
    expect(text).toMatch(/&quot;\*\*\* 1&quot;[^]*&quot;\*\*\* 2&quot;/);
    expect(await keys('[a long key of this year, "*** 1"]', 'cache')).toEqual([expect.anything(), first]);
    await ask('PUT', entry('cache/cache'), { was: 'cache', values: { secret: '' } });
    expect((await ask('GET', '/api/configuration/draft')).status, 'nothing is changed').toBe(404);
  });

  it('of a duplicate requires its secrets again', async () => {
    const values = { url: 'http://127.0.0.1:7', 'tls.passphrase': 'a secret word', password: 'another word' };
    await ask('PUT', entry('sources/second'), { values });
    const kept = async (query: string): Promise<number> =>
      (await ask('GET', `/configuration/entry?kind=sources&${query}`)).text.split('kept: entered here').length - 1;
    expect([await kept('name=second'), await kept('copy=second')]).toEqual([2, 0]);
  });

  it('of a duplicate has no header with a masked value, and accepts none', async () => {
    const url = 'http://127.0.0.1:7';
    await ask('PUT', entry('webhooks/second'), { values: { url, headers: 'x-key: word\nx-ref: ${ADA}' } });
    const shown = async (query: string): Promise<string> =>
      (await ask('GET', `/configuration/entry?kind=webhooks&${query}`)).text;
    expect(await shown('name=second')).toContain('x-key: &quot;***&quot;');
    const list = await ask('GET', '/configuration/entries?kind=webhooks');
    expect(list.text).toContain('entered here, stored encrypted');
    const copy = await shown('copy=second');
    expect([copy.includes('x-ref'), copy.includes('x-key')]).toEqual([true, false]);
    expect(await fieldsOf('webhooks/third', { url, headers: 'x-key: "***"' })).toEqual(['headers']);
  });

  it('adds, renames and removes', async () => {
    await ask('PUT', entry('groups/g'), { values: { targets: 'a\nb', strategy: 'round-robin' } });
    await ask('PUT', entry('groups/h'), { was: 'g', values: { targets: 'b', strategy: 'round-robin' } });
    expect(parse((await draft()).text)).toMatchObject({ groups: { h: { targets: ['b'], strategy: 'round-robin' } } });
    expect((await ask('GET', '/configuration/entries?kind=groups')).text).toContain('round-robin: b');
    expect((await ask('POST', entry('groups/h/remove'))).status).toBe(200);
    expect((await ask('POST', entry('groups/h/remove'))).status).toBe(404);
  });
});

describe('a new name', () => {
  it('of a target, group, source or transform is followed by all that names it', async () => {
    await ask('PUT', entry('transforms/t'), { values: { remove: 'PatientID' } });
    await ask('PUT', entry('groups/g'), { values: { targets: 'a\nb' } });
    const rule = { targets: 'g\nb', sources: 'main', transform: 't', when: "source == 'main'", 'priors.from': 'a' };
    expect(await ask('PUT', '/api/configuration/rules/three', { values: rule })).toMatchObject({ status: 200 });
    await ask('PUT', entry('webhooks/old'), { was: 'old', values: { url: 'http://127.0.0.1:9', targets: 'a' } });
    const target = { was: 'a', type: 'dummy', values: {} };
    expect(await ask('PUT', '/api/configuration/targets/archive', target)).toMatchObject({ status: 200 });
    for (const [path, was, values] of [
      ['groups/all', 'g', { targets: 'archive\nb' }],
      ['sources/orthanc', 'main', { url: 'http://127.0.0.1:1' }],
      ['transforms/cut', 't', { remove: 'PatientID' }],
    ] as const)
      expect(await ask('PUT', entry(path), { was, values })).toMatchObject({ status: 200 });
    const { text, problems, differences, warnings } = (await draft()) as unknown as {
      text: string;
      problems: unknown[];
      differences: { words: string }[];
      warnings: string[];
    };
    expect(problems).toEqual([]);
    expect(parse(text)).toMatchObject({
      groups: { all: { targets: ['archive', 'b'] } },
      rules: [
        { name: 'one', targets: ['archive'] },
        { name: 'two', targets: ['b'] },
        {
          name: 'three',
          targets: ['all', 'b'],
          sources: ['orthanc'],
          transform: 'cut',
          when: "source == 'orthanc'",
          priors: { from: 'archive' },
        },
      ],
      console: { notifications: { webhooks: { old: { targets: ['archive'] } } } },
    });
    expect(text).toContain('# the first');
    expect(differences.map(({ words }) => words)).toContain('rules.one.targets: ["a"] becomes ["archive"]');
    expect(warnings.join()).toContain('orthanc is main under a new name, and is followed as a new source');
  });

  it('is refused with what cannot follow by itself, until that names it', async () => {
    const when = (text: string): Promise<Answer> =>
      ask('PUT', '/api/configuration/rules/one', { was: 'one', values: { targets: 'a', when: text } });
    const rename = { was: 'main', values: { url: 'http://127.0.0.1:1' } };
    await when('source.startsWith("ma")');
    const refused = await ask('PUT', entry('sources/orthanc'), rename);
    expect(refused).toMatchObject({ status: 400, text: expect.stringContaining('rules.one.when: the expression') });
    await when('source.startsWith("ma") || source == "orthanc"');
    expect(await ask('PUT', entry('sources/orthanc'), rename)).toMatchObject({ status: 200 });
  });

  it('that an editor gives does not reach into sections of administrators', async () => {
    await ask('PUT', entry('webhooks/old'), { was: 'old', values: { url: 'http://127.0.0.1:9', targets: 'a' } });
    const target = { was: 'a', type: 'dummy', values: {} };
    const answer = await as('editor', 'PUT', '/api/configuration/targets/archive', target);
    expect(answer).toMatchObject({ status: 400, text: expect.stringContaining('console: only an administrator') });
  });
});

describe('defaults of a type of target', () => {
  it('have a form, apply to their targets, and are removed with their last option', async () => {
    const form = await ask('GET', '/configuration/target-defaults/form?type=dummy');
    expect([form.status, form.text.includes('name="attempts"')]).toEqual([200, true]);
    const put = (was: string | undefined, attempts: string): Promise<Answer> =>
      ask('PUT', entry('targetDefaults/dummy'), { was, values: { attempts } });
    expect((await put(undefined, 'many')).text).toContain('attempts');
    expect((await put(undefined, '5')).status).toBe(200);
    const { text, problems } = await draft();
    expect([parse(text), problems]).toMatchObject([{ targetDefaults: { dummy: { attempts: 5 } } }, []]);
    expect((await ask('GET', '/configuration/target?name=a')).text).toContain('from targetDefaults: 5');
    const list = await ask('GET', '/configuration/target-defaults');
    expect(list.text).toMatch(/<td class="num">2<\/td>\s*<td class="wide">attempts<\/td>/);
    expect((await put('dummy', '')).status).toBe(200);
    expect((await draft()).text).not.toContain('dummy: {}');
  });

  it('are for administrators, and of types that there are', async () => {
    expect((await as('editor', 'GET', '/configuration/target-defaults')).status).toBe(409);
    expect((await as('editor', 'PUT', entry('targetDefaults/dummy'), { values: {} })).status).toBe(409);
    expect((await ask('GET', '/configuration/target-defaults/form?type=package:./x.js')).status).toBe(404);
    expect((await ask('PUT', entry('targetDefaults/nothing'), { values: {} })).text).toContain('no target type');
  });
});

describe('sources, users, tokens, webhooks and e-mails', () => {
  it('are disabled and enabled again; nobody disables their own account', async () => {
    const enabled = (path: string, enabled: boolean): Promise<Answer> =>
      ask('POST', entry(`${path}/enabled`), { enabled });
    const disablable = ['sources/main', 'users/bob', 'tokens/editor', 'webhooks/old'];
    for (const path of disablable) expect([path, (await enabled(path, false)).status]).toEqual([path, 200]);
    const { text, problems } = await draft();
    expect([text.match(/enabled: false/g)?.length, problems]).toEqual([4, []]);
    expect(text).toContain('# asks Anna');
    for (const kind of ['sources', 'users'])
      expect((await ask('GET', `/configuration/entries?kind=${kind}`)).text).toContain('⊘ disabled');
    for (const path of disablable) expect([path, (await enabled(path, true)).status]).toEqual([path, 200]);
    expect((await ask('GET', '/api/configuration/draft')).status, 'nothing is changed').toBe(404);
    expect(await enabled('tokens/administrator', false)).toMatchObject({
      status: 409,
      text: expect.stringContaining('would no longer be an administrator'),
    });
    expect((await enabled('users/nobody', false)).status).toBe(404);
    expect((await as('editor', 'POST', entry('users/bob/enabled'), { enabled: false })).status).toBe(409);
  });
});

describe('users', () => {
  it('get a password of which only the hash is kept, encrypted', async () => {
    const password = 'carl counts to ten';
    const values = { password, role: 'operator' };
    expect((await ask('PUT', entry('users/carl'), { values })).status).toBe(200);
    const { text } = await draft();
    const { users } = (parse(text) as { console: { users: Record<string, { password: { sealed: string } }> } }).console;
    const sealed = users['carl']?.password.sealed ?? '';
    expect(text).not.toContain(password);
    expect(isPasswordHash((await test.store?.seal.unseal(sealed)) ?? '')).toBe(true);
    const shown = await ask('GET', '/configuration/entry?kind=users&name=carl');
    expect(shown.text).not.toContain(sealed);
  });

  it('always have an administrator, and users cannot lock themselves out', async () => {
    for (const name of ['ada', 'bob']) expect((await ask('POST', entry(`users/${name}/remove`))).status).toBe(200);
    const own = await ask('POST', entry('tokens/administrator/remove'));
    expect([own.status, own.text]).toEqual([409, expect.stringContaining('there would be no administrator')]);
    const { seen, text } = (await ask('GET', '/api/configuration/draft')).body as { seen: string; text: string };
    const without = text.replace('administrator: { role: administrator', 'administrator: { role: viewer');
    await ask('PUT', '/api/configuration/draft', { text: without, seen });
    const { problems, ...changed } = (await ask('GET', '/api/configuration/draft')).body as {
      seen: string;
      problems: { message: string }[];
    };
    expect(problems.map(({ message }) => message)).toEqual([
      expect.stringContaining('there would be no administrator'),
    ]);
    const applied = await ask('POST', '/api/configuration/draft/apply', { seen: changed.seen });
    expect([applied.status, applied.text]).toEqual([409, expect.stringContaining('there would be no administrator')]);
  });

  it('who are administrators do not take the role from themselves', async () => {
    const values = { token: '', role: 'viewer' };
    const answer = await ask('PUT', entry('tokens/administrator'), { was: 'administrator', values });
    expect([answer.status, answer.text]).toEqual([400, expect.stringContaining('would no longer be an administrator')]);
    expect((await ask('PUT', entry('users/ada'), { was: 'ada', values: { role: 'viewer' } })).status).toBe(200);
  });
});

describe('an editor', () => {
  it('changes groups, and reads and changes no other of them', async () => {
    expect((await as('editor', 'PUT', entry('groups/g'), { values: { targets: 'a' } })).status).toBe(200);
    expect((await as('editor', 'GET', '/configuration/entry?kind=groups&name=g')).status).toBe(200);
    for (const kind of formKinds.filter((one) => one !== 'groups')) {
      const page = await as('editor', 'GET', `/configuration/entry?kind=${kind}`);
      expect([kind, page.status]).toEqual([kind, 409]);
      expect([kind, (await as('editor', 'POST', entry(`${kind}/x/check`), {})).status]).toEqual([kind, 409]);
      expect([kind, (await as('editor', 'PUT', entry(`${kind}/x`), {})).status]).toEqual([kind, 409]);
    }
    expect((await as('editor', 'POST', entry('users/bob/remove'))).status).toBe(409);
    expect((await as('editor', 'GET', '/configuration/entries?kind=users')).status).toBe(409);
    const overview = await as('editor', 'GET', '/configuration');
    expect(overview.text).toContain('kind=groups');
    expect(overview.text).not.toContain('kind=users');
  });
});

it('rules change places, with their comments', async () => {
  const move = (rule: string, direction: string): Promise<Answer> =>
    ask('POST', `/api/configuration/rules/${rule}/move`, { direction });
  await move('one', 'down');
  const { text } = await draft();
  expect((parse(text) as { rules: { name: string }[] }).rules.map(({ name }) => name)).toEqual(['two', 'one']);
  expect(text).toMatch(/# the first\n {2}- \{ name: one/);
  await move('one', 'down');
  await move('one', 'up');
  expect((await ask('GET', '/api/configuration/draft')).status, 'it is as it was').toBe(404);
  expect((await move('three', 'up')).status).toBe(404);
});

it('what config check warns of is shown for what is in use', async () => {
  const page = await ask('GET', '/configuration');
  expect(page.text.includes('Warnings for the configuration in use')).toBe(true);
  expect(page.text).toMatch(/<code>targets\.b<\/code>/);
});
