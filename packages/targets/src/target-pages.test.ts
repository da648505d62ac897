import { existsSync, readFileSync } from 'node:fs';
import { Secret, targetOptions } from '@dicom-dispatch/core';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { targetSchemas, type BuiltInType } from './schemas.ts';

/** `dicom-tls` is `dicom` by another name. */
const pageOf = (type: string): string => (type === 'dicom-tls' ? 'dicom' : type);

function read(type: string): string {
  const url = new URL(`../../../docs/targets/${pageOf(type)}.md`, import.meta.url);
  return existsSync(url) ? readFileSync(url, 'utf8') : '';
}

/** Like the configuration loader: inserts secrets. */
function withSecrets(value: unknown): unknown {
  if (typeof value === 'string') return /^\$\{\w+\}$/.test(value) ? new Secret('x') : value;
  if (Array.isArray(value)) return value.map(withSecrets);
  if (value === null || typeof value !== 'object') return value;
  if (Object.keys(value).join() === 'file') return new Secret('x');
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withSecrets(inner)]));
}

function examples(page: string): { readonly type: string }[] {
  return [...page.matchAll(/```yaml\n(.*?)```/gs)].flatMap(([, text = '']) => {
    const { targets } = parse(text) as { targets?: Record<string, { type: string }> };
    return Object.values(targets ?? {});
  });
}

describe.each(Object.keys(targetSchemas) as BuiltInType[])('the page of %s', (type) => {
  const page = read(type);

  it('has an example that the schema accepts', () => {
    const found = examples(page);
    expect(found.length, `docs/targets/${pageOf(type)}.md has no example`).toBeGreaterThan(0);
    for (const example of found) {
      const schema: z.ZodType = targetSchemas[example.type as BuiltInType];
      expect(schema.safeParse(withSecrets(example)).error?.message).toBeUndefined();
    }
  });

  it('names every option', () => {
    const schema = z.toJSONSchema(targetSchemas[type] as z.ZodType, { io: 'input', unrepresentable: 'any' });
    const options = Object.keys(schema.properties ?? {}).filter((name) => name !== 'type' && !(name in targetOptions));
    expect(options.filter((name) => !page.includes(`\`${name}`) && !page.includes(`${name}:`))).toEqual([]);
  });

  it.skipIf(type === 'dummy')('has a table of what confirms an instance', () => {
    const [, section = ''] = page.split('## What counts as confirmed\n');
    expect(section.split('\n## ')[0]).toMatch(/^\|( ?-+ ?\|){2,}$/m);
  });
});
