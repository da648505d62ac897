import { readFile, stat } from 'node:fs/promises';
import { createRequire, findPackageJSON } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { ExternalSource } from './external-type.ts';

/**
 * The file that an `import` of a package or path would load, from a folder: usually that of the configuration.
 *
 * @returns undefined if there is none
 */
export async function findModule(source: ExternalSource, folder: string): Promise<string | undefined> {
  if (source.kind === 'file') return fileOrPackage(resolve(folder, source.path));
  const from = join(folder, 'configuration.js');
  try {
    return createRequire(from).resolve(source.name);
  } catch (error) {
    // A package may be for `import` only, which `require.resolve` does not see.
    if (!(error instanceof Error && 'code' in error && error.code === 'ERR_PACKAGE_PATH_NOT_EXPORTED'))
      return undefined;
  }
  const manifest = findPackageJSON(source.name, pathToFileURL(from));
  return manifest === undefined ? undefined : entryOf(dirname(manifest));
}

async function fileOrPackage(path: string): Promise<string | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (!found) return undefined;
  return found.isDirectory() ? entryOf(path) : path;
}

/** The entry that a package.json names for `import`. */
async function entryOf(folder: string): Promise<string | undefined> {
  const text = await readFile(join(folder, 'package.json'), 'utf8').catch(() => '{}');
  const manifest = JSON.parse(text) as { readonly exports?: unknown; readonly main?: unknown };
  const entry = importEntry(manifest.exports) ?? (typeof manifest.main === 'string' ? manifest.main : 'index.js');
  const path = resolve(folder, entry);
  return (await stat(path).catch(() => undefined))?.isFile() ? path : undefined;
}

/** The entry of `exports`: of `"./index.js"`, `{ ".": … }` and `{ "import": … }`, nested in any way. */
function importEntry(exported: unknown): string | undefined {
  if (typeof exported === 'string') return exported;
  if (typeof exported !== 'object' || exported === null) return undefined;
  for (const [key, value] of Object.entries(exported)) {
    if (key !== '.' && key !== 'import' && key !== 'node' && key !== 'default') continue;
    const entry = importEntry(value);
    if (entry !== undefined) return entry;
  }
  return undefined;
}
