import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where `./dispatch test` has bundled the programs; undefined if tests run without it. */
const bundles = process.env['DICOM_DISPATCH_PROGRAMS'];

/**
 * The file to start for a program of `scripts/bundle-programs.mjs`: its bundle if there is one, otherwise its source.
 *
 * @param name - of its source, without `.ts`
 */
export function programFile(name: string, source: string): string {
  return bundles === undefined ? source : join(bundles, `${name}.mjs`);
}

/** The command line. */
export const commandLine = programFile('main', fileURLToPath(import.meta.resolve('@dicom-dispatch/cli/main')));
