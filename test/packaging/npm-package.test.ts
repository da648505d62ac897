import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, realpath, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { freePort, startOrthanc, startServer, tempFolder, waitFor } from '@dicom-dispatch/harness';
import { makeStudy } from '@dicom-dispatch/samples';
import { expect, it } from 'vitest';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));

/** Folder of an external package, in `node_modules` of any package of the workspace. */
async function placeOf(name: string): Promise<string> {
  for (const part of ['packages', 'services']) {
    for (const one of await readdir(join(root, part))) {
      const at = join(root, part, one, 'node_modules', name);
      if (existsSync(at)) return realpath(at);
    }
  }
  throw new Error(`${name} is a dependency of the package, and of nothing in the workspace`);
}

it('the npm package dicom-dispatch delivers a study outside of the repository, with its own dependencies alone', async () => {
  await using folder = await tempFolder('npm-package');
  const { stdout } = await run('node', [join(root, 'scripts/package-npm.mjs'), folder.path], {
    env: { ...process.env, DISPATCH_BUILD: 'made.1' },
  });
  const modules = join(folder.path, 'node_modules');
  await mkdir(modules);
  await run('tar', ['-xzf', stdout.trim(), '-C', modules]);
  await run('mv', [join(modules, 'package'), join(modules, 'dicom-dispatch')]);
  const home = join(modules, 'dicom-dispatch');
  const manifest = JSON.parse(await readFile(join(home, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
    bundleDependencies: string[];
  };
  // Like in an installation, undeclared packages are not found.
  for (const name of Object.keys(manifest.dependencies)) {
    if (manifest.bundleDependencies.includes(name)) continue;
    await mkdir(dirname(join(modules, name)), { recursive: true });
    await symlink(await placeOf(name), join(modules, name));
  }
  const program = join(home, 'main.js');
  expect((await run('node', [program, '--version'])).stdout).toMatch(/^dicom-dispatch \d+\.\d+\.\d+ \(build made\.1\)/);

  await using orthanc = await startOrthanc();
  const port = await freePort();
  const target = join(folder.path, 'arrived');
  await mkdir(target);
  await writeFile(
    join(folder.path, 'dispatch.yaml'),
    JSON.stringify({
      sources: { main: { url: orthanc.url, startFrom: 'everything', pollInterval: '200ms' } },
      targets: { disk: { type: 'folder', path: target, layout: 'flat' } },
      rules: [{ name: 'all', targets: ['disk'] }],
      redis: { dataFolder: join(folder.path, 'data') },
      console: { listen: `127.0.0.1:${port}` },
    }),
  );
  await using _system = await startServer({
    name: 'npm package',
    prepare: () => ({ command: 'node', args: [program, 'up'], cwd: folder.path }),
    isReady: async () => (await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined))?.ok === true,
  });
  const study = makeStudy({ seed: 'npm package', instancesPerSeries: 2, rows: 16, columns: 16 });
  const uids = [...study].map(({ sopInstanceUid }) => `${sopInstanceUid}.dcm`);
  for (const { bytes } of study) await orthanc.upload(bytes);
  await waitFor(async () => {
    const arrived = await readdir(target);
    return uids.every((uid) => arrived.includes(uid));
  });
});
