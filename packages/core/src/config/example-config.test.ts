import { expect, it } from 'vitest';
import { z } from 'zod';
import type { TargetSchema } from './config-schema.ts';
import { exampleConfig } from './example-config.ts';
import { targetOptions } from './target-options.ts';

const part = z.strictObject({ a: z.string().describe('first'), b: z.int().default(3).describe('second') });
const other = z.strictObject({ c: z.boolean().describe('third') });
const target = (type: string, options: z.ZodRawShape = {}): TargetSchema =>
  z.strictObject({ type: z.literal(type), ...targetOptions, ...options }) as unknown as TargetSchema;

const schemas = [
  target('one'),
  target('two', {
    host: z.string().describe('a host'),
    path: z.string().describe('a path'),
    port: z.int().default(104).describe('a port'),
    mode: z.enum(['x', 'y']).describe('a mode'),
    kind: z.literal('z').optional().describe('a kind'),
    flag: z.boolean().optional(),
    count: z.number().optional(),
    names: z.array(z.string()).optional(),
    tags: z.record(z.string(), z.string()).optional(),
    part: part.describe('a part'),
    maybe: part.optional().describe('an optional part'),
    list: z.array(part).describe('a list'),
    map: z.record(z.string(), part).optional().describe('a map'),
    either: z.union([part, other]).describe('one of two'),
    short: part.describe('a part on one line'),
    text: z.union([z.string(), part, other]).default('x').describe('a text, or one of two'),
  }),
  target('dicom-tls'),
];

const examples = {
  'targets.two.path': '/data',
  'targets.two.part.a': 'given',
  'targets.two.short': '{ a: given }',
  'targets.two.text': 'given',
};

const expected = `
  my-two:
    type: two
    # and all options that are common to all targets: see the first one
    # a host
    # host: ...
    # a path
    path: /data
    # a port
    # port: 104
    # a mode: x, y
    # mode: x
    # a kind
    # kind: z
    # flag: true
    # count: 1
    # names: [...]
    # tags: { NAME: VALUE }
    # a part
    part:
      # first
      a: given
      # second
      # b: 3
    # an optional part
    # maybe:
      # first
      # a: ...
      # second
      # b: 3
    # a list
    list:
        # first
      # - a: ...
        # second
        # b: 3
    # a map
    # map:
    #   NAME:
        # first
        # a: ...
        # second
        # b: 3
    # one of two
    either: # one of these
      # first
      # a: ...
      # second
      # b: 3
      # third
      # c: true
    # a part on one line
    short: { a: given }
    # its options:
      # first
      # a: ...
      # second
      # b: 3
    # a text, or one of two
    text: given
    # its options, one of these groups:
      # first
      # a: ...
      # second
      # b: 3
      # third
      # c: true
`;

it('the example configuration has each option once, as a user would write it, with its description', () => {
  const text = exampleConfig(schemas, examples);
  const of = (name: string): string =>
    text.slice(text.indexOf(`\n  ${name}:`), text.indexOf('\n\n', text.indexOf(`\n  ${name}:`) + 1));
  expect(`${of('my-two')}\n`).toBe(expected);
  // The options of all targets, once.
  expect(text.split('# maximum attempts of a delivery')).toHaveLength(2);
  expect(of('my-one')).toContain('\n    # attempts: 8\n');
  // Another name of a type is not shown.
  expect(text).not.toContain('dicom-tls');
});

it('the sections of the example configuration have an entry that is called main, or are a list', () => {
  const text = exampleConfig(schemas, {
    'sources.*.url': 'http://a',
    'rules.*.name': 'first',
    'rules.*.targets': '[one]',
  });
  expect(text).toContain(`\n# sources: Orthanc servers whose studies are dispatched\nsources:\n  main:\n`);
  expect(text).toContain('\n    url: http://a\n');
  expect(text).toMatch(/\n# rules: .*\nrules:\n(    #.*\n)*  - name: first\n/);
  expect(text).toMatch(/\n# dispatcher: .*\ndispatcher:\n  #/);
  expect(text.indexOf('\n# targetDefaults: ')).toBeLessThan(text.indexOf('\ntargets:\n'));
  expect(text.indexOf('\ntargets:\n')).toBeLessThan(text.indexOf('\nrules:\n'));
  expect(text.endsWith('\n')).toBe(true);
});
