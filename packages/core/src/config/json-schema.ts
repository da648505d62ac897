import { z } from 'zod';
import { configSchema, type TargetSchema } from './config-schema.ts';
import { groupOfOption, type TargetAbout } from './target-about.ts';

/**
 * The JSON Schema of a configuration file, for editors; generated from the schema that checks it.
 *
 * @param abouts - descriptions of target types: title, description and example of each, and `x-group` of its options
 */
export function configJsonSchema(
  targetSchemas: readonly TargetSchema[],
  abouts: Readonly<Record<string, TargetAbout>> = {},
): unknown {
  const whole = configSchema(targetSchemas);
  return {
    title: 'dicom-dispatch configuration',
    ...z.toJSONSchema(whole, {
      io: 'input',
      unrepresentable: 'any',
      override: ({ zodSchema, jsonSchema }) => {
        const { properties } = jsonSchema;
        const type = (properties?.['type'] as { const?: unknown } | undefined)?.const;
        const isTarget = typeof type === 'string' && 'attempts' in (properties ?? {});
        const about = isTarget ? abouts[type] : undefined;
        if (properties && ((zodSchema as unknown) === whole || isTarget)) {
          // Keys for people and for anchors.
          jsonSchema.patternProperties = { '^x-': {} };
        }
        // Any other option may come from `targetDefaults`.
        if (isTarget) jsonSchema.required = ['type'];
        if (about && properties) {
          jsonSchema.title = about.displayName;
          jsonSchema.description = about.purpose;
          for (const [name, option] of Object.entries(properties)) {
            if (name === 'type' || typeof option !== 'object') continue;
            (option as Record<string, unknown>)['x-group'] = groupOfOption(name, about.groups);
          }
        }
        if (zodSchema._zod.def.type !== 'custom') return;
        jsonSchema.anyOf = [
          { type: 'string', pattern: String.raw`^\$\{[A-Za-z_][A-Za-z0-9_]*\}$` },
          ...['file', 'sealed'].map((name) => ({
            type: 'object' as const,
            properties: { [name]: { type: 'string' as const } },
            required: [name],
            additionalProperties: false,
          })),
        ];
      },
    }),
  };
}
