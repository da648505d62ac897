import { existsSync, readFileSync } from 'node:fs';
import { durationMs, Secret, sizeBytes, targetOptions } from '@dicom-dispatch/core';
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

/** Options and their defaults in the first table of a page, of those whose default is one value. */
function* defaultsOf(page: string): Iterable<{ readonly option: string; readonly text: string }> {
  const [, section = ''] = page.split('## Options\n');
  for (const [, names = '', cell = ''] of (section.split('\n## ')[0] ?? '').matchAll(/^\| (.+?) \| (.*?) \|/gm)) {
    const [, port, text] = /^(port )?`([^`]+)`$/.exec(cell.trim()) ?? [];
    const [, first = ''] = /`([\w.]+)`/.exec(names) ?? [];
    if (text !== undefined) yield { option: port ? 'port' : first, text };
  }
}

/** What a text in the configuration may become. */
function readings(text: string): unknown[] {
  const units = [durationMs, sizeBytes].map((schema) => schema.safeParse(text).data);
  return [text, ...units, ...(/^(?:true|false|\d+)$/.test(text) ? [JSON.parse(text)] : [])];
}

/** An option of a configuration that was read; undefined if it is left out, or in a section that is. */
function valueOf(config: unknown, path: readonly string[]): unknown {
  let value = config;
  for (const name of path) value = (value as Record<string, unknown> | undefined)?.[name];
  return value;
}

function withoutOption(config: unknown, [name = '', ...rest]: readonly string[]): unknown {
  if (config === null || typeof config !== 'object' || !(name in config)) return config;
  const { [name]: inner, ...others } = config as Record<string, unknown>;
  return rest.length === 0 ? others : { ...others, [name]: withoutOption(inner, rest) };
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

  it('has the defaults of the schema', () => {
    const schema: z.ZodType = targetSchemas[type];
    const problems: string[] = [];
    let compared = 0;
    for (const { option, text } of defaultsOf(page)) {
      const path = option.split('.');
      for (const example of examples(page).filter((one) => one.type === type)) {
        const value = valueOf(schema.safeParse(withSecrets(withoutOption(example, path))).data, path);
        if (value === undefined || typeof value === 'object') continue;
        compared += 1;
        if (!readings(text).includes(value)) problems.push(`${option}: ${text} on the page, ${String(value)} in fact`);
      }
    }
    expect(problems).toEqual([]);
    expect(compared).toBeGreaterThan(4);
  });

  it.skipIf(type === 'dummy')('has a table of what confirms an instance', () => {
    const [, section = ''] = page.split('## What counts as confirmed\n');
    expect(section.split('\n## ')[0]).toMatch(/^\|( ?-+ ?\|){2,}$/m);
  });
});
