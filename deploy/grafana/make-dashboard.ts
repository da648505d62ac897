/** Writes dashboard.json beside this file: ./dispatch pnpm exec node deploy/grafana/make-dashboard.ts */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { dashboard } from './dashboard.ts';

await writeFile(join(import.meta.dirname, 'dashboard.json'), `${JSON.stringify(dashboard, undefined, 2)}\n`);
