import { realpath, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Problem } from '@dicom-dispatch/core';
import { keyAccessRemedy, sealKeyPath } from '../store/seal.ts';
import { isReadOnly } from '../store/is-read-only.ts';
import { parseText } from './parsed-text.ts';

interface NamedFile {
  readonly path: readonly (string | number)[];
  readonly file: string;
  readonly what: string;
}

const othersWrite = 0o002;
const othersRead = 0o004;
const sticky = 0o1000;

/**
 * Files of a configuration that every account on this host can change or replace: the configuration names programs,
 * folders and secrets, and external handlers are executed. Also a key of sealed secrets that every account can read.
 *
 * @param file - the configuration file, from whose folder relative names start
 * @param text - its text
 */
export async function permissionWarnings(
  file: string,
  text: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Problem[]> {
  const path = resolve(file);
  const key = sealKeyPath(path, env);
  const named = [{ path: [], file: path, what: 'the configuration' }, ...namedFiles(parseText(path, text).raw, path)];
  const open = await Promise.all(named.map((one) => openToOthers(one)));
  const isKeyRead = ((await modeOf(key)) ?? 0) & othersRead;
  return [
    ...open.flatMap((problem) => problem ?? []),
    ...(isKeyRead
      ? [{ path: [], message: `${key} can be read by every account on this host: ${await keyAccessRemedy(key)}` }]
      : []),
    ...((await openToOthers({ path: [], file: key, what: 'the key of sealed secrets' })) ?? []),
  ];
}

/** `{ file: PATH }`, and external handlers that are files. */
function namedFiles(raw: unknown, config: string): NamedFile[] {
  const found: NamedFile[] = [];
  const absolute = (file: string): string => resolve(dirname(config), file);
  walk(raw, []);
  return found;

  function walk(value: unknown, path: readonly (string | number)[]): void {
    if (typeof value !== 'object' || value === null) return;
    const { file, type } = value as { readonly file?: unknown; readonly type?: unknown };
    if (typeof file === 'string' && Object.keys(value).length === 1) {
      found.push({ path, file: absolute(file), what: 'a secret' });
      return;
    }
    const handler = typeof type === 'string' ? /^package:(\.{0,2}\/.+)$/.exec(type)?.[1] : undefined;
    if (handler !== undefined) found.push({ path: [...path, 'type'], file: absolute(handler), what: 'a program' });
    for (const [name, item] of Object.entries(value)) walk(item, [...path, Array.isArray(value) ? Number(name) : name]);
  }
}

async function openToOthers({ path, file, what }: NamedFile): Promise<Problem[] | undefined> {
  const real = await realpath(file).catch(() => undefined);
  if (real === undefined) return undefined;
  if (((await modeOf(real)) ?? 0) & othersWrite && !(await isReadOnly(real))) {
    return [{ path, message: `${file}, ${what}, can be changed by every account on this host: chmod o-w ${file}` }];
  }
  for (let folder = dirname(real); ; folder = dirname(folder)) {
    const mode = (await modeOf(folder)) ?? 0;
    // In a folder such as /tmp other accounts may add files, but not replace them.
    if (mode & othersWrite && !(mode & sticky) && !(await isReadOnly(folder))) {
      const message = `${file}, ${what}, can be replaced by every account on this host, since all can write to ${folder}: chmod o-w ${folder}`;
      return [{ path, message }];
    }
    if (folder === dirname(folder)) return undefined;
  }
}

async function modeOf(path: string): Promise<number | undefined> {
  return stat(path).then(
    ({ mode }) => mode,
    () => undefined,
  );
}
