import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { durationMs, optionFields, optionFieldsAt, schemaAt, secret, sizeBytes, type OptionField } from '../index.ts';
import { secretKeys } from './secret.ts';

const headers = z.record(z.string(), z.union([z.string(), secret]));
const auth = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('none') }),
  z.strictObject({ type: z.literal('basic'), username: z.string(), password: secret }),
  z.strictObject({ type: z.literal('bearer'), token: secret }),
]);
const schema = z.strictObject({
  type: z.literal('net'),
  host: z.string().describe('host name'),
  port: z.int().default(104),
  mode: z.enum(['fast', 'safe']).default('safe'),
  tls: z.boolean().optional(),
  timeout: durationMs.default(90_000).describe('maximum wait'),
  memory: sizeBytes.default(2048),
  password: secret.optional(),
  tags: z.array(z.string()).default([]),
  modes: z.array(z.enum(['a', 'b'])).optional(),
  numbers: z.array(z.int()).optional(),
  backoff: z.strictObject({ first: durationMs.default(5000) }).prefault({}),
  keys: secretKeys.optional(),
  keep: z.union([z.literal('forever'), z.enum(['a'])]).default('forever'),
  auth: auth.default({ type: 'none' }),
  headers: headers.optional(),
  named: z.record(z.string(), z.strictObject({ token: secret, label: z.string() })).optional(),
});

function field(name: string): OptionField {
  const found = optionFields(schema).find((one) => one.name === name);
  if (!found) throw new Error(`no option ${name}`);
  return found;
}

describe('the fields of a form', () => {
  it('are the options in their order, without the type', () => {
    expect(optionFields(schema).map(({ name, kind }) => `${name} ${kind}`)).toEqual([
      'host text',
      'port number',
      'mode choice',
      'tls flag',
      'timeout text',
      'memory text',
      'password secret',
      'tags list',
      'modes list',
      'numbers yaml',
      'backoff section',
      'keys yaml',
      'keep text',
      'auth yaml',
      'headers yaml',
      'named yaml',
    ]);
    expect(optionFields(z.string())).toEqual([]);
  });

  it('are required only without default, and show it as a user would write it', () => {
    const required = optionFields(schema).filter(({ isRequired }) => isRequired);
    expect(required.map(({ name }) => name)).toEqual(['host']);
    expect(field('port').defaultText).toBe('104');
    expect(field('timeout').defaultText).toBe('90s');
    expect(field('memory').defaultText).toBe('2KiB');
    expect(field('mode')).toMatchObject({ defaultText: 'safe', choices: ['fast', 'safe'] });
    expect(field('keep').defaultText).toBe('forever');
    expect(field('tags').defaultText).toBe('[]');
    expect(field('auth').defaultText).toBe('{"type":"none"}');
    expect(field('tls').defaultText).toBeUndefined();
    expect(field('backoff').defaultText).toBeUndefined();
  });

  it.each<[z.ZodType, string]>([
    [z.string().default('two words'), '"two words"'],
    [z.string().default('12.5'), '"12.5"'],
    [z.string().default('/data/in'), '/data/in'],
    [z.string().default(''), '""'],
    [z.boolean().default(false), 'false'],
    [durationMs.default(0), '0'],
    [durationMs.default(1500), '1500ms'],
    [durationMs.default(86_400_000), '1d'],
    [durationMs.default(7_200_000), '2h'],
    [durationMs.default(120_000), '2m'],
    [sizeBytes.default(64_000_000), '64MB'],
    [sizeBytes.default(1024 ** 3), '1GiB'],
    [sizeBytes.default(1), '1B'],
    [sizeBytes.default(3_000_000_000), '3GB'],
    [sizeBytes.default(5_000), '5kB'],
    [sizeBytes.default(3 * 1024 ** 2), '3MiB'],
  ])('a default is written as in a file (%#)', (option, text) => {
    expect(optionFields(z.object({ option }))[0]?.defaultText).toBe(text);
  });

  it('have the description, wherever it was given', () => {
    expect(field('host').help).toBe('host name');
    expect(field('timeout').help).toBe('maximum wait');
    expect(field('tls').help).toBeUndefined();
    expect(optionFields(z.object({ one: z.string().describe('inside').optional() }))[0]?.help).toBe('inside');
  });

  it('of a section are those of its options', () => {
    expect(field('backoff').fields).toMatchObject([{ name: 'first', kind: 'text', defaultText: '5s' }]);
    expect(field('host').fields).toEqual([]);
  });
});

describe('the places of secrets in a value', () => {
  it('of headers are those whose names are not known to be open', () => {
    const value = {
      Authorization: 'x',
      Accept: 'y',
      'Content-Type': 'z',
      'X-Request-Id': '1',
      'x-forwarded-for': '2',
      'X-Api-Key': '3',
      Acceptable: '4',
    };
    expect(field('headers').secretsIn(value)).toEqual([['Authorization'], ['X-Api-Key'], ['Acceptable']]);
  });

  it('of a union are those of the variant that is written', () => {
    expect(field('auth').secretsIn({ type: 'basic', username: 'ada', password: 'x' })).toEqual([['password']]);
    expect(field('auth').secretsIn({ type: 'bearer', token: 'x' })).toEqual([['token']]);
    expect(field('auth').secretsIn({ type: 'none' })).toEqual([]);
    expect(field('auth').secretsIn(null)).toEqual([]);
    expect(field('auth').secretsIn('basic')).toEqual([]);
  });

  it('of a map are those of each entry, and of a key that can be a list, the key or each of them', () => {
    expect(field('named').secretsIn({ a: { token: 't', label: 'l' }, b: { token: 't', extra: 1 } })).toEqual([
      ['a', 'token'],
      ['b', 'token'],
    ]);
    expect(field('keys').secretsIn(['one', 'two'])).toEqual([[], ['0'], ['1']]);
    expect(field('keys').secretsIn('one')).toEqual([[]]);
  });

  it('are none in options that have a form control of another kind', () => {
    expect(field('password').secretsIn('x')).toEqual([]);
    expect(field('numbers').secretsIn([1])).toEqual([]);
  });
});

describe('the schema at a path', () => {
  it('is found in sections and below any name of a map', () => {
    expect(optionFieldsAt(['dispatcher']).map(({ name }) => name)).toContain('concurrency');
    expect(optionFieldsAt(['sources', 'any', 'sweep']).map(({ name }) => name)).toEqual(['every', 'settle', 'pause']);
    expect(schemaAt(['logging', 'level'])).toBeDefined();
  });

  it.each([[['nothing']], [['dispatcher', 'nothing']], [['logging', 'level', 'deeper']]])(
    'is not found at %j',
    (path) => {
      expect(() => schemaAt(path)).toThrow(new RangeError(`the configuration has no ${path.join('.')}`));
    },
  );
});
