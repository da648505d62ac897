import { pathToFileURL } from 'node:url';
import { DispatchError, type TargetConfig } from '@dicom-dispatch/core';
import { type TargetHandler, targetKit } from '@dicom-dispatch/target-kit';
import { isHandler, missingOptions, shapeProblems } from './check-shape.ts';
import { broken, noModule, notAHandler, notAnExternalType, wrongOptions } from './errors.ts';
import { parseExternalType } from './external-type.ts';
import { findModule } from './find-module.ts';

export interface LoadOptions {
  /** Base folder of paths and packages, as for `import`: the folder of the configuration file. */
  readonly folder: string;
}

/**
 * Loads the handler of a type such as `package:dicom-dispatch-target-x` or `package:./targets/x.js`, and checks
 * its shape and the version of its contract. The module exports `handler`, or `createHandler(kit)` that returns one (or
 * either as its default). Loading runs the code of the module: only modules named in the configuration are loaded.
 *
 * @throws {DispatchError} `handler-missing` if the module does not exist; `config-invalid` if it is not a handler
 */
export async function loadHandler(type: string, { folder }: LoadOptions): Promise<TargetHandler> {
  const source = parseExternalType(type);
  if (!source) throw notAnExternalType(type);
  const file = await findModule(source, folder);
  if (file === undefined) throw noModule(type, folder);
  let exported: unknown;
  try {
    const module: unknown = await import(pathToFileURL(file).href);
    exported = await madeBy(module);
  } catch (thrown) {
    throw broken(type, thrown);
  }
  if (!isHandler(exported)) throw notAHandler(type, shapeProblems(exported));
  return exported;
}

/**
 * Reads the options of a target by its handler's own schema.
 *
 * @throws {DispatchError} `config-invalid` naming the options at fault
 */
export function readOptions(handler: TargetHandler, targetName: string, options: unknown): TargetConfig {
  const parsed = handler.schema.safeParse(options);
  if (!parsed.success) {
    const issues = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'options'}: ${message}`);
    throw wrongOptions(targetName, issues, parsed.error);
  }
  const missing = missingOptions(parsed.data);
  if (missing.length > 0) {
    throw new DispatchError(
      'config-invalid',
      `the handler of the target ${targetName} does not accept options that every target has: ${missing.join(', ')}`,
      { remedy: 'The handler must spread kit.targetOptions into its schema. Report this to its author.' },
    );
  }
  return parsed.data;
}

async function madeBy(module: unknown): Promise<unknown> {
  if (typeof module !== 'object' || module === null) return undefined;
  const { handler, createHandler, default: preset } = module as Readonly<Record<string, unknown>>;
  const found = handler ?? createHandler ?? preset;
  return typeof found === 'function' ? ((await found(targetKit)) as unknown) : found;
}
