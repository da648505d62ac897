import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const run = promisify(execFile);
const script = fileURLToPath(new URL('../../scripts/build-image', import.meta.url));

/** It takes minutes and downloads a base image: it is asked for. */
const isWanted = process.env['DICOM_DISPATCH_BUILD_IMAGE'] === '1';
if (!isWanted) console.warn('the image is not built: set DICOM_DISPATCH_BUILD_IMAGE=1, with buildah installed');

it.skipIf(!isWanted)(
  'the image is built, runs every service, and is smaller than 200 MB',
  async () => {
    const base = process.env['DICOM_DISPATCH_BASE_IMAGE'];
    const args = ['--tag', 'dicom-dispatch-test', '--check', ...(base === undefined ? [] : ['--base', base])];
    const { stderr } = await run(script, args, { maxBuffer: 64 * 1024 * 1024 });
    expect(stderr).toMatch(/is built: 1\d\d MB unpacked/);
  },
  20 * 60_000,
);
