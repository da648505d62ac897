import { z } from 'zod';
import { type Schema, unwrap } from './unwrap-schema.ts';

/** Keys of maps, and positions in lists. */
export type ValuePath = readonly string[];

/** Whether an option is a secret. */
export function isSecret(schema: Schema): boolean {
  for (let at: Schema | undefined = schema; at;) {
    if (z.globalRegistry.get(at)?.['secret'] === true) return true;
    const { def } = at._zod as unknown as { def: { innerType?: Schema; in?: Schema } };
    at = def.innerType ?? def.in;
  }
  return false;
}

/**
 * The places in the value of an option, as written, where its schema requires or permits a secret: for forms, which encrypt
 * what is typed there, and never show it. Headers that are no secrets by their name are omitted.
 */
export function secretPaths(option: string, schema: Schema, value: unknown): ValuePath[] {
  return walk(schema, value, [option]).map((path) => path.slice(1));
}

function walk(schema: Schema, value: unknown, path: ValuePath): ValuePath[] {
  if (isSecret(schema)) return [path];
  const { inner } = unwrap(schema);
  if (inner instanceof z.ZodUnion) {
    const found = inner.options
      .filter((option) => mayBe(option as Schema, value))
      .flatMap((option) => walk(option as Schema, value, path));
    return found.filter((one, index) => found.findIndex((other) => other.join('\n') === one.join('\n')) === index);
  }
  if (inner instanceof z.ZodArray && Array.isArray(value))
    return value.flatMap((item, index) => walk(inner.element as Schema, item, [...path, String(index)]));
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
  const isHeaders = path.at(-1) === 'headers';
  return Object.entries(value).flatMap(([key, item]) => {
    if (inner instanceof z.ZodRecord)
      return isHeaders && isOpenHeader(key) ? [] : walk(inner.valueType as Schema, item, [...path, key]);
    const option = inner instanceof z.ZodObject ? (inner.shape as Readonly<Record<string, Schema>>)[key] : undefined;
    return option ? walk(option, item, [...path, key]) : [];
  });
}

/** Whether a variant of a union fits, by its literals, e.g. `type: basic`. */
function mayBe(option: Schema, value: unknown): boolean {
  const { inner } = unwrap(option);
  if (!(inner instanceof z.ZodObject)) return true;
  return Object.entries(inner.shape as Readonly<Record<string, Schema>>).every(([key, one]) => {
    const literal = unwrap(one).inner;
    return !(literal instanceof z.ZodLiteral) || literal.value === (value as Record<string, unknown> | null)?.[key];
  });
}

const openHeaders =
  /^(accept(-.+)?|cache-control|content-(type|language)|host|origin|pragma|prefer|referer|user-agent|x-(request|correlation)-id|x-forwarded-.+)$/i;

/** Whether a header is no secret, by its name. */
export function isOpenHeader(name: string): boolean {
  return openHeaders.test(name);
}
