// Bundles the command-line tool and all services, and prints the file to start.
//   node scripts/bundle-service.mjs              in a checkout: a bundle for each version of the sources
//   node scripts/bundle-service.mjs --app APP    once, into APP/bundle, of sources that do not change
import { createHash } from 'node:crypto';
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({ options: { root: { type: 'string' }, app: { type: 'string' } } });
const root = resolve(values.app ?? values.root ?? fileURLToPath(new URL('..', import.meta.url)));
const programs = {
  main: 'packages/cli/src/main.ts',
  'derive-worker': 'services/console/src/security/derive-worker.ts',
};
/** A running service may still load files of an earlier version. */
const keptVersions = 10;

const file = values.app === undefined ? await bundleOfVersion() : await bundleInto(join(root, 'bundle'));
process.stdout.write(`${file}\n`);

/** Bundles the sources unless there is a bundle of this version. */
async function bundleOfVersion() {
  const folder = join(root, 'node_modules/.cache/service');
  const own = join(folder, versionOfSources());
  if (!existsSync(own)) {
    mkdirSync(folder, { recursive: true });
    const made = mkdtempSync(join(folder, 'new-'));
    try {
      await bundleInto(made);
      // Other users may start services of this checkout, too.
      chmodSync(made, 0o777 & ~process.umask());
      renameSync(made, own);
    } catch (error) {
      rmSync(made, { recursive: true, force: true });
      // Another process had the same sources.
      if (!existsSync(own)) throw error;
    }
  }
  const file = join(own, 'main.mjs');
  accessSync(file, constants.R_OK);
  try {
    keepLatest(folder, own);
  } catch {
    // The folder belongs to another user.
  }
  return file;
}

function keepLatest(folder, own) {
  utimesSync(own, new Date(), new Date());
  const newestFirst = readdirSync(folder)
    .map((name) => ({ name, usedMs: statSync(join(folder, name), { throwIfNoEntry: false })?.mtimeMs ?? 0 }))
    .sort((a, b) => b.usedMs - a.usedMs);
  for (const { name } of newestFirst.slice(keptVersions)) rmSync(join(folder, name), { recursive: true, force: true });
}

async function bundleInto(folder) {
  const { bundleSources } = await import('./bundle-sources.mjs');
  const input = Object.fromEntries(
    Object.entries(programs)
      .map(([name, path]) => [name, join(root, path)])
      .filter(([, path]) => existsSync(path)),
  );
  await bundleSources({ root, input, folder });
  return join(folder, 'main.mjs');
}

/** Of the times at which files were changed: unlike the time of the contents, it cannot be set, e.g. by an unpacked archive. */
function versionOfSources() {
  const hash = createHash('sha256');
  const files = globSync(
    ['{packages,services}/*/package.json', '{packages,services}/*/src/**/*.{ts,json}', 'pnpm-lock.yaml'],
    {
      cwd: root,
    },
  );
  files.push(fileURLToPath(new URL('bundle-sources.mjs', import.meta.url)));
  for (const path of files.sort()) {
    const { ctimeMs, size, ino } = statSync(resolve(root, path));
    hash.update(`${path} ${size} ${ctimeMs} ${ino}\n`);
  }
  return hash.digest('hex').slice(0, 16);
}
