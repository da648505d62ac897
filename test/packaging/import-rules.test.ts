import { execFile } from 'node:child_process';
import { cp, glob, mkdir, readFile, readdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { tempFolder } from '@dicom-dispatch/harness';
import { expect, it } from 'vitest';
import { rooms } from '../../oxlint.config.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The name by which a room is imported. */
function packageOf(room: string): string {
  const name = room.slice(room.indexOf('/') + 1);
  return name === 'dicom-dimse' ? name : `@dicom-dispatch/${name}`;
}

/** Runs the linter of the repository on planted files. @returns `FILE:LINE` of each rejected import */
async function refusedIn(files: Readonly<Record<string, readonly string[]>>): Promise<Set<string>> {
  await using folder = await tempFolder('planted');
  await cp(join(root, 'oxlint.config.ts'), join(folder.path, 'oxlint.config.ts'));
  // Only the package that the configuration imports: the linter would read the files of all linked packages.
  await mkdir(join(folder.path, 'node_modules'));
  await symlink(join(root, 'node_modules/oxlint'), join(folder.path, 'node_modules/oxlint'));
  for (const [name, lines] of Object.entries(files)) {
    await mkdir(dirname(join(folder.path, name)), { recursive: true });
    await writeFile(join(folder.path, name), `${lines.join('\n')}\n`);
  }
  const lint = promisify(execFile)(join(root, 'node_modules/.bin/oxlint'), ['--format=json'], {
    cwd: folder.path,
    maxBuffer: 64 * 1024 * 1024,
  });
  const { stdout } = await lint.catch((error: { stdout: string }) => error);
  const { diagnostics } = JSON.parse(stdout) as {
    diagnostics: { code: string; filename: string; labels: { span: { line: number } }[] }[];
  };
  return new Set(
    diagnostics
      .filter(({ code }) => /no-restricted-imports|no-cycle/.test(code))
      .flatMap(({ filename, labels }) =>
        labels.map(({ span }) => `${filename.replace(`${folder.path}/`, '')}:${span.line}`),
      ),
  );
}

it('every room of the repository has a rule', async () => {
  const found = await Promise.all(
    ['packages', 'services'].map(async (kind) => (await readdir(join(root, kind))).map((name) => `${kind}/${name}`)),
  );
  expect(Object.keys(rooms).sort()).toEqual([...found.flat(), 'test/harness'].sort());
});

it('rejects each forbidden import, by name and past the exports, and accepts the others', async () => {
  const planted: Record<string, string[]> = {};
  const good: string[] = [];
  const bad: string[] = [];
  const plant = (file: string, from: string, isAllowed: boolean): void => {
    const lines = (planted[file] ??= []);
    lines.push(`export { one as one${lines.length} } from '${from}';`);
    (isAllowed ? good : bad).push(`${file}:${lines.length} ${from}`);
  };
  for (const [room, allowed] of Object.entries(rooms)) {
    const [file, deep] = [`${room}/src/planted.ts`, `${room}/src/deep/planted.ts`];
    for (const other of Object.keys(rooms).filter((one) => one !== room)) {
      const name = other.slice(other.indexOf('/') + 1);
      const isAllowed = allowed.includes(name);
      plant(file, packageOf(other), isAllowed);
      if (!isAllowed) plant(file, `${packageOf(other)}/part`, false);
      plant(file, `${packageOf(other)}/src/part.ts`, false);
      plant(file, `../../${name}/src/part.ts`, false);
      plant(deep, `../../../../${other}/src/part.ts`, false);
    }
    plant(file, './deep/part.ts', true);
    plant(deep, '../other/part.ts', true);
  }
  const refused = await refusedIn(planted);
  const isRefused = (one: string): boolean => refused.has(one.slice(0, one.indexOf(' ')));
  expect(bad.filter((one) => !isRefused(one))).toEqual([]);
  expect(good.filter(isRefused)).toEqual([]);
});

it('rejects import cycles', async () => {
  const refused = await refusedIn({
    'packages/core/src/one.ts': [`import { two } from './two.ts';`, 'export const one = (): unknown => two;'],
    'packages/core/src/two.ts': [`import { one } from './one.ts';`, 'export const two = (): unknown => one;'],
  });
  expect([...refused].sort()).toEqual(['packages/core/src/one.ts:1', 'packages/core/src/two.ts:1']);
});

it('no package depends on itself through others, for tests or otherwise', async () => {
  type Manifest = { name: string; dependencies?: object; devDependencies?: object };
  const needs = new Map<string, string[]>();
  for await (const file of glob(['{packages,services}/*/package.json', 'test/harness/package.json'], { cwd: root })) {
    const { name, ...manifest } = JSON.parse(await readFile(join(root, file), 'utf8')) as Manifest;
    const all = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies });
    const ours = all.filter(([, version]) => String(version).startsWith('workspace:'));
    needs.set(
      name,
      ours.map(([other]) => other),
    );
  }
  expect(needs.size).toBe(Object.keys(rooms).length);
  // Packages that need none of those that are left go, again and again: only the members of cycles remain.
  for (let size = -1; size !== needs.size;) {
    size = needs.size;
    for (const [name, others] of needs) if (!others.some((other) => needs.has(other))) needs.delete(name);
  }
  expect([...needs.keys()]).toEqual([]);
});
