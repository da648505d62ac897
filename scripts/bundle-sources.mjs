// Bundles programs of this repository: a process loads a few files instead of about 700, without their comments. V8 keeps the text of
// each loaded module in memory. Packages of others are not bundled.
import { dirname, join, relative } from 'node:path';
import { rolldown } from 'rolldown';

const places = /new URL\('\.\/([\w-]+)\.ts', import\.meta\.url\)|import\.meta\.(?:dirname|url)/g;

/** What a module reads of `import.meta` is that of its source, found from the folder of the bundle; threads load a bundled program. */
function placesOfSources(folder, input) {
  const from = (path) => JSON.stringify(join('..', relative(dirname(folder), path)));
  return {
    name: 'places of sources',
    transform: {
      filter: { code: /import\.meta\.(dirname|url)/ },
      handler: (code, file) =>
        code.replaceAll(places, (found, name) => {
          if (found === 'import.meta.dirname') return `(import.meta.dirname + "/" + ${from(dirname(file))})`;
          const source = `new URL(${from(file)}, import.meta.url).href`;
          if (name === undefined) return source;
          return input[name] === join(dirname(file), `${name}.ts`)
            ? `new URL("./${name}.mjs", import.meta.url)`
            : `new URL("./${name}.ts", ${source})`;
        }),
    },
  };
}

function packagesOfOthers(folder) {
  return {
    name: 'packages of others',
    resolveId: {
      filter: { id: /^(?!\.|\/|node:|@dicom-dispatch\/|dicom-dimse)/ },
      async handler(name, importer, options) {
        if (importer === undefined) return null;
        const found = await this.resolve(name, importer, { ...options, skipSelf: true });
        if (!found) throw new Error(`${importer}: the package ${name} is not installed`);
        return { id: join('..', relative(dirname(folder), found.id)), external: true };
      },
    },
  };
}

/**
 * @param root - the folder of the sources and their node_modules
 * @param input - absolute paths of programs by name
 * @param folder - for the bundle; the sources and packages are found from it by relative paths
 * @returns the written files
 */
export async function bundleSources({ root, input, folder }) {
  const bundle = await rolldown({
    cwd: root,
    input,
    platform: 'node',
    plugins: [placesOfSources(folder, input), packagesOfOthers(folder)],
  });
  const { output } = await bundle.write({
    dir: folder,
    format: 'esm',
    keepNames: true,
    comments: { legal: true, annotation: false, jsdoc: false },
    entryFileNames: '[name].mjs',
    chunkFileNames: '[name]-[hash].mjs',
  });
  await bundle.close();
  return output;
}
