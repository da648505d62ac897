/**
 * Makes the alert rules beside this file: ./dispatch pnpm exec node deploy/grafana/make-alerts.ts
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { alertRulesYaml } from '../../packages/operations/src/health/alert-rules.ts';

await writeFile(join(import.meta.dirname, 'alerts.yaml'), alertRulesYaml());
