// Bundles the programs that tests start as processes: Node loads a few large files in two thirds of the time of all sources.
//   node scripts/bundle-programs.mjs [FOLDER]
// Each version of the sources has a folder there, which this prints: runs at the same time change nothing under each other.
// A file of the repository that a module finds beside itself is found there as before.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, utimesSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleSources } from './bundle-sources.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = resolve(process.argv[2] ?? join(root, 'node_modules/.cache/programs'));
const programs = [
  'packages/cli/src/main.ts',
  'services/console/src/security/derive-worker.ts',
  'test/e2e/support/command-host.ts',
  'test/chaos/apply/apply-process.ts',
  'test/chaos/apply/service-process.ts',
];
const dayMs = 86_400_000;

mkdirSync(folder, { recursive: true });
const made = mkdtempSync(join(folder, 'new-'));
const output = await bundleSources({
  root,
  input: Object.fromEntries(programs.map((file) => [basename(file, '.ts'), join(root, file)])),
  folder: made,
});
const hash = createHash('sha256');
for (const { fileName, code } of output) hash.update(`${fileName}\n${code}\n`);
const own = hash.digest('hex').slice(0, 16);
const programsFolder = join(folder, own);
try {
  renameSync(made, programsFolder);
} catch (error) {
  // Another run had the same sources.
  if (!existsSync(programsFolder)) throw error;
  rmSync(made, { recursive: true, force: true });
}
utimesSync(programsFolder, new Date(), new Date());
// Other versions, which a running test may still load, stay for a day.
for (const name of readdirSync(folder)) {
  const changedAt = statSync(join(folder, name), { throwIfNoEntry: false })?.mtimeMs;
  const isOld = changedAt !== undefined && Date.now() - changedAt > dayMs;
  if (isOld && name !== own) rmSync(join(folder, name), { recursive: true, force: true });
}
process.stdout.write(`${programsFolder}\n`);
