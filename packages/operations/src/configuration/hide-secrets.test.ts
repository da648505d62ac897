import { cacheConfig, optionFields } from '@dicom-dispatch/core';
import { targetSchemas } from '@dicom-dispatch/targets/schemas';
import { expect, it } from 'vitest';
import { describeChanges } from './describe-changes.ts';
import { fieldText, readForm } from './form-values.ts';
import { omitSecrets } from './form-secrets.ts';
import { hideSecrets, textForEditors } from './hide-secrets.ts';

const text = `# of everybody
redis: { url: 'redis://:word-1@redis.example' } # word-2
console:
  notifications: { webhooks: { it: { url: 'https://hook.example', headers: { x-key: word-3 } } } }
targets:
  # ask Anna
  pacs:
    type: orthanc
    url: "https://me:word-4@pacs.example/x"
    headers: # two
      x-api-key: word-5
      x-block: |
        word-6
      x-ref: \${KEY}
      x-file: { file: key }
    description: 'it''s http://a'
rules:
  - { name: all, targets: [pacs] }
`;

it('shows editors their sections only, as they are written, without plain secrets', () => {
  const shown = textForEditors(text);
  expect(shown).toBe(`targets:
  # ask Anna
  pacs:
    type: orthanc
    url: 'https://***@pacs.example/x'
    headers: # two
      x-api-key: '***'
      x-block: '***'
      x-ref: \${KEY}
      x-file: { file: key }
    description: 'it''s http://a'
rules:
  - { name: all, targets: [pacs] }
`);
  expect(textForEditors(`{redis: {url: "redis://:word-1@x"}, targets: {a: {type: dummy}}}`)).toBe(
    'targets: {a: {type: dummy}}\n',
  );
  expect(textForEditors('a: [')).toBe('');
});

it('shows differences without plain secrets', () => {
  const of = (word: string): object => ({
    redis: { url: `redis://me:${word}@x` },
    targets: { a: { url: 'x', headers: { k: word } } },
  });
  const words = describeChanges(of('word-1'), { ...of('word-2'), extra: { b: { headers: { k: 'word-3' } } } });
  expect(words.map((one) => one.words)).toEqual([
    'redis.url: "redis://***@x" becomes "redis://***@x"',
    'targets.a.headers.k: "***" becomes "***"',
    'extra.b is added: {"headers":{"k":"***"}}',
  ]);
});

it('shows of an address that is a secret the host only', () => {
  const webhooks = { a: { url: 'https://hooks.slack.com/services/T0/B0/word' }, b: { url: '${HOOK}' } };
  expect(hideSecrets({ webhooks })).toEqual({
    webhooks: { a: { url: 'https://hooks.slack.com/***' }, b: { url: '${HOOK}' } },
  });
});

const field = (name: string) => optionFields(targetSchemas.dicomweb as never).find((one) => one.name === name)!;
const keys = optionFields(cacheConfig as never).find(({ name }) => name === 'secret')!;
const seal = async (text: string): Promise<string> => `v1.${text}`;

async function readOf(of: ReturnType<typeof field>, text: string, was: unknown) {
  const { value, problems } = await readForm([of], { [of.name]: text }, { [of.name]: was }, seal);
  return { value: value[of.name], problems: problems.map(({ message }) => message) };
}
const read = (name: string, text: string, was: unknown) => readOf(field(name), text, was);

it('masks headers in a form, restores them, and encrypts new ones', async () => {
  const was = { a: 'word', b: '${KEY}', c: { sealed: 'v1.c' }, d: { file: 'key' }, Accept: 'text/html' };
  const shown = fieldText(field('headers'), was);
  expect(shown).toBe('a: "***"\nb: ${KEY}\nc: "***"\nd:\n  file: key\nAccept: text/html');
  expect(await read('headers', shown, was)).toEqual({ value: was, problems: [] });
  expect(await read('headers', `${shown}\nAuthorization: Bearer x\ne: Bearer \${KEY}`, was)).toEqual({
    value: { ...was, Authorization: { sealed: 'v1.Bearer x' }, e: 'Bearer ${KEY}' },
    problems: [],
  });
  // For a duplicate there is no value that could be restored.
  expect((await read('headers', shown, undefined)).problems).toEqual(
    ['a', 'c'].map((name) => `*** is a placeholder for a value that is not known here: enter the value of ${name}`),
  );
  expect(omitSecrets(field('headers'), was)).toEqual({ b: '${KEY}', d: { file: 'key' }, Accept: 'text/html' });
  expect(omitSecrets(field('headers'), { a: 'word' })).toBeUndefined();
});

it('masks and encrypts secrets within an option that is edited as YAML', async () => {
  const was = { type: 'basic', username: 'me', password: { sealed: 'v1.p' } };
  const shown = fieldText(field('auth'), was);
  expect(shown).toBe('type: basic\nusername: me\npassword: "***"');
  const renamed = shown.replace(': me', ': you');
  expect(await read('auth', renamed, was)).toEqual({ value: { ...was, username: 'you' }, problems: [] });
  expect(await read('auth', '{ type: bearer, token: open sesame }', was)).toEqual({
    value: { type: 'bearer', token: { sealed: 'v1.open sesame' } },
    problems: [],
  });
  expect((await read('auth', '{ type: bearer, token: 007 }', was)).problems).toEqual([
    'token: put the text of a secret into quotes',
  ]);
  expect(omitSecrets(field('auth'), was)).toEqual({ type: 'basic', username: 'me' });
});

it('numbers masked secrets in a list: its lines can be inserted, moved and removed', async () => {
  const [a, b] = [{ sealed: 'v1.a' }, { sealed: 'v1.b' }];
  const of = (text: string, was: unknown) => readOf(keys, text, was);
  expect(fieldText(keys, [a, '${KEY}', b])).toBe('- "*** 1"\n- ${KEY}\n- "*** 2"');
  const added = { sealed: 'v1.new' };
  expect(await of('[new, "*** 1"]', [a, b])).toEqual({ value: [added, a], problems: [] });
  expect(await of('["*** 2"]', [a, b])).toEqual({ value: [b], problems: [] });
  expect(await of('["*** 2", "*** 1"]', [a, b])).toEqual({ value: [b, a], problems: [] });
  expect(await of('"*** 2"', [a, b])).toEqual({ value: b, problems: [] });
  // A single one has no number, and may become one of a list.
  expect(fieldText(keys, a)).toBe('"***"');
  expect(await of('[new, "***"]', a)).toEqual({ value: [added, a], problems: [] });
  for (const [text, was] of [
    ['["*** 3"]', [a, b]],
    ['["***"]', [a, b]],
    ['["*** 1"]', a],
  ] as const)
    expect((await of(text, was)).problems).toEqual([expect.stringContaining('is a placeholder for a value')]);
});

it('masks a login in an address, and does not keep the mask', async () => {
  const was = 'https://me:word@pacs.example/x';
  expect(fieldText(field('url'), was)).toBe('https://***@pacs.example/x');
  expect(await read('url', 'https://***@pacs.example/x', was)).toEqual({ value: was, problems: [] });
  expect((await read('url', 'https://***@other.example/x', was)).problems).toEqual([
    '*** is a placeholder for a value that is not known here: enter the value of the login',
  ]);
});
