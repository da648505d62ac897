import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { configJsonSchema, parseConfig, Secret, targetOptions, type TargetSchema } from '../index.ts';

const net = z.strictObject({
  type: z.literal('net'),
  ...targetOptions,
  host: z.string(),
  timeout: z.int().default(5),
  password: z.custom<Secret>((value) => value instanceof Secret, 'a secret').optional(),
});
const disk = z.strictObject({ type: z.literal('disk'), ...targetOptions, path: z.string() });
const schemas = [net, disk] as unknown as TargetSchema[];
const written = (more: object): object => ({
  sources: { main: { url: 'http://127.0.0.1:8042' } },
  targets: {
    a: { type: 'net', host: 'a' },
    b: { type: 'net', timeout: 9, backoff: { first: '1s' } },
    c: { type: 'disk', path: '/data' },
  },
  ...more,
});

function problemsOf(raw: unknown): string[] {
  const parsed = parseConfig(raw, schemas);
  return parsed.ok ? [] : parsed.problems.map(({ path, message }) => `${path.join('.')}: ${message}`);
}

describe('targetDefaults', () => {
  it('are what targets of the type have where they give nothing themselves', () => {
    const net = { host: 'default', timeout: 7, attempts: 3, backoff: { max: '1h' }, password: new Secret('x') };
    const parsed = parseConfig(written({ targetDefaults: { net } }), schemas);
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
    const { a, b, c } = parsed.config.targets;
    expect(a).toMatchObject({ host: 'a', timeout: 7, attempts: 3, backoff: { first: 5_000, max: 3_600_000 } });
    // A section replaces that of the defaults completely.
    expect(b).toMatchObject({ host: 'default', timeout: 9, attempts: 3, backoff: { first: 1_000, max: 900_000 } });
    expect(c).toMatchObject({ attempts: 8, path: '/data' });
    expect(c).not.toHaveProperty('password');
    expect(parsed.config).not.toHaveProperty('targetDefaults');
  });

  it('are named, once, where one of them is wrong', () => {
    expect(problemsOf(written({ targetDefaults: { net: { host: 'd', timeout: 'x', transform: 'none' } } }))).toEqual([
      'targetDefaults.net.timeout: "x" is not a number: write digits without quotes',
      'targetDefaults.net.transform: "none" is not among the transforms, there are none',
    ]);
    const unknown = { net: { host: 'd', colour: 1, answerTimeout: 2, type: 'net' }, dsk: {} };
    expect(problemsOf(written({ targetDefaults: unknown })).sort()).toEqual([
      'targetDefaults.dsk: unknown key "dsk": remove it or correct its spelling',
      'targetDefaults.net.answerTimeout: "answerTimeout" is now called "timeout": rename it',
      'targetDefaults.net.colour: unknown key "colour": remove it or correct its spelling',
      'targetDefaults.net.type: unknown key "type": remove it or correct its spelling',
    ]);
  });

  it('are checked without any target of the type, and leave required options to the targets', () => {
    const none = { targets: { c: { type: 'disk', path: '/data' } } };
    expect(problemsOf(written({ ...none, targetDefaults: { net: { attempts: 0 } } }))).toEqual([
      expect.stringMatching(/^targetDefaults\.net\.attempts: 0: /),
    ]);
    expect(problemsOf(written({ targetDefaults: { net: { attempts: 2 } } }))).toEqual([
      'targets.b.host: is missing: a text is required',
    ]);
  });
});

it('the JSON Schema has the defaults, the x- keys, and nothing required that a default may give', () => {
  const { properties, patternProperties } = configJsonSchema(schemas) as {
    properties: Record<'targetDefaults' | 'targets', Record<string, unknown>>;
    patternProperties: unknown;
  };
  expect(properties.targetDefaults['properties']).toMatchObject({
    net: { properties: { host: {}, timeout: {} }, additionalProperties: false },
    disk: { properties: { path: {} } },
  });
  expect(patternProperties).toEqual({ '^x-': {} });
  expect(properties.targets['additionalProperties']).toMatchObject({
    oneOf: [{ required: ['type'], patternProperties: { '^x-': {} } }, { required: ['type'] }],
  });
});

describe('keys that begin with x-', () => {
  it('are ignored at the top and in targets, and nowhere else', () => {
    const targets = { c: { type: 'disk', path: '/data', 'x-owner': 'Anna' } };
    expect(problemsOf(written({ targets, 'x-common': { any: ['thing'] } }))).toEqual([]);
    expect(problemsOf(written({ targets, logging: { 'x-why': 1 } }))).toEqual([
      'logging.x-why: unknown key "x-why": remove it or correct its spelling',
    ]);
  });
});
