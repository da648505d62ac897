import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { parseConfig, type Config, type TargetSchema } from '@dicom-dispatch/core';
import { isMap, isNode, isPair, isScalar, LineCounter, parseDocument, type Document } from 'yaml';
import { ConfigError, type LocatedProblem } from './config-error.ts';
import { placeSecrets } from './place-secrets.ts';

const maxConfigBytes = 4 * 1024 * 1024;

export interface LoadOptions {
  readonly targetSchemas: readonly TargetSchema[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * Reads and checks a configuration file. Relative file names in it are relative to its folder.
 *
 * @throws ConfigError with every problem at once, each with its line
 */
export async function loadConfig(file: string, options: LoadOptions): Promise<Config> {
  const path = resolve(file);
  const text = await readText(path);
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  if (document.errors.length > 0) {
    throw new ConfigError(
      path,
      document.errors.map((error) => ({
        ...lines.linePos(error.pos[0]),
        path: [],
        message: `is not YAML: ${error.message}`,
      })),
    );
  }
  const { raw, problems } = await placeSecrets(document.toJS({ maxAliasCount: 100 }), {
    env: options.env,
    folder: dirname(path),
    isValid: (candidate) => failingPaths(candidate, options.targetSchemas),
  });
  const parsed = parseConfig(raw, options.targetSchemas);
  const all = [...problems, ...(parsed.ok ? [] : parsed.problems)];
  if (parsed.ok && all.length === 0) return parsed.config;
  throw new ConfigError(
    path,
    all.map((problem) => locate(document, lines, problem)).sort((a, b) => a.line - b.line),
  );
}

async function readText(path: string): Promise<string> {
  try {
    const bytes = await readFile(path);
    if (bytes.length > maxConfigBytes)
      throw new ConfigError(path, [{ line: 1, col: 1, path: [], message: 'is larger than 4 MiB' }]);
    return bytes.toString('utf8');
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    const why =
      code === 'ENOENT'
        ? 'there is no such file'
        : code === 'EACCES'
          ? 'this user may not read it'
          : `cannot be read (${code})`;
    throw new ConfigError(path, [{ line: 0, col: 0, path: [], message: why }], { cause: error });
  }
}

function failingPaths(raw: unknown, schemas: readonly TargetSchema[]): Set<string> {
  const parsed = parseConfig(raw, schemas);
  return new Set(parsed.ok ? [] : parsed.problems.map((problem) => JSON.stringify(problem.path)));
}

/** The place of a problem in the file: that of its key, or of the nearest one above that is there. */
function locate(
  document: Document,
  lines: LineCounter,
  problem: { path: readonly (string | number)[]; message: string },
): LocatedProblem {
  for (let length = problem.path.length; length > 0; length -= 1) {
    const offset = offsetOf(document, problem.path.slice(0, length));
    if (offset !== undefined) return { ...lines.linePos(offset), ...problem };
  }
  return { line: 1, col: 1, ...problem };
}

function offsetOf(document: Document, path: readonly (string | number)[]): number | undefined {
  const parent = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true);
  if (isMap(parent)) {
    const pair = parent.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === path.at(-1));
    return pair && isNode(pair.key) ? pair.key.range?.[0] : undefined;
  }
  const value = document.getIn(path, true);
  return isNode(value) ? value.range?.[0] : undefined;
}
