import { isUtf8 } from 'node:buffer';
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import {
  DispatchError,
  namedMap,
  parseConfig,
  targetOptions,
  withTargetDefaults,
  type Config,
  type Problem,
  type TargetConfig,
  type TargetSchema,
} from '@dicom-dispatch/core';
import { z } from 'zod';
import { ConfigError, type LocatedProblem } from './config-error.ts';
import { candidatePath } from '../store/config-file.ts';
import { SealKey, sealKeyPath } from '../store/seal.ts';
import { placeSecrets } from './place-secrets.ts';
import { isLocal, redisTitle, withLocal, type LocalFile } from './local-file.ts';
import { locate, parseText, type ParsedText } from './parsed-text.ts';

const maxConfigBytes = 4 * 1024 * 1024;

export interface LoadOptions {
  readonly targetSchemas: readonly TargetSchema[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The file of this host, if the checked text is that of Redis (`configuration: redis`). */
  readonly local?: LocalFile | undefined;
  /** Reads the candidate of this id (`ConfigFile.offer`) instead of the file; errors name the file all the same. */
  readonly candidate?: string | undefined;
  /** Adopts targets with external handlers. */
  readonly external?: {
    accepts(type: string): boolean;
    /** Throws the problems of the target. */
    adopt(name: string, options: { readonly type: string }, folder: string): Promise<TargetConfig>;
  };
}

/**
 * Reads and checks a configuration file. Relative file names in it are relative to its folder.
 *
 * @throws ConfigError with all problems, each with its line
 */
export async function loadConfig(file: string, options: LoadOptions): Promise<Config> {
  const path = resolve(file);
  return checkConfig(path, await readText(path, options.candidate), options);
}

/**
 * Checks the text of a configuration like that of a file.
 *
 * @throws ConfigError with all problems, each with its line
 */
export async function checkConfig(file: string, text: string, options: LoadOptions): Promise<Config> {
  const path = resolve(file);
  const { local } = options;
  const parsedText = parseText(local ? redisTitle : path, text);
  const written = local ? withLocal(parsedText, local) : parsedText.raw;
  if (!local) refuseRedis(parsedText);
  const schemas = [...options.targetSchemas, ...externalSchemas(written, options.external)];
  const { raw, problems } = await placeSecrets(written, {
    env: options.env,
    folder: dirname(path),
    unseal: (sealed) => new SealKey(sealKeyPath(path, options.env)).unseal(sealed),
    isValid: (candidate) => failingPaths(candidate, schemas),
  });
  const parsed = parseConfig(raw, schemas);
  const all = [...problems, ...(parsed.ok ? [] : parsed.problems)];
  if (parsed.ok && all.length === 0) {
    const { config, problems: refused } = await adoptExternal(
      parsed.config,
      withTargetDefaults(raw),
      dirname(path),
      options.external,
    );
    if (refused.length === 0) return config;
    all.push(...refused);
  }
  const located = all.map((problem) =>
    local && isLocal(problem.path, local.raw) ? { ...locate(local, problem), file: path } : locate(parsedText, problem),
  );
  throw new ConfigError(
    local ? redisTitle : path,
    located.sort((a, b) => a.line - b.line),
  );
}

/** A file with `configuration: redis` is not a complete configuration. */
function refuseRedis(parsed: ParsedText): void {
  const { configuration } = (parsed.raw ?? {}) as { configuration?: unknown };
  if (configuration !== 'redis') return;
  const message =
    'redis: this is the file of a host whose configuration is in Redis, which counts from the next start of its services on';
  throw new ConfigError(parsed.title, [locate(parsed, { path: ['configuration'], message })]);
}

/**
 * Adds line and column to the problems of a text, and sorts them by line. @throws ConfigError if the text is not YAML
 */
export function locateProblems(
  text: string,
  problems: readonly (Problem & { readonly file?: string | undefined })[],
): LocatedProblem[] {
  const parsed = parseText('', text);
  return problems.map((problem) => locate(parsed, problem)).sort((a, b) => a.line - b.line);
}

/** An external handler parses its options itself: until then any value is allowed. */
function externalSchemas(raw: unknown, external: LoadOptions['external']): TargetSchema[] {
  const { targets, targetDefaults } = (raw ?? {}) as {
    targets?: Record<string, { type?: unknown }>;
    targetDefaults?: Record<string, unknown>;
  };
  const types = new Set([
    ...Object.values(targets ?? {}).flatMap((target) => (typeof target?.type === 'string' ? [target.type] : [])),
    ...Object.keys(targetDefaults ?? {}),
  ]);
  return [...types]
    .filter((type) => external?.accepts(type))
    .map((type) => z.looseObject({ type: z.literal(type), ...targetOptions }) as unknown as TargetSchema);
}

/** Each option that the schema of an external handler rejects, at its place; or why the handler cannot be used. */
function refusals(path: Problem['path'], error: unknown): Problem[] {
  const found = z.object({ cause: z.object({ issues: issues.min(1) }) }).safeParse(error);
  if (!found.success) return [{ path, message: describeRefusal(error) }];
  return found.data.cause.issues.map((issue) => ({ path: [...path, ...issue.path], message: issue.message }));
}

const issues = z.array(z.object({ path: z.array(z.union([z.string(), z.number()])), message: z.string() }));

/** The problem, and its remedy. */
function describeRefusal(error: unknown): string {
  if (error instanceof DispatchError) return `${error.message}: ${error.remedy}`;
  return error instanceof Error ? error.message : 'the handler cannot be loaded';
}

async function adoptExternal(
  config: Config,
  raw: unknown,
  folder: string,
  external: LoadOptions['external'],
): Promise<{ config: Config; problems: Problem[] }> {
  const problems: Problem[] = [];
  const targets: Record<string, TargetConfig> = namedMap(config.targets);
  const options = (raw as { targets: Record<string, { type: string }> }).targets;
  for (const [name, target] of Object.entries(options)) {
    if (!external?.accepts(target.type)) continue;
    try {
      targets[name] = await external.adopt(name, target, folder);
    } catch (error) {
      problems.push(...refusals(['targets', name], error));
    }
  }
  return { config: { ...config, targets }, problems };
}

/** The text of a configuration file. @throws ConfigError when it cannot be read, is too large, or is not UTF-8 */
export async function readText(path: string, candidate?: string): Promise<string> {
  try {
    const bytes = await readFile(candidate === undefined ? path : await candidatePath(path, candidate));
    if (bytes.length > maxConfigBytes)
      throw new ConfigError(path, [{ line: 1, col: 1, path: [], message: 'is larger than 4 MiB' }]);
    return textOf(bytes, path);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    const why =
      code === 'ENOENT'
        ? candidate === undefined
          ? 'there is no such file: name another one with --config, or create it ("dispatch config example" shows every option)'
          : 'this process has another configuration file than the console: a change in the console reaches only processes that read the same file; if the change is one to `configuration: redis`, stop this process first'
        : code === 'EACCES'
          ? 'the service user has no permission to read it'
          : `cannot be read (${code})`;
    throw new ConfigError(path, [{ line: 0, col: 0, path: [], message: why }], { cause: error });
  }
}

function textOf(bytes: Buffer, path: string): string {
  const mark = bytes.length < 2 ? 0 : bytes.readUInt16BE(0);
  // UTF-16 without a byte order mark is detected, too: one of its first two bytes is zero.
  const isUtf16 = mark === 0xfffe || mark === 0xfeff || bytes.subarray(0, 2).includes(0);
  if (!isUtf16 && isUtf8(bytes)) return bytes.toString('utf8').replace(/^\uFEFF/, '');
  const message = `${isUtf16 ? 'is written in UTF-16' : 'is not UTF-8'}: save it as UTF-8`;
  throw new ConfigError(path, [{ line: 1, col: 1, path: [], message }]);
}

function failingPaths(raw: unknown, schemas: readonly TargetSchema[]): Set<string> {
  const parsed = parseConfig(raw, schemas);
  return new Set(parsed.ok ? [] : parsed.problems.map((problem) => JSON.stringify(problem.path)));
}
