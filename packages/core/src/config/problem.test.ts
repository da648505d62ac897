import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { toProblems } from './problem.ts';

/** The problems of a value in the option `option`. */
function of(option: z.ZodType, value: unknown, name = 'option'): string[] {
  const raw = { [name]: value };
  const { error } = z.strictObject({ [name]: option }).safeParse(raw);
  return error ? toProblems(error, raw).map(({ path, message }) => `${path.join('.')}: ${message}`) : [];
}

describe('a problem names the value and the remedy', () => {
  it.each<[string, z.ZodType, unknown, string]>([
    ['a missing text', z.string(), undefined, 'is missing: a text is required'],
    ['a missing list', z.array(z.string()), undefined, 'is missing: a list is required'],
    ['a missing map', z.object({}), undefined, 'is missing: a map is required'],
    ['a missing date', z.date(), undefined, 'is missing: a date is required'],
    ['a missing undefined', z.undefined(), 1, '1 is not an undefined'],
    ['a number for a text', z.string(), 3, '3 is not a text: write it in quotes'],
    ['a text for a number', z.number(), '3', '"3" is not a number: write digits without quotes'],
    ['a fraction', z.int(), 1.5, '1.5 is not a whole number'],
    ['a text for a flag', z.boolean(), 'yes', '"yes" is not true or false'],
    ['a text for a list', z.array(z.string()), 'x', '"x" is not a list: write [a, b]'],
    [
      'a list for a map',
      z.record(z.string(), z.string()),
      [],
      '[] is not a map: write NAME: VALUE in lines below, or { NAME: VALUE }',
    ],
    [
      'nothing for a map',
      z.object({}),
      null,
      'null is not a map: write NAME: VALUE in lines below, or { NAME: VALUE }',
    ],
    ['another word', z.enum(['a', 'b']), 'c', '"c" is not one of a, b'],
    ['too small a number', z.number().min(2), 1, '1: use at least 2'],
    ['too large a number', z.number().max(2), 3, '3: use at most 2'],
    ['an empty text', z.string().min(1), '', '"": must not be empty'],
    ['a short text', z.string().min(3), 'ab', '"ab": use at least 3 characters'],
    ['a long text', z.string().max(2), 'abc', '"abc": use at most 2 characters'],
    ['a long list', z.array(z.string()).max(1), ['a', 'b'], '["a","b"]: use at most 1 entries'],
    ['a bound with a message', z.number().max(2, 'two at most'), 3, '3: two at most'],
    ['a pattern with a message', z.string().regex(/x/, 'has no x'), 'a', '"a": has no x'],
    [
      'a union with a message',
      z.union([z.string(), z.int()], { error: 'a text or a number' }),
      true,
      'true: a text or a number',
    ],
    ['a rule with a message', z.string().refine(() => false, 'cannot be used'), 'a', 'cannot be used'],
  ])('%s', (_name, option, value, message) => {
    expect(of(option, value)).toEqual([`option: ${message}`]);
  });

  it('each unknown key is one', () => {
    expect(of(z.strictObject({ a: z.int() }), { a: 1, b: 2, c: 3 })).toEqual([
      'option.b: unknown key "b": remove it or correct its spelling',
      'option.c: unknown key "c": remove it or correct its spelling',
    ]);
  });

  it('a name that is not allowed is shown', () => {
    const names = z.record(z.string().regex(/^[a-z]+$/, 'small letters only'), z.int());
    expect(of(names, { A: 1 })).toEqual(['option.A: "A": small letters only']);
  });

  it('an unknown type is shown with the known ones, at the type', () => {
    const variants = z.discriminatedUnion('type', [
      z.strictObject({ type: z.literal('a') }),
      z.strictObject({ type: z.literal('b') }),
    ]);
    expect(of(variants, { type: 'c' })).toEqual(['option.type: "c" is not a known type: use one of a, b']);
    expect(of(variants, {})).toEqual(['option.type: nothing is not a known type: use one of a, b']);
    expect(of(variants, undefined)[0]).toContain('option');
  });
});

describe('a value in a message', () => {
  it('is shortened', () => {
    expect(of(z.boolean(), 'x'.repeat(100))).toEqual([`option: "${'x'.repeat(56)}... is not true or false`]);
    expect(of(z.boolean(), 'x'.repeat(58))).toEqual([`option: "${'x'.repeat(58)}" is not true or false`]);
  });

  it.each([
    'password',
    'secret',
    'pushSecret',
    'token',
    'passphrase',
    'key',
    'accountKey',
    'apikey',
    'searchKey',
    'privateKey',
  ])('is not shown in an option that is called %s', (name) => {
    expect(of(z.boolean(), 'hunter2', name)).toEqual([`${name}: this value is not true or false`]);
    expect(of(z.boolean(), undefined, name)).toEqual([`${name}: is missing: true or false is required`]);
  });

  it('is shown in options whose names only look like it', () => {
    expect(of(z.boolean(), 'x', 'keyboard')).toEqual(['keyboard: "x" is not true or false']);
    expect(of(z.boolean(), 'x', 'monkey')).toEqual(['monkey: "x" is not true or false']);
  });

  it('has no password of an address, and is neither a header nor the address of a webhook', () => {
    expect(of(z.boolean(), 'http://ada:hunter2@x/')).toEqual(['option: "http://***@x/" is not true or false']);
    expect(of(z.object({ any: z.boolean() }), { any: 'hunter2' }, 'headers')).toEqual([
      'headers.any: this value is not true or false',
    ]);
    const hooks = z.object({ desk: z.object({ url: z.boolean(), format: z.boolean() }) });
    expect(of(hooks, { desk: { url: 'hunter2', format: 'x' } }, 'webhooks')).toEqual([
      'webhooks.desk.url: this value is not true or false',
      'webhooks.desk.format: "x" is not true or false',
    ]);
  });
});
