import { z } from 'zod';
import { configSections, targetDefaultsText, type TargetSchema } from './config-schema.ts';
import { targetOptions } from './target-options.ts';
import { unitOf, unwrap, type Schema } from './unwrap-schema.ts';

/**
 * The example configuration: every option once, with its description and default. It is generated from the schema that
 * checks configurations, so it cannot become outdated. Optional parts are commented out.
 *
 * @param examples - YAML text by path for options without a default, e.g. `targets.dicom.host`
 */
export function exampleConfig(
  targetSchemas: readonly TargetSchema[],
  examples: Readonly<Record<string, string>>,
): string {
  const lines: string[] = [
    '# The example configuration of dicom-dispatch: every option once, generated from the schema that checks configurations.',
    '# Names that you choose are lower case. Durations have a unit (250ms, 30s, 5m, 2h, 7d), sizes too (500kB, 64MB, 1GiB).',
    '# A secret is ${NAME} from the environment, or { file: PATH }; ${NAME} may stand for any other value as well.',
    '# Keys that begin with x- are ignored, at the top and in targets: a place for notes and for anchors. Merge keys (<<) are supported.',
    '# Check yours with: dispatch config check FILE',
  ];
  const example = (path: string): string | undefined => examples[path];
  for (const [name, schema] of Object.entries(configSections)) {
    if (name === 'rules') {
      lines.push('', ...defaultsExample);
      targets(lines, targetSchemas, example);
    }
    lines.push('');
    section(lines, name, schema, example);
  }
  return `${lines.join('\n')}\n`;
}

const defaultsExample = [
  `# targetDefaults: ${targetDefaultsText}`,
  '# targetDefaults:',
  '  # the options are those of the targets below',
  '  # dicom:',
  '    # timeout: 2m',
];

/** Types that are another one's name. */
const aliases = new Set(['dicom-tls']);

type Example = (path: string) => string | undefined;

function section(lines: string[], name: string, schema: Schema, example: Example): void {
  const { inner, description } = unwrap(schema);
  if (nestedShapes(inner).length === 0) {
    options(lines, { [name]: schema }, '', '', example, false);
    return;
  }
  lines.push(`# ${name}: ${description ?? ''}`, `${name}:`);
  if (inner instanceof z.ZodRecord) {
    lines.push('  main:');
    options(lines, shapeOf(inner.valueType as Schema), '    ', `${name}.*`, example, false);
  } else if (inner instanceof z.ZodArray) {
    const before = lines.length;
    options(lines, shapeOf(inner.element as Schema), '    ', `${name}.*`, example, false);
    const first = lines.findIndex((line, index) => index >= before && !line.trimStart().startsWith('#'));
    lines[first] = (lines[first] ?? '').replace('    ', '  - ');
  } else {
    options(lines, shapeOf(inner), '  ', name, example, false);
  }
}

function targets(lines: string[], schemas: readonly TargetSchema[], example: Example): void {
  lines.push('', '# targets: where studies go; one of each type here', 'targets:');
  // The alias has the options of its type.
  for (const [index, schema] of schemas
    .filter((one) => !aliases.has(String((one.shape.type as z.ZodLiteral<string>).value)))
    .entries()) {
    const type = String((schema.shape.type as z.ZodLiteral<string>).value);
    const { type: _, ...shape } = schema.shape as Record<string, Schema>;
    const own = Object.fromEntries(
      Object.entries(shape).filter(([key]) => index === 0 || !Object.hasOwn(targetOptions, key)),
    );
    if (index > 0) lines.push('');
    lines.push(`  my-${type}:`, `    type: ${type}`);
    if (index > 0) lines.push('    # and all options that are common to all targets: see the first one');
    options(lines, own, '    ', `targets.${type}`, example, false);
  }
}

function options(
  lines: string[],
  shape: Readonly<Record<string, Schema>>,
  indent: string,
  path: string,
  example: Example,
  isOff: boolean,
): void {
  for (const [key, schema] of Object.entries(shape)) {
    const at = `${path}.${key}`;
    const { inner, description, isOptional, defaultText } = unwrap(schema);
    const off = isOff || (isOptional && example(at) === undefined) ? '# ' : '';
    const put = (text: string): void => void lines.push(`${indent}${off}${text}`);
    const nested = nestedShapes(inner);
    if (description !== undefined) lines.push(`${indent}# ${description}${choices(inner)}`);
    const given = example(at) ?? defaultText;
    if (given !== undefined && (nested.length === 0 || example(at) !== undefined)) {
      put(`${key}: ${given}`);
      if (nested.length > 0) lines.push(`${indent}# its options${nested.length > 1 ? ', one of these groups' : ''}:`);
      for (const one of nested) options(lines, one, `${indent}  `, `${at}.*`, () => undefined, true);
    } else if (nested.length > 0) {
      const list = inner instanceof z.ZodArray;
      const named = inner instanceof z.ZodRecord;
      put(`${key}:${nested.length > 1 ? ' # one of these' : ''}`);
      for (const one of nested) {
        const deeper = `${indent}${named ? '    ' : '  '}`;
        const before = lines.length;
        if (named) put('  NAME:');
        options(
          lines,
          one,
          deeper + (list ? '  ' : ''),
          `${at}${named || list ? '.*' : ''}`,
          example,
          off !== '' || nested.length > 1,
        );
        if (list) dash(lines, before);
      }
    } else {
      lines.push(`${indent}${off === '' ? '# ' : off}${key}: ${placeholder(inner)}`);
    }
  }
}

function dash(lines: string[], from: number): void {
  const first = lines.findIndex((line, index) => index >= from && /^\s*(# )?\w+:/.test(line));
  if (first >= 0)
    lines[first] = (lines[first] ?? '').replace(
      /^(\s*)(# )?(\w+:)/,
      (_, space: string, off: string | undefined, rest: string) => `${space.slice(2)}${off ?? ''}- ${rest}`,
    );
}

/** The possible object schemas: one, the variants of a union, the elements of a list or a record. */
function nestedShapes(schema: Schema): Readonly<Record<string, Schema>>[] {
  if (schema instanceof z.ZodObject) return [schema.shape as Record<string, Schema>];
  if (schema instanceof z.ZodUnion)
    return schema.options.flatMap((option) => nestedShapes(unwrap(option as Schema).inner));
  if (schema instanceof z.ZodArray) return nestedShapes(unwrap(schema.element as Schema).inner);
  if (schema instanceof z.ZodRecord) return nestedShapes(unwrap(schema.valueType as Schema).inner);
  return [];
}

function shapeOf(schema: Schema): Readonly<Record<string, Schema>> {
  return nestedShapes(unwrap(schema).inner)[0] ?? {};
}

function choices(schema: Schema): string {
  return schema instanceof z.ZodEnum ? `: ${schema.options.join(', ')}` : '';
}

function placeholder(schema: Schema): string {
  if (schema instanceof z.ZodEnum) return String(schema.options[0]);
  if (schema instanceof z.ZodLiteral) return String(schema.value);
  if (schema instanceof z.ZodBoolean) return 'true';
  if (schema instanceof z.ZodNumber) return '1';
  if (schema instanceof z.ZodArray) return '[...]';
  if (schema instanceof z.ZodRecord) return '{ NAME: VALUE }';
  return unitOf(schema) === 'duration' ? '30s' : '...';
}
