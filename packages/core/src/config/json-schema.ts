import { z } from 'zod';
import { configSchema, type TargetSchema } from './config-schema.ts';

/** The JSON Schema of a configuration file, for editors; made from the schema that checks it. */
export function configJsonSchema(targetSchemas: readonly TargetSchema[]): unknown {
  return {
    title: 'dicom-dispatch configuration',
    ...z.toJSONSchema(configSchema(targetSchemas), {
      io: 'input',
      unrepresentable: 'any',
      override: ({ zodSchema, jsonSchema }) => {
        if (zodSchema._zod.def.type !== 'custom') return;
        jsonSchema.anyOf = [
          { type: 'string', pattern: String.raw`^\$\{[A-Za-z_][A-Za-z0-9_]*\}$` },
          { type: 'object', properties: { file: { type: 'string' } }, required: ['file'], additionalProperties: false },
        ];
      },
    }),
  };
}
