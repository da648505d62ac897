import type { TargetConfig } from '@dicom-dispatch/core';
import { noModule, notAnExternalType } from './errors.ts';
import { parseExternalType } from './external-type.ts';
import { findModule } from './find-module.ts';
import { loadHandler, readOptions } from './load-handler.ts';

/**
 * Takes a target with a handler from outside over from a configuration: its handler is found, loaded and checked, its
 * options are read by the handler's schema. The type of the answer names the file, so that it means the same anywhere.
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
