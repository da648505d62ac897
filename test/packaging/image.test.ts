import { execFile } from 'node:child_process';
import { chown, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import {
  freePort,
  httpRequest,
  startOrthanc,
  startRedis,
  startServer,
  tempFolder,
  waitFor,
} from '@dicom-dispatch/harness';
import { makeStudy } from '@dicom-dispatch/samples';
import { expect, it } from 'vitest';
import { stringify } from 'yaml';

const run = promisify(execFile);
const script = fileURLToPath(new URL('../../scripts/build-image', import.meta.url));
const tag = 'dicom-dispatch-test';
const storage = ['--storage-driver', process.env['STORAGE_DRIVER'] ?? 'vfs'];

/** Building the image takes minutes and downloads a base image: run on request only. */
const isWanted = process.env['DICOM_DISPATCH_BUILD_IMAGE'] === '1';
if (!isWanted) console.warn('the image is not built: set DICOM_DISPATCH_BUILD_IMAGE=1, with buildah installed');

it.skipIf(!isWanted)(
  'the image is built, loads every service and kind of target, and is smaller than 200 MB',
  async () => {
    const base = process.env['DICOM_DISPATCH_BASE_IMAGE'];
    const args = ['--tag', tag, '--check', ...(base === undefined ? [] : ['--base', base])];
    const { stderr } = await run(script, args, { maxBuffer: 64 * 1024 * 1024 });
    console.info(/.* is built: .*/.exec(stderr)?.[0]);
    expect(stderr).toMatch(/is built: 1\d\d MB unpacked/);
  },
  20 * 60_000,
);

it.skipIf(!isWanted)(
  'router, dispatcher and console of the image deliver a study, without root',
  async () => {
    await using redis = await startRedis();
    await using orthanc = await startOrthanc();
    await using folder = await tempFolder('image');
    // The mounted folder belongs to the user of the image; its parent is private.
    const [archive, settings] = [join(folder.path, 'archive'), join(folder.path, 'settings')];
    await mkdir(settings);
    await mkdir(archive);
    await chown(archive, 10001, 10001);
    const [router, dispatcher, console] = [await freePort(), await freePort(), await freePort()].map(
      (port) => `127.0.0.1:${port}`,
    ) as [string, string, string];
    const config = {
      sources: { main: { url: orthanc.url, pollInterval: '200ms' } },
      targets: { archive: { type: 'folder', path: '/archive' } },
      rules: [{ name: 'all', targets: ['archive'] }],
      redis: { url: redis.url },
      console: { listen: console },
      health: { router, dispatcher },
    };
    await writeFile(join(settings, 'dispatch.yaml'), stringify(config));
    const { stdout } = await run('buildah', [...storage, 'from', tag]);
    const container = stdout.trim();
    const mounts = ['-v', `${settings}:/settings:ro`, '-v', `${archive}:/archive`];
    try {
      const start = (service: string, address: string) =>
        startServer({
          name: `image-${service}`,
          portCount: 0,
          prepare: () => ({
            command: 'buildah',
            // prettier-ignore
            args: [
              ...storage, 'run', '--isolation', 'chroot', ...mounts, container, '--',
              'node', '--disable-warning=ExperimentalWarning', '--max-semi-space-size=4', '/app/packages/cli/src/main.ts',
              service, '--config', '/settings/dispatch.yaml',
            ],
          }),
          isReady: async () => (await httpRequest(`http://${address}/readyz`)).status === 200,
        });
      await using running = new AsyncDisposableStack();
      for (const [service, address] of Object.entries({ router, dispatcher, console }))
        running.use(await start(service, address));
      const study = makeStudy({ seed: 'image', instancesPerSeries: 5 });
      for (const { bytes } of study) await orthanc.upload(bytes);
      await waitFor(async () => {
        const names = await readdir(archive, { recursive: true, withFileTypes: true });
        return names.filter((entry) => entry.isFile() && entry.name.endsWith('.dcm')).length === 5;
      });
    } finally {
      await run('buildah', [...storage, 'rm', container]);
    }
  },
  5 * 60_000,
);
