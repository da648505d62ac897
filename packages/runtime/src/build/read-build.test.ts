import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tempFolder } from '@dicom-dispatch/harness';
import { expect, it } from 'vitest';
import { buildText, commitOf, readBuild } from './read-build.ts';

const commit = '0123456789abcdef0123456789abcdef01234567';

it('is named by the environment, and in one line', () => {
  expect(buildText({ ...readBuild({ DISPATCH_BUILD: '2026.11<b>' }), version: '1.2.3' })).toBe(
    '1.2.3 (build 2026.11b)',
  );
  expect(buildText({ version: '1.2.3', build: undefined })).toBe('1.2.3');
});

it('is the commit of a clone: of a branch, of a packed branch, detached, of a work tree', async () => {
  await using folder = await tempFolder('build');
  const put = async (path: string, text: string): Promise<void> => {
    await mkdir(join(folder.path, path, '..'), { recursive: true });
    await writeFile(join(folder.path, path), `${text}\n`);
  };
  expect(commitOf(folder.path)).toBeUndefined();
  await put('.git/HEAD', commit);
  expect(commitOf(folder.path)).toBe(commit);
  await put('.git/HEAD', 'ref: refs/heads/main');
  expect(commitOf(folder.path)).toBeUndefined();
  await put('.git/packed-refs', `# pack-refs\n${commit} refs/heads/main`);
  expect(commitOf(folder.path)).toBe(commit);
  await put('.git/refs/heads/main', commit.replaceAll('0', 'f'));
  expect(commitOf(folder.path)).toBe(commit.replaceAll('0', 'f'));
  await put('.git/worktrees/tree/HEAD', 'ref: refs/heads/main');
  await put('.git/worktrees/tree/commondir', '../..');
  await put('tree/.git', `gitdir: ${join(folder.path, '.git/worktrees/tree')}`);
  expect(commitOf(join(folder.path, 'tree'))).toBe(commit.replaceAll('0', 'f'));
});
