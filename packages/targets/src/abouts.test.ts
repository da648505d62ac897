import { configJsonSchema, groupOfOption, optionFields, type TargetAbout } from '@dicom-dispatch/core';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { z } from 'zod';
import { aboutType, targetAbouts, targetInfo } from './abouts.ts';
import { builtInHandlers } from './registry/built-in.ts';
import { targetSchemas, type BuiltInType } from './schemas.ts';

const types = Object.keys(targetSchemas) as BuiltInType[];

describe.each(types)('the description of %s', (type) => {
  const about = targetAbouts[type] as TargetAbout;
  const names = new Set(optionFields(targetSchemas[type] as z.ZodType).map(({ name }) => name));

  it('is that of its handler', async () => {
    expect((await builtInHandlers[type]()).about).toBe(about);
  });

  it('names only existing options, and lists required ones first', () => {
    const named = [...Object.values(about.groups).flat(), ...Object.keys(about.example)];
    expect(named.filter((name) => !names.has(name))).toEqual([]);
    const required = optionFields(targetSchemas[type] as z.ZodType).filter(({ isRequired }) => isRequired);
    const later = required.filter(({ name }) => !['basic', 'security'].includes(groupOfOption(name, about.groups)));
    expect(later.map(({ name }) => name)).toEqual([]);
  });

  it('is a few plain words and an icon', () => {
    expect(about.displayName.length).toBeLessThan(40);
    expect(about.purpose).toMatch(/^[A-Z].*\.$/);
    expect(about.icon).toMatch(/^M[\d MLHVAZCSQTmlhvazcsqt.,-]+$/);
  });
});

it('gives one line of a configured target', () => {
  const of = (options: { type: BuiltInType } & Record<string, unknown>): string =>
    targetInfo(targetSchemas[options.type].parse(options));
  expect(of({ type: 'dicom', host: 'pacs', calledAeTitle: 'PACS', verify: 'find' })).toBe(
    'PACS at pacs:104, verified by find',
  );
  expect(of({ type: 'dicomweb', url: 'https://pacs.example/web' })).toBe('https://pacs.example/web');
  expect(of({ type: 's3', bucket: 'images', prefix: 'ct/' })).toBe('images/ct/ at Amazon us-east-1');
  expect(of({ type: 'dummy' })).toBe('dummy');
});

it('describes an external handler by its own description, or by its type', () => {
  expect(aboutType('package:lab').displayName).toBe('lab');
  const own = { displayName: 'Lab', purpose: 'For the lab.', icon: 'M0 0h1', groups: {}, example: {} };
  expect(aboutType('package:lab', own).displayName).toBe('Lab');
});

it('is in the JSON Schema: title, purpose, and the group of each option', () => {
  const schema = JSON.stringify(configJsonSchema(Object.values(targetSchemas) as never, targetAbouts));
  for (const { displayName, purpose } of Object.values(targetAbouts)) {
    expect(schema).toContain(JSON.stringify(displayName));
    expect(schema).toContain(JSON.stringify(purpose));
  }
  expect(schema).toContain('"x-group":"speed"');
});

it('has examples that are YAML', () => {
  for (const { example } of Object.values(targetAbouts) as TargetAbout[])
    for (const text of Object.values(example)) expect(() => parse(text) as unknown).not.toThrow();
});
