// Bundles the programs that tests start as processes: Node loads a few large files in two thirds of the time of all sources.
//   node scripts/bundle-programs.mjs [FOLDER]
// Each version of the sources has a folder there, which this prints: runs at the same time change nothing under each other.
// Packages of others are not bundled. A file of the repository that a module finds beside itself is found there as before.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, utimesSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { rolldown } from 'rolldown';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = resolve(process.argv[2] ?? join(root, 'node_modules/.cache/programs'));
const programs = [
  'packages/cli/src/main.ts',
  'test/e2e/support/command-host.ts',
  'test/chaos/apply/apply-process.ts',
  'test/chaos/apply/service-process.ts',
];
const dayMs = 86_400_000;

/** What a module reads of `import.meta` is that of its source. */
const places = {
  name: 'places of sources',
  transform: {
    filter: { code: /import\.meta\.(dirname|url)/ },
    handler: (code, file) =>
      code
        .replaceAll('import.meta.dirname', JSON.stringify(dirname(file)))
        .replaceAll('import.meta.url', JSON.stringify(pathToFileURL(file).href)),
  },
};

const packagesOfOthers = {
  name: 'packages of others',
  resolveId: {
    filter: { id: /^(?!\.|\/|node:|@dicom-dispatch\/|dicom-dimse)/ },
    async handler(name, importer, options) {
      if (importer === undefined) return null;
      const found = await this.resolve(name, importer, { ...options, skipSelf: true });
      if (!found) throw new Error(`${importer}: the package ${name} is not installed`);
      return { id: found.id, external: true };
    },
  },
};

const bundle = await rolldown({
  cwd: root,
  input: Object.fromEntries(programs.map((file) => [basename(file, '.ts'), join(root, file)])),
  platform: 'node',
  plugins: [places, packagesOfOthers],
});
mkdirSync(folder, { recursive: true });
const made = mkdtempSync(join(folder, 'new-'));
const { output } = await bundle.write({
  dir: made,
  format: 'esm',
  keepNames: true,
  entryFileNames: '[name].mjs',
  chunkFileNames: '[name]-[hash].mjs',
});
await bundle.close();
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
