// Before `npm pack` or `npm publish` of a package: builds it and ours that it needs, and puts the manifest of what is published in the place of its
// package.json; afterwards puts the own one back. In the repository packages run from their sources; the published ones do
// not have those, nor the tools that only the repository needs.
//   node ../../scripts/pack-manifest.mjs pack|restore      (in the folder of the package)
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const kept = '.package.json.kept';

if (process.argv[2] === 'restore') restore();
else pack();

function pack() {
  // What a pack that was broken off has left behind.
  if (existsSync(kept)) restore();
  const {
    devDependencies: _,
    scripts: _scripts,
    publishConfig = {},
    ...manifest
  } = JSON.parse(readFileSync('package.json', 'utf8'));
  const dependencies = { ...manifest.dependencies };
  for (const name of Object.keys(dependencies).filter((one) => dependencies[one].startsWith('workspace:'))) {
    const at = join('..', name.replace(/^@.*\//, ''));
    build(at);
    dependencies[name] = `^${JSON.parse(readFileSync(join(at, 'package.json'), 'utf8')).version}`;
  }
  build('.');
  const { access, ...published } = publishConfig;
  const repository = repositoryUrl();
  const written = {
    ...manifest,
    ...published,
    ...(manifest.dependencies && { dependencies }),
    ...(repository && { repository: { type: 'git', url: repository, directory: relative(root, process.cwd()) } }),
    publishConfig: { access },
  };
  renameSync('package.json', kept);
  writeFileSync('package.json', `${JSON.stringify(written, null, 2)}\n`);
}

function build(at) {
  rmSync(join(at, 'dist'), { recursive: true, force: true });
  execFileSync(join(root, 'node_modules/.bin/tsc'), ['-p', join(at, 'tsconfig.build.json')], { stdio: 'inherit' });
}

function restore() {
  if (existsSync(kept)) renameSync(kept, 'package.json');
}

function repositoryUrl() {
  const { repository } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  if (repository) return repository.url ?? repository;
  try {
    const url = execFileSync('git', ['remote', 'get-url', 'origin'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return /^(https|ssh|git)[:@+]/.test(url) ? url.trim() : undefined;
  } catch {
    return undefined;
  }
}
