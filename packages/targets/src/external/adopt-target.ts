import type { TargetConfig } from '@dicom-dispatch/core';
import { noModule, notAnExternalType } from './errors.ts';
import { parseExternalType } from './external-type.ts';
import { findModule } from './find-module.ts';
import { loadHandler, readOptions } from './load-handler.ts';

/**
 * Adopts a target with an external handler from a configuration: finds, loads and checks its handler, and parses its
 * options with the handler's schema. The type of the result contains the file path, so that it is valid anywhere.
 *
 * @throws {DispatchError} `handler-missing`, `config-invalid`
 */
export async function adoptTarget(
  name: string,
  options: { readonly type: string },
  folder: string,
): Promise<TargetConfig> {
  const source = parseExternalType(options.type);
  if (!source) throw notAnExternalType(options.type);
  const file = await findModule(source, folder);
  if (file === undefined) throw noModule(options.type, folder);
  const handler = await loadHandler(options.type, { folder });
  return { ...readOptions(handler, name, options), type: `package:${file}` };
}
