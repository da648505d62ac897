import { createReadStream } from 'node:fs';
import { resolve } from 'node:path';
import { Secret, type Problem } from '@dicom-dispatch/core';

const reference = /^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$/;
const anyReference = /\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g;
/** References with a default or a condition, which only a shell has: `${NAME:-default}`, `${NAME-default}`, `${NAME:?message}`. */
const shellReference = /\$\{[A-Za-z_][A-Za-z0-9_]*(?::-|-|:\?)[^}]*\}/;
/** Sections with an option `file` that is the name of a file, not of a secret. */
const sectionsWithFile = new Set([JSON.stringify(['console', 'audit'])]);
const maxSecretBytes = 64 * 1024;

interface PlaceOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Folder that relative file names start from. */
  readonly folder: string;
  /** Decrypts a secret that was entered in the console. @throws Error with a text for users */
  readonly unseal: (sealed: string) => Promise<string>;
  /** Paths (as JSON) of values that the schema rejects. */
  readonly isValid: (raw: unknown) => Set<string>;
}

type Path = (string | number)[];

interface Candidate {
  readonly path: Path;
  readonly plain: unknown;
}

/**
 * Resolves `${NAME}`, `{ file: PATH }` and `{ sealed: TEXT }`. A value that consists only of a reference becomes a
 * {@link Secret}; if the schema requires plain text instead, the text is inserted. Inside longer text a `${NAME}` is
 * always replaced.
 */
export async function placeSecrets(
  raw: unknown,
  options: PlaceOptions,
): Promise<{ raw: unknown; problems: Problem[] }> {
  const problems: Problem[] = [];
  const candidates: Candidate[] = [];
  const placed = await walk(raw, []);
  const failing = options.isValid(placed);
  for (const { path, plain } of candidates) {
    if (failing.has(JSON.stringify(path))) setAt(placed, path, plain);
  }
  return { raw: placed, problems };

  async function walk(value: unknown, path: Path): Promise<unknown> {
    if (typeof value === 'string') return placeText(value, path);
    if (Array.isArray(value)) return Promise.all(value.map((item, index) => walk(item, [...path, index])));
    if (typeof value !== 'object' || value === null) return value;
    const keys = Object.keys(value);
    const file = (value as { file?: unknown }).file;
    const isSecret = keys.length === 1 && !sectionsWithFile.has(JSON.stringify(path));
    if (isSecret && typeof file === 'string') return placeFile(file, path, value);
    const { sealed } = value as { sealed?: unknown };
    if (keys.length === 1 && typeof sealed === 'string') return placeSealed(sealed, path);
    const entries = await Promise.all(
      Object.entries(value).map(async ([key, item]) => [key, await walk(item, [...path, key])] as const),
    );
    return Object.fromEntries(entries);
  }

  function placeText(text: string, path: Path): unknown {
    const shell = shellReference.exec(text)?.[0];
    if (shell !== undefined) {
      const message = `${shell} is not a reference: write ${'${NAME}'}, of letters, digits and underscores, without a default`;
      problems.push({ path, message });
    }
    const name = reference.exec(text)?.[1];
    if (name === undefined)
      return text.replaceAll(anyReference, (_, inner: string) => fromEnvironment(inner, path) ?? '');
    const value = fromEnvironment(name, path);
    if (value === undefined) return new Secret('');
    candidates.push({ path, plain: /^\d+$/.test(value) ? Number(value) : value });
    return new Secret(value);
  }

  async function placeSealed(sealed: string, path: Path): Promise<Secret> {
    try {
      return new Secret(await options.unseal(sealed));
    } catch (error) {
      problems.push({ path, message: `the secret cannot be read: ${(error as Error).message}` });
      return new Secret('');
    }
  }

  function fromEnvironment(name: string, path: Path): string | undefined {
    const value = options.env[name];
    if (value === undefined || value === '') {
      problems.push({ path, message: `the environment variable ${name} is not set: set it, or use { file: PATH }` });
      return undefined;
    }
    return value;
  }

  async function placeFile(file: string, path: Path, original: unknown): Promise<unknown> {
    try {
      const text = (await readAtMost(resolve(options.folder, file), maxSecretBytes)).replace(/\r?\n$/, '');
      if (text === '') problems.push({ path, message: `the file ${file} is empty: write the value into it` });
      candidates.push({ path, plain: original });
      return new Secret(text);
    } catch (error) {
      const why = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
      problems.push({ path, message: `the file ${file} cannot be read (${why}): correct its name or its permissions` });
      return new Secret('');
    }
  }
}

/** The text of a file, pipe or device. @throws Error when it is larger */
async function readAtMost(path: string, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new Error('larger than 64 KiB');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function setAt(root: unknown, path: Path, value: unknown): void {
  let parent = root as Record<string | number, unknown>;
  for (const key of path.slice(0, -1)) parent = parent[key] as Record<string | number, unknown>;
  const last = path.at(-1);
  if (last !== undefined) parent[last] = value;
}
