import { execFile } from 'node:child_process';
import { cp, mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
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

/** Runs the linter of the repository on planted files. @returns the files in which it refuses an import */
async function refusedIn(files: Readonly<Record<string, string>>): Promise<Set<string>> {
  await using folder = await tempFolder('planted');
  await cp(join(root, 'oxlint.config.ts'), join(folder.path, 'oxlint.config.ts'));
  await symlink(join(root, 'node_modules'), join(folder.path, 'node_modules'));
  await Promise.all(
    Object.entries(files).map(async ([name, text]) => {
      await mkdir(dirname(join(folder.path, name)), { recursive: true });
      await writeFile(join(folder.path, name), text);
    }),
  );
  const lint = promisify(execFile)(join(root, 'node_modules/.bin/oxlint'), ['--format=json'], { cwd: folder.path });
  const { stdout } = await lint.catch((error: { stdout: string }) => error);
  const { diagnostics } = JSON.parse(stdout) as { diagnostics: { code: string; filename: string }[] };
  return new Set(
    diagnostics
      .filter(({ code }) => /no-restricted-imports|no-cycle/.test(code))
      .map(({ filename }) => filename.replace(`${folder.path}/`, '')),
  );
}

it('every room of the repository has a rule', async () => {
  const found = await Promise.all(
    ['packages', 'services'].map(async (kind) => (await readdir(join(root, kind))).map((name) => `${kind}/${name}`)),
  );
  expect(Object.keys(rooms).sort()).toEqual([...found.flat(), 'test/harness'].sort());
});

it('refuses each import that a room may not have, by name and past the exports, and takes the others', async () => {
  const good: Record<string, string> = {};
  const bad: Record<string, string> = {};
  for (const [room, allowed] of Object.entries(rooms)) {
    for (const other of Object.keys(rooms)) {
      if (other === room) continue;
      const name = other.slice(other.indexOf('/') + 1);
      const file = `${room}/src/planted-${name}`;
      const isAllowed = allowed.includes(name);
      (isAllowed ? good : bad)[`${file}.ts`] = `export { one } from '${packageOf(other)}';\n`;
      if (!isAllowed) bad[`${file}-part.ts`] = `export { one } from '${packageOf(other)}/part';\n`;
      bad[`${file}-src.ts`] = `export { one } from '${packageOf(other)}/src/part.ts';\n`;
      bad[`${file}-up.ts`] = `export { one } from '../../${name}/src/part.ts';\n`;
      bad[`${room}/src/deep/planted-${name}.ts`] = `export { one } from '../../../../${other}/src/part.ts';\n`;
    }
    good[`${room}/src/inside.ts`] = `export { one } from './deep/part.ts';\n`;
    good[`${room}/src/deep/inside.ts`] = `export { one } from '../other/part.ts';\n`;
  }
  const refused = await refusedIn({ ...good, ...bad });
  expect(Object.keys(bad).filter((file) => !refused.has(file))).toEqual([]);
  expect(Object.keys(good).filter((file) => refused.has(file))).toEqual([]);
}, 180_000);

it('refuses a ring of imports', async () => {
  const refused = await refusedIn({
    'packages/core/src/one.ts': `import { two } from './two.ts';\nexport const one = (): unknown => two;\n`,
    'packages/core/src/two.ts': `import { one } from './one.ts';\nexport const two = (): unknown => one;\n`,
  });
  expect([...refused].sort()).toEqual(['packages/core/src/one.ts', 'packages/core/src/two.ts']);
}, 180_000);
