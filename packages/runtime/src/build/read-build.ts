import { readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import manifest from '../../package.json' with { type: 'json' };

/** Version and build of this installation. */
export interface Build {
  readonly version: string;
  /** The build: `DISPATCH_BUILD`, otherwise the commit of a clone; undefined if neither is known. */
  readonly build: string | undefined;
}

const repository = join(import.meta.dirname, '../../../..');

export function readBuild(environment: NodeJS.ProcessEnv = process.env): Build {
  const named = environment['DISPATCH_BUILD']?.replaceAll(/[^\w.+-]/g, '').slice(0, 40);
  return { version: manifest.version, build: named || commitOf(repository)?.slice(0, 8) };
}

/** `0.1.0 (build 1a2b3c4d)` */
export function buildText({ version, build }: Build): string {
  return build === undefined ? version : `${version} (build ${build})`;
}

/** The commit that a clone of Git has checked out. */
export function commitOf(folder: string): string | undefined {
  try {
    const git = gitFolder(folder);
    const head = read(join(git, 'HEAD'));
    const ref = /^ref: (\S+)$/.exec(head)?.[1];
    if (ref === undefined) return commit(head);
    // A work tree has its own HEAD, and shares the branches.
    const shared = tryTo(() => resolve(git, read(join(git, 'commondir')))) ?? git;
    const loose = tryTo(() => read(join(shared, ref)));
    if (loose !== undefined) return commit(loose);
    return read(join(shared, 'packed-refs'))
      .split('\n')
      .find((line) => line.endsWith(` ${ref}`))
      ?.slice(0, 40);
  } catch {
    return undefined;
  }
}

function gitFolder(folder: string): string {
  const path = join(folder, '.git');
  if (statSync(path).isDirectory()) return path;
  return resolve(folder, read(path).replace(/^gitdir: /, ''));
}

function read(path: string): string {
  return readFileSync(path, 'utf8').trim();
}

function commit(text: string): string | undefined {
  return /^[0-9a-f]{40,64}$/.test(text) ? text : undefined;
}

function tryTo<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch {
    return undefined;
  }
}
