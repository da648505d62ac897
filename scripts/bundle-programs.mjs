// Bundles the programs that tests start as processes: Node loads a few large files in two thirds of the time of all sources.
//   node scripts/bundle-programs.mjs FOLDER
// Packages of others are not bundled. A file of the repository that a module finds beside itself is found there as before.
import { readdirSync, rmSync, statSync } from 'node:fs';
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
await bundle.write({
  dir: folder,
  format: 'esm',
  keepNames: true,
  entryFileNames: '[name].mjs',
  chunkFileNames: '[name]-[hash].mjs',
});
// Files of other versions of the sources, which a running test may still load, stay for a day.
for (const name of readdirSync(folder)) {
  const file = join(folder, name);
  if (Date.now() - statSync(file).mtimeMs > dayMs) rmSync(file);
}
