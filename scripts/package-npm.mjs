// Makes the npm package `dicom-dispatch`: the command with all of ours in it, as JavaScript, and the packages of others as dependencies.
//   node scripts/package-npm.mjs [FOLDER]      writes dicom-dispatch-VERSION.tgz into FOLDER (default: dist)
// Node does not run TypeScript below node_modules: types are taken out here, and nothing else is changed.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = resolve(process.argv[2] ?? join(root, 'dist'));
const notShipped = /\.test\.ts$|\/(testing|contract-suite|test)\//;

/** Our packages by name: folder and manifest. */
const ours = new Map(
  ['packages', 'services'].flatMap((part) =>
    readdirSync(join(root, part)).map((name) => {
      const at = join(root, part, name);
      const manifest = JSON.parse(readFileSync(join(at, 'package.json'), 'utf8'));
      return [manifest.name, { at, manifest }];
    }),
  ),
);

const stage = mkdtempSync(join(tmpdir(), 'dicom-dispatch-npm-'));
try {
  const { version, license, description, engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const dependencies = {};
  const optionalDependencies = {};
  const shipped = reached('@dicom-dispatch/cli');
  for (const name of shipped) {
    const { at, manifest } = ours.get(name);
    copySources(join(at, 'src'), join(stage, 'node_modules', name, 'src'));
    Object.assign(dependencies, ofOthers(manifest.dependencies));
    Object.assign(optionalDependencies, ofOthers(manifest.optionalDependencies));
    write(join('node_modules', name, 'package.json'), {
      name,
      version: manifest.version,
      license: manifest.license,
      type: 'module',
      exports: asJavaScript(manifest.exports),
    });
  }
  const main = `#!/usr/bin/env node
process.env.DISPATCH_BUILD ??= '${buildName()}';
await import('@dicom-dispatch/cli/main');
`;
  writeFileSync(join(stage, 'main.js'), main, { mode: 0o755 });
  for (const file of ['README.md', 'LICENSE', 'CHANGELOG.md']) cpSync(join(root, file), join(stage, file));
  cpSync(join(root, 'docs/example.yaml'), join(stage, 'example.yaml'));
  write('package.json', {
    name: 'dicom-dispatch',
    version,
    description,
    keywords: ['dicom', 'dispatch', 'orthanc', 'pacs', 'routing'],
    license,
    type: 'module',
    bin: { 'dicom-dispatch': 'main.js' },
    files: ['main.js', 'example.yaml', 'CHANGELOG.md'],
    engines,
    dependencies: {
      ...dependencies,
      ...Object.fromEntries(shipped.map((name) => [name, ours.get(name).manifest.version])),
    },
    optionalDependencies,
    bundleDependencies: shipped,
  });
  mkdirSync(folder, { recursive: true });
  const packed = execFileSync('npm', ['pack', '--json', '--pack-destination', folder], {
    cwd: stage,
    encoding: 'utf8',
  });
  console.log(join(folder, JSON.parse(packed)[0].filename));
} finally {
  rmSync(stage, { recursive: true, force: true });
}

/** What it is built from: shown with the version on every page, by --version and in the metrics. */
function buildName() {
  const named = process.env.DISPATCH_BUILD ?? '';
  if (named !== '') return named.replaceAll(/[^\w.+-]/g, '');
  try {
    const args = ['describe', '--always', '--dirty=+', '--abbrev=8', '--exclude=*'];
    return execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return '';
  }
}

/** A package and all of ours that it needs. */
function reached(name, found = new Set()) {
  if (!ours.has(name) || found.has(name)) return [...found];
  found.add(name);
  const { dependencies = {} } = ours.get(name).manifest;
  for (const one of Object.keys(dependencies)) reached(one, found);
  return [...found];
}

function ofOthers(dependencies = {}) {
  return Object.fromEntries(Object.entries(dependencies).filter(([name]) => !ours.has(name)));
}

function copySources(from, to) {
  for (const entry of readdirSync(from, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    const name = file.slice(from.length);
    if (notShipped.test(name)) continue;
    const target = join(to, asJavaScript(name));
    mkdirSync(dirname(target), { recursive: true });
    if (name.endsWith('.ts')) writeFileSync(target, compile(readFileSync(file, 'utf8')));
    else cpSync(file, target);
  }
}

/** Takes the types out, and lets relative names of files end in `.js`. */
function compile(text) {
  return stripTypeScriptTypes(text, { mode: 'strip' }).replaceAll(/(['"])(\.{1,2}\/[^'"\n]*)\.ts\1/g, '$1$2.js$1');
}

/** `./src/index.ts` as `./src/index.js`, in a text and in all that a manifest exports. */
function asJavaScript(value) {
  if (typeof value === 'string') return value.replace(/\.ts$/, '.js');
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, asJavaScript(inner)]));
}

function write(name, content) {
  mkdirSync(dirname(join(stage, name)), { recursive: true });
  writeFileSync(join(stage, name), `${JSON.stringify(content, null, 2)}\n`);
}
