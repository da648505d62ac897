import { optionFields } from '@dicom-dispatch/core';
import { targetSchemas } from '@dicom-dispatch/targets/schemas';
import { expect, it } from 'vitest';
import { describeChanges } from './describe-changes.ts';
import { fieldText, readForm } from './form-values.ts';
import { shownHeaders, textForEditors } from './hide-secrets.ts';

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

it('preserves headers that a form showed masked', async () => {
  const fields = optionFields(targetSchemas.orthanc as never).filter(({ name }) => name === 'headers');
  const was = { headers: { a: 'word', b: '${KEY}' } };
  const shown = fieldText(fields[0]!, was.headers);
  expect(shown).toBe('a: "***"\nb: ${KEY}');
  const read = async (headers: string): Promise<unknown> =>
    (await readForm(fields, { headers }, was, async () => '')).value['headers'];
  expect(await read(shown)).toEqual(was.headers);
  expect(await read(`${shown}\nc: new`)).toEqual({ ...was.headers, c: 'new' });
  // For a duplicate there is no value that could be restored.
  const copied = await readForm(fields, { headers: shown }, {}, async () => '');
  expect(copied.problems).toEqual([
    { path: ['headers'], message: '*** is a placeholder for a value that is not known here: enter the value of a' },
  ]);
  expect(shownHeaders(was.headers)).toEqual({ b: '${KEY}' });
  expect(shownHeaders({ a: 'word' })).toBeUndefined();
});
