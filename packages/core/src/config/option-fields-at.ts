import { z } from 'zod';
import { configSections } from './config-schema.ts';
import { optionFields, type OptionField } from './option-fields.ts';
import { unwrap, type Schema } from './unwrap-schema.ts';

/**
 * The schema at a path of the configuration, targets aside: theirs depends on their type.
 *
 * @param path - keys from the top of the file; of a map of named things any name will do
 * @throws RangeError when there is no such path
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
