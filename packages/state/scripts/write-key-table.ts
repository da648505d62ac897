/**
 * Writes the table of Redis keys into docs/architecture.md:
 *
 *   ./dispatch pnpm exec node packages/state/scripts/write-key-table.ts
 */
import { readFile, writeFile } from 'node:fs/promises';
import { keyTableMarkdown } from '@dicom-dispatch/state/keys';

const page = new URL('../../../docs/architecture.md', import.meta.url);
const text = await readFile(page, 'utf8');
await writeFile(
  page,
  text.replace(/(<!-- keys -->\n)[\s\S]*?(\n<!-- end -->)/, (_, a, b) => a + keyTableMarkdown() + b),
);
