import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { signIn, startTestConsole, testToken, type TestConsole } from '../testing/start-test-console.ts';

const file = `sources: { main: { url: 'http://127.0.0.1:1' } }
redis: { url: 'redis://:plain-word-4@127.0.0.1:1' }
targets:
  first: { type: dummy }
  pacs: { type: sftp, host: files.example, username: me, password: '\${PACS_PASSWORD}', path: /in, hostKey: insecure-any }
rules:
  - { name: all, targets: [first] }
`;
const secrets = { REDIS_PASSWORD: 'redis-secret-2', PACS_PASSWORD: 'pacs-secret-3' };
const words = Object.values(secrets);

let test: TestConsole;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'editor-'));
  await writeFile(join(folder, 'there'), 'words of a file');
  test = await startTestConsole({ console: signIn, file, env: secrets });
});
afterAll(async () => {
  await test[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});
beforeEach(async () => {
  const { seen = '' } = (await as('administrator', 'GET', '/api/configuration/draft')).body as { seen?: string };
  await as('administrator', 'POST', '/api/configuration/draft/discard', { seen });
});

function as(
  role: keyof typeof testToken,
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; text: string; body: unknown }> {
  const headers = {
    authorization: `Bearer ${testToken[role]}`,
    ...(!path.startsWith('/api') && { accept: 'text/html' }),
  };
  return test.ask(method, path, { headers, ...(body !== undefined && { body }) });
}

describe('without sign-in', () => {
  let open: TestConsole;
  beforeAll(async () => {
    open = await startTestConsole({ file, env: secrets });
  });
  afterAll(() => open[Symbol.asyncDispose]());

  it('a change can be prepared, and read as a patch, but not applied, restored or submitted as a whole', async () => {
    expect(
      await open.ask('POST', '/api/configuration/targets/first/enabled', { body: { enabled: false } }),
    ).toMatchObject({ status: 200 });
    const draft = (await open.ask('GET', '/api/configuration/draft')).body as { seen: string; patch: string };
    expect(draft.patch).toContain('enabled: false');
    const { seen } = draft;
    for (const [method, path, body] of [
      ['POST', '/api/configuration/draft/apply', { seen }],
      ['POST', '/api/configuration/versions/1/restore', {}],
      ['PUT', '/api/configuration/draft', { text: file, seen }],
    ] as const) {
      const { status, text } = await open.ask(method, path, { body });
      expect([path, status, text]).toEqual([path, 409, expect.stringMatching(/has no sign-in.*console\.users/)]);
    }
    expect((await open.ask('GET', '/api/configuration')).body).toMatchObject({ editing: false });
  });

  it('pages report this, with the remedy, and offer no editing', async () => {
    const { text } = await open.ask('GET', '/configuration', { headers: { accept: 'text/html' } });
    expect(text).toContain('The console has no sign-in');
    expect(text).toContain('console.users');
    expect(text).toContain('Copy as a patch');
    expect(text).not.toMatch(/Apply to all services|Edit as YAML|plain-word/);
    const version = await open.ask('GET', '/configuration/versions/1', { headers: { accept: 'text/html' } });
    expect(version.text).not.toMatch(/Restore version|plain-word/);
  });

  it('nothing is resolved, and no code loaded, that another account of the machine names', async () => {
    const values = { transform: '${REDIS_PASSWORD}' };
    const asked = { was: 'first', type: 'dummy', values };
    const { text } = await open.ask('POST', '/api/configuration/targets/first/check', { body: asked });
    expect(text).toContain('only an administrator');
    expect(text).not.toContain('redis-secret');
    const loaded = await open.ask('POST', '/api/configuration/targets/x/check', { body: { type: 'package:./x.js' } });
    expect(loaded.text).toContain('only an administrator may load');
  });
});

it('an entered secret that cannot be stored encrypted is reported at its field, with the remedy', async () => {
  const env = { ...secrets, DICOM_DISPATCH_KEY_FILE: join(folder, 'no-folder', 'key') };
  await using other = await startTestConsole({ console: signIn, file, env });
  const headers = { authorization: `Bearer ${testToken.administrator}` };
  const values = { host: 'a', username: 'me', path: '/in', hostKey: 'insecure-any', password: 'a word' };
  const path = '/api/configuration/targets/new';
  const checked = await other.ask('POST', `${path}/check`, { headers, body: { type: 'sftp', values } });
  expect((checked.body as { problems: { field: string; message: string }[] }).problems[0]).toMatchObject({
    field: 'password',
    message: expect.stringMatching(/cannot be stored encrypted here.*ENOENT.*\$\{NAME\} or file:PATH/),
  });
  const kept = await other.ask('PUT', path, { headers, body: { type: 'sftp', values } });
  expect(kept).toMatchObject({ status: 400, text: expect.stringContaining('cannot be stored encrypted') });
});

it('the form of a rule has its priors, and preserves them', async () => {
  const values = { targets: 'first', 'priors.count': '3', 'priors.maxAge': '5y', 'priors.first': 'true' };
  const when = '"CT" in prior.ModalitiesInStudy';
  const saved = await as('editor', 'PUT', '/api/configuration/rules/all', {
    was: 'all',
    values: { ...values, 'priors.when': when },
  });
  expect(saved).toMatchObject({ status: 200 });
  const page = await as('editor', 'GET', '/configuration/rule?name=all');
  for (const name of ['count', 'when', 'maxAge', 'from', 'targets', 'first', 'wait']) {
    expect(page.text).toContain(`name="priors.${name}"`);
  }
  const { patch } = (await as('editor', 'GET', '/api/configuration/draft')).body as { patch: string };
  for (const line of ['count: 3', 'maxAge: 5y', 'first: true', when]) expect(patch).toContain(line);
  const wrong = { was: 'all', values: { ...values, 'priors.when': 'prior.StudyDescriptoin == "x"' } };
  expect(await as('editor', 'POST', '/api/configuration/rules/all/check', wrong)).toMatchObject({
    text: expect.stringContaining('the nearest is StudyDescription'),
  });
});

describe('an editor', () => {
  it.each(Object.keys(secrets))('cannot read the environment variable %s by what a form answers', async (name) => {
    const form = { was: 'first', type: 'dummy', values: { transform: `\${${name}}`, delay: `\${${name}}` } };
    const rule = { was: 'all', values: { targets: `\${${name}}`, transform: `\${${name}}` } };
    const answers = [
      await as('editor', 'POST', '/api/configuration/targets/first/check', form),
      await as('editor', 'POST', '/api/configuration/targets/first/test', form),
      await as('editor', 'PUT', '/api/configuration/targets/first', form),
      await as('editor', 'POST', '/api/configuration/rules/all/check', rule),
      await as('editor', 'PUT', '/api/configuration/rules/all', rule),
    ];
    for (const { text } of answers) {
      expect(text).toContain('only an administrator may refer to the environment');
      for (const word of words) expect(text).not.toContain(word);
    }
  });

  it('cannot determine whether a file exists', async () => {
    const answerFor = async (path: string): Promise<string> => {
      const values = { host: 'a', calledAeTitle: 'A', 'tls.ca': path, 'tls.passphrase': `file:${path}` };
      const { text } = await as('editor', 'POST', '/api/configuration/targets/new/check', { type: 'dicom', values });
      return text.replaceAll(path, 'PATH');
    };
    const there = await answerFor(join(folder, 'there'));
    expect(there).toBe(await answerFor(join(folder, 'not-there')));
    expect(there).toContain('only an administrator may set programs, files and folders');
  });

  it('sees no content of references in a change of an administrator, only that it is theirs', async () => {
    const text = file.replace('first: { type: dummy }', "first: { type: dummy, transform: '${REDIS_PASSWORD}' }");
    expect(await as('administrator', 'PUT', '/api/configuration/draft', { text, seen: await digest() })).toMatchObject({
      status: 200,
      text: expect.stringContaining('redis-secret-2'),
    });
    const answers = [
      await as('editor', 'GET', '/api/configuration/draft'),
      await as('editor', 'POST', '/api/configuration/draft/preview', {}),
      await as('editor', 'GET', '/configuration'),
      await as('editor', 'GET', '/configuration/targets'),
    ];
    for (const answer of answers) for (const word of words) expect(answer.text).not.toContain(word);
    expect(answers[0]?.text).toContain('an administrator must apply this: targets.first');
    expect(answers[1]).toMatchObject({ status: 409 });
  });

  it('reads only targets, groups and rules, in every answer and page', async () => {
    await as('editor', 'POST', '/api/configuration/targets/first/enabled', { enabled: false });
    const paths = ['/api/configuration', '/api/configuration/versions/1', '/api/configuration/draft'];
    const pages = ['/configuration', '/configuration/versions/1'];
    for (const path of [...paths, ...pages]) {
      const { status, text } = await as('editor', 'GET', path);
      expect([path, status]).toEqual([path, 200]);
      expect([path, text]).toEqual([path, expect.stringContaining('targets:')]);
      expect([path, text]).toEqual([path, expect.not.stringMatching(/plain-word|redis:/)]);
    }
    const { text } = await as('administrator', 'GET', '/api/configuration');
    expect(text).toContain('plain-word-4');
  });

  it('may still change their own sections', async () => {
    const values = { host: 'files.example', username: 'me', path: '/other', hostKey: 'insecure-any' };
    const form = { was: 'pacs', type: 'sftp', values };
    expect(await as('editor', 'PUT', '/api/configuration/targets/pacs', form)).toMatchObject({ status: 200 });
    const draft = await as('editor', 'GET', '/api/configuration/draft');
    expect(draft).toMatchObject({ body: { problems: [] } });
    const moved = { ...form, values: { ...values, host: 'evil.example' } };
    expect(await as('editor', 'PUT', '/api/configuration/targets/pacs', moved)).toMatchObject({
      status: 400,
      text: expect.stringContaining('the secret would be sent there'),
    });
  });
});

async function digest(): Promise<string> {
  return ((await as('administrator', 'GET', '/api/configuration')).body as { digest: string }).digest;
}
