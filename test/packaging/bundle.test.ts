import { execFile } from 'node:child_process';
import { appendFile, mkdir, readdir, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { tempFolder } from '@dicom-dispatch/harness';
import { expect, it } from 'vitest';

const run = promisify(execFile);
const repository = join(import.meta.dirname, '../..');

/** A small repository: a program with a module, a thread, a file beside a source, and a package of others. */
async function scene() {
  const folder = await tempFolder('bundle');
  const root = folder.path;
  const [cli, security, others] = ['packages/cli/src', 'services/console/src/security', 'node_modules/others'].map(
    (path) => join(root, path),
  ) as [string, string, string];
  for (const path of [cli, security, others]) await mkdir(path, { recursive: true });
  await writeFile(join(root, 'pnpm-lock.yaml'), '');
  await writeFile(join(others, 'package.json'), '{"name":"others","type":"module","exports":"./index.js"}');
  await writeFile(join(others, 'index.js'), `export const theirs = import.meta.url;`);
  await writeFile(join(cli, 'beside.txt'), 'beside');
  await writeFile(join(cli, 'name.ts'), `export const name: string = 'first';\n`);
  await writeFile(
    join(cli, 'main.ts'),
    `import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { theirs } from 'others';
import { name } from './name.ts';
import { answer } from '../../../services/console/src/security/derive-key.ts';
const beside = readFileSync(join(import.meta.dirname, 'beside.txt'), 'utf8');
const byUrl = readFileSync(new URL('beside.txt', import.meta.url), 'utf8');
console.log(JSON.stringify({ name, beside, byUrl, theirs, thread: await answer() }));
`,
  );
  await writeFile(
    join(security, 'derive-key.ts'),
    `import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
export const answer = async () => (await once(new Worker(new URL('./derive-worker.ts', import.meta.url)), 'message'))[0];
`,
  );
  await writeFile(
    join(security, 'derive-worker.ts'),
    `import { parentPort } from 'node:worker_threads';\nparentPort?.postMessage(import.meta.filename);\n`,
  );
  async function bundle(...args: string[]): Promise<string> {
    const script = join(repository, 'scripts/bundle-service.mjs');
    const { stdout } = await run(process.execPath, [script, ...args]);
    return stdout.trim();
  }
  return {
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
    root,
    cli,
    bundle,
    async start(file: string): Promise<Record<string, string>> {
      return JSON.parse((await run(process.execPath, [file])).stdout) as Record<string, string>;
    },
  };
}

it('a bundle finds files beside its sources, packages of others and its thread, which is bundled too', async () => {
  await using system = await scene();
  const file = await system.bundle('--app', system.root);
  expect(file).toBe(join(system.root, 'bundle/main.mjs'));
  expect(await system.start(file)).toEqual({
    name: 'first',
    beside: 'beside',
    byUrl: 'beside',
    theirs: `file://${join(system.root, 'node_modules/others/index.js')}`,
    thread: join(system.root, 'bundle/derive-worker.mjs'),
  });
});

it('a checkout is bundled once for each version of its sources, also if a change has the time of the former file', async () => {
  await using system = await scene();
  const first = await system.bundle('--root', system.root);
  expect(await system.bundle('--root', system.root)).toBe(first);
  const changed = join(system.cli, 'name.ts');
  await writeFile(changed, `export const name: string = 'other';\n`);
  await utimes(changed, new Date(0), new Date(0));
  const second = await system.bundle('--root', system.root);
  expect(second).not.toBe(first);
  expect((await stat(dirname(second))).mode & 0o777).toBe(0o777 & ~process.umask());
  expect([(await system.start(first))['name'], (await system.start(second))['name']]).toEqual(['first', 'other']);
});

it('the ten versions that were started last stay, so that a running service can load the rest of its bundle', async () => {
  await using system = await scene();
  const folder = join(system.root, 'node_modules/.cache/service');
  const first = await system.bundle('--root', system.root);
  for (let version = 0; version < 11; version += 1) {
    await mkdir(join(folder, `former-${version}`));
    await utimes(join(folder, `former-${version}`), version + 1, version + 1);
  }
  await appendFile(join(system.cli, 'name.ts'), '// changed\n');
  const second = await system.bundle('--root', system.root);
  const left = await readdir(folder);
  expect(left).toHaveLength(10);
  expect([first, second].map((file) => left.includes(file.split('/').at(-2) ?? ''))).toEqual([true, true]);
  expect(left).not.toContain('former-0');
});

it('a bundle that cannot be written is an error, so that the sources are loaded', async () => {
  await using system = await scene();
  await mkdir(join(system.root, 'node_modules/.cache'));
  await symlink('/dev/null', join(system.root, 'node_modules/.cache/service'));
  await expect(system.bundle('--root', system.root)).rejects.toThrow('EEXIST');
});
