import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const docs = join(root, 'docs');
const site = join(docs, '.vitepress/dist');

/** A broken link fails the build itself. */
it('every document is a page of the site, and is found by its search', async () => {
  // Turbo reuses a site that was built from the same documents.
  await promisify(execFile)(
    join(root, 'dispatch'),
    ['pnpm', 'exec', 'turbo', 'run', 'build', '--filter=@dicom-dispatch/docs', '--output-logs=errors-only'],
    { cwd: root },
  );
  const documents = (await readdir(docs, { recursive: true })).filter(
    (file) => file.endsWith('.md') && !/^(api|node_modules|\.vitepress)\//.test(file),
  );
  expect(documents.length).toBeGreaterThan(40);
  const pages = documents.map((file) => file.replace(/README\.md$/, 'index.md').replace(/md$/, 'html'));
  expect(pages.filter((page) => !existsSync(join(site, page)))).toEqual([]);
  const chunks = await readdir(join(site, 'assets/chunks'));
  const index = chunks.find((chunk) => chunk.startsWith('@localSearchIndex'));
  const words = await readFile(join(site, 'assets/chunks', index ?? ''), 'utf8');
  expect(words.includes('callingaetitle')).toBe(true);
});
