/**
 * Writes the table of Redis keys into docs/architecture.md, and that of acts into docs/delivery-life.md:
 *
 *   ./dispatch pnpm exec node packages/state/scripts/write-key-table.ts
 */
import { readFile, writeFile } from 'node:fs/promises';
import { keyTableMarkdown } from '@dicom-dispatch/state/keys';
import { deliveryActsMarkdown } from '@dicom-dispatch/state/records';

const page = new URL('../../../docs/architecture.md', import.meta.url);
const text = await readFile(page, 'utf8');
await writeFile(
  page,
  text.replace(/(<!-- keys -->\n)[\s\S]*?(\n<!-- end -->)/, (_, a, b) => a + keyTableMarkdown() + b),
);

const life = new URL('../../../docs/delivery-life.md', import.meta.url);
const lifeText = await readFile(life, 'utf8');
await writeFile(
  life,
  lifeText.replace(/(<!-- acts -->\n)[\s\S]*?(<!-- end -->)/, (_, a, b) => `${a}${deliveryActsMarkdown()}\n${b}`),
);
