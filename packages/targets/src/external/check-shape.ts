import { contractVersion, type TargetHandler } from '@dicom-dispatch/target-kit';

/**
 * Reasons why a value is not a target handler, for its author. Empty if it is one. The types of
 * arguments and results cannot be checked from outside; the contract suite does this.
 */
export function shapeProblems(value: unknown): string[] {
  if (!isObject(value)) return ['it must export an object named "handler", or a function named "createHandler"'];
  const version = value['contractVersion'];
  if (version !== contractVersion) {
    const made =
      typeof version === 'number' ? `was made for version ${version}` : 'does not state its contract version';
    return [`it ${made} of the handler contract; this is version ${contractVersion} (contractVersion)`];
  }
  const problems: string[] = [];
  if (typeof value['type'] !== 'string' || value['type'] === '') problems.push('type is not a string');
  const { schema, pull, serve, about, inventory } = value;
  if (!isObject(schema) || typeof schema['safeParse'] !== 'function') problems.push('schema is not a zod schema');
  for (const name of ['deliver', 'testConnection']) {
    if (typeof value[name] !== 'function') problems.push(`${name} is not a function`);
  }
  if (serve !== undefined && typeof serve !== 'function') problems.push('serve is not a function');
  if (about !== undefined) problems.push(...aboutProblems(about));
  if (inventory !== undefined && typeof inventory !== 'function') problems.push('inventory is not a function');
  if (pull === undefined) return problems;
  for (const name of ['find', 'retrieve']) {
    if (!isObject(pull) || typeof pull[name] !== 'function') problems.push(`pull.${name} is not a function`);
  }
  return problems;
}

const isText = (value: unknown): boolean => typeof value === 'string' && value.length > 0 && value.length <= 2000;

function aboutProblems(about: unknown): string[] {
  if (!isObject(about)) return ['about is not an object'];
  const problems = ['displayName', 'purpose', 'icon'].flatMap((name) =>
    isText(about[name]) ? [] : [`about.${name} is not a string`],
  );
  const { groups, example, info } = about;
  if (!isObject(groups) || !Object.values(groups).every((one) => Array.isArray(one)))
    problems.push('about.groups is not an object of lists');
  if (!isObject(example) || !Object.values(example).every((one) => typeof one === 'string'))
    problems.push('about.example is not an object of strings');
  if (info !== undefined && typeof info !== 'function') problems.push('about.info is not a function');
  return problems;
}

export function isHandler(value: unknown): value is TargetHandler {
  return shapeProblems(value).length === 0;
}

/** Options that the system reads from every target's configuration, and that a schema may lack. */
export function missingOptions(config: unknown): string[] {
  if (!isObject(config)) return ['the options'];
  const expected = { type: 'string', enabled: 'boolean', concurrency: 'number', attempts: 'number', backoff: 'object' };
  return Object.entries({ ...expected, giveUpAfter: 'number' }).flatMap(([name, type]) =>
    typeof config[name] === type ? [] : [name],
  );
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
