import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** Whether a program is in one of the folders of PATH. */
export function isInstalled(program: string): boolean {
  return (process.env['PATH'] ?? '').split(':').some((folder) => existsSync(join(folder, program)));
}
