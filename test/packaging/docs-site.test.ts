import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { tempFolder } from '@dicom-dispatch/harness';
import { expect, it } from 'vitest';

const docs = fileURLToPath(new URL('../../docs', import.meta.url));

/** A link that leads nowhere fails the build itself. */
it('every document is a page of the site, and is found by its search', async () => {
  await using folder = await tempFolder('docs-site');
  await promisify(execFile)(join(docs, 'node_modules/.bin/vitepress'), ['build', '.', '--outDir', folder.path], {
    cwd: docs,
  });
  const documents = (await readdir(docs, { recursive: true })).filter(
    (file) => file.endsWith('.md') && !/^(api|node_modules|\.vitepress)\//.test(file),
  );
  expect(documents.length).toBeGreaterThan(40);
  const pages = documents.map((file) => file.replace(/README\.md$/, 'index.md').replace(/md$/, 'html'));
  expect(pages.filter((page) => !existsSync(join(folder.path, page)))).toEqual([]);
  const chunks = await readdir(join(folder.path, 'assets/chunks'));
  const index = chunks.find((chunk) => chunk.startsWith('@localSearchIndex'));
  const words = await readFile(join(folder.path, 'assets/chunks', index ?? ''), 'utf8');
  expect(words.includes('callingaetitle')).toBe(true);
}, 180_000);
