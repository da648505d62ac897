import { z } from 'zod';
import { configSections } from './config-schema.ts';
import { isSecret, secretPaths, type ValuePath } from './secret-paths.ts';
import { type Schema, unitOf, unwrap } from './unwrap-schema.ts';

/**
 * The form control of an option.
 *
 * - `text`, `number`: one line. `choice`: one of `choices`. `flag`: yes or no. `secret`: written, never shown
 * - `list`: texts, one per line
 * - `section`: an object with its own `fields`
 * - `yaml`: anything else, as YAML
 */
export type FieldKind = 'text' | 'number' | 'choice' | 'flag' | 'secret' | 'list' | 'section' | 'yaml';

/** One option of a schema, as a form needs it. */
export interface OptionField {
  readonly name: string;
  readonly kind: FieldKind;
  /** The description of the schema. */
  readonly help: string | undefined;
  readonly isRequired: boolean;
  /** The default as it would be written in a file. */
  readonly defaultText: string | undefined;
  /** Of `choice`. */
  readonly choices: readonly string[];
  /** Of `section`. */
  readonly fields: readonly OptionField[];
  /** Of `yaml`: places of secrets in a value of it, as written. */
  readonly secretsIn: (value: unknown) => readonly ValuePath[];
}

/** The options of an object schema, in its order. Literals (`type`) are omitted: they cannot be edited. */
export function optionFields(schema: Schema): OptionField[] {
  const { inner } = unwrap(schema);
  if (!(inner instanceof z.ZodObject)) return [];
  return Object.entries(inner.shape as Readonly<Record<string, Schema>>).flatMap(([name, option]) =>
    unwrap(option).inner instanceof z.ZodLiteral ? [] : [field(name, option)],
  );
}

function field(name: string, schema: Schema): OptionField {
  const { inner, description, isOptional, defaultText } = unwrap(schema);
  const kind = isSecret(schema) ? 'secret' : kindOf(schema, inner);
  return {
    name,
    kind,
    help: description,
    isRequired: !isOptional,
    defaultText,
    choices: inner instanceof z.ZodEnum ? inner.options.map(String) : [],
    fields: kind === 'section' ? optionFields(inner) : [],
    secretsIn: (value) => (kind === 'yaml' ? secretPaths(name, schema, value) : []),
  };
}

function kindOf(schema: Schema, inner: Schema): FieldKind {
  if (unitOf(schema) !== undefined || isText(inner)) return 'text';
  if (inner instanceof z.ZodEnum) return 'choice';
  if (inner instanceof z.ZodBoolean) return 'flag';
  if (inner instanceof z.ZodNumber) return 'number';
  if (inner instanceof z.ZodObject) return 'section';
  if (inner instanceof z.ZodArray) {
    const element = unwrap(inner.element as Schema).inner;
    if (isText(element) || element instanceof z.ZodEnum) return 'list';
  }
  return 'yaml';
}

/** Whether any input is text: a string, or a union of strings. */
function isText(schema: Schema): boolean {
  if (schema instanceof z.ZodUnion) {
    const options = schema.options.map((option) => unwrap(option as Schema).inner);
    return options.every((option) => option instanceof z.ZodEnum || isText(option));
  }
  if (schema instanceof z.ZodLiteral) return typeof schema.value === 'string';
  return schema._zod.def.type === 'string';
}

/**
 * The schema at a path of the configuration, except targets, whose schema depends on their type.
 *
 * @param path - keys from the top of the file; for a map of named entries any name
 * @throws RangeError if the path does not exist
 */
export function schemaAt(path: readonly string[]): Schema {
  let at: Schema = z.strictObject(configSections);
  for (const key of path) {
    const { inner } = unwrap(at);
    const next: Schema | undefined =
      inner instanceof z.ZodRecord
        ? (inner.valueType as Schema)
        : inner instanceof z.ZodObject
          ? (inner.shape as Readonly<Record<string, Schema>>)[key]
          : undefined;
    if (!next) throw new RangeError(`the configuration has no ${path.join('.')}`);
    at = next;
  }
  return at;
}

/** The options at a path, as {@link schemaAt} finds it. */
export function optionFieldsAt(path: readonly string[]): OptionField[] {
  return optionFields(schemaAt(path));
}
