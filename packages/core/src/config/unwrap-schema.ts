import { z } from 'zod';

export type Schema = z.core.$ZodType;

export interface Unwrapped {
  readonly inner: Schema;
  readonly description: string | undefined;
  readonly isOptional: boolean;
  /** As written in a file, without values that the schema adds. */
  readonly defaultText: string | undefined;
}

/** Unwraps optional, default, prefault, readonly and pipes. */
export function unwrap(schema: Schema): Unwrapped {
  let inner = schema;
  let description = z.globalRegistry.get(schema)?.description;
  let isOptional = false;
  let defaultValue: unknown;
  let hasDefault = false;
  for (;;) {
    const { def } = inner._zod;
    if (def.type === 'optional' || def.type === 'nullable') isOptional = true;
    if (def.type === 'default' || def.type === 'prefault') {
      isOptional = true;
      hasDefault = true;
      ({ defaultValue } = def as unknown as { defaultValue: unknown });
    }
    const next = def as unknown as { innerType?: Schema; in?: Schema };
    const below = next.innerType ?? (def.type === 'pipe' ? next.in : undefined);
    if (!below) break;
    if (hasDefault && z.globalRegistry.get(inner)?.['unit'] !== undefined) break;
    inner = below;
    description ??= z.globalRegistry.get(inner)?.description;
  }
  const unit = unitOf(schema);
  return { inner, description, isOptional, defaultText: hasDefault ? written(defaultValue, unit) : undefined };
}

/** `duration`, `size`, or nothing. */
export function unitOf(schema: Schema): unknown {
  for (let at: Schema | undefined = schema; at;) {
    const unit = z.globalRegistry.get(at)?.['unit'];
    if (unit !== undefined) return unit;
    const { def } = at._zod as unknown as { def: { innerType?: Schema; in?: Schema } };
    at = def.innerType ?? def.in;
  }
  return undefined;
}

const durations = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
] as const;
const sizes = [
  ['GiB', 1024 ** 3],
  ['MiB', 1024 ** 2],
  ['KiB', 1024],
  ['GB', 1e9],
  ['MB', 1e6],
  ['kB', 1e3],
  ['B', 1],
] as const;

/** A default as a user would write it; undefined for values that are written option by option. */
function written(value: unknown, unit: unknown): string | undefined {
  if (typeof value === 'number' && value > 0 && (unit === 'duration' || unit === 'size')) {
    const texts = (unit === 'duration' ? durations : sizes)
      .filter(([, size]) => value % size === 0)
      .map(([name, size]) => `${value / size}${name}`);
    return texts.sort((a, b) => a.length - b.length)[0];
  }
  if (typeof value === 'string')
    return /^[\w./:-]+$/.test(value) && !/^[\d.]+$/.test(value) ? value : JSON.stringify(value);
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return Object.keys(value).length === 0 ? undefined : JSON.stringify(value);
  return value === undefined ? undefined : JSON.stringify(value);
}
