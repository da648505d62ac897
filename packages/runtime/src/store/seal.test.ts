import { chmod, chown, stat, writeFile } from 'node:fs/promises';
import { tempFolder, type TempFolder } from '@dicom-dispatch/harness';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SealKey } from './seal.ts';

const isRoot = process.getuid?.() === 0;
const [service, group] = [64_001, 64_002];
let folder: TempFolder;
beforeAll(async () => {
  folder = await tempFolder('seal');
});
afterAll(() => folder.remove());

/** Owner, group and mode of a key created at this path. */
async function made(path: string): Promise<string> {
  const key = new SealKey(path);
  expect(await key.unseal(await key.seal('a secret'))).toBe('a secret');
  const { uid, gid, mode } = await stat(path);
  return `${uid}:${gid} ${(mode & 0o777).toString(8)}`;
}

describe.runIf(isRoot)('a key that root makes', () => {
  it('can be read by the group that may read the configuration file', async () => {
    const file = `${folder.path}/dispatch.yaml`;
    await writeFile(file, '');
    await chown(file, 0, group);
    await chmod(file, 0o640);
    expect(await made(`${file}.key`)).toBe(`0:${group} 640`);
  });

  it('belongs to the service where the configuration file belongs to it', async () => {
    const file = `${folder.path}/own.yaml`;
    await writeFile(file, '', { mode: 0o600 });
    await chown(file, service, group);
    expect(await made(`${file}.key`)).toBe(`${service}:${group} 600`);
  });

  it('uses its folder if there is no configuration file beside it', async () => {
    await chown(folder.path, 0, group);
    await chmod(folder.path, 0o750);
    expect(await made(`${folder.path}/elsewhere`)).toBe(`0:${group} 640`);
    expect(await made(`${folder.path}/elsewhere.key`)).toBe(`0:${group} 640`);
  });
});

describe.runIf(!isRoot)('a key of another installation', () => {
  it('names what allows the service to read it', async () => {
    const path = `${folder.path}/closed.key`;
    await writeFile(path, '', { mode: 0o000 });
    await expect(new SealKey(path).seal('a secret')).rejects.toThrow(
      `the key ${path} cannot be read (EACCES): let only the group of the services read it: chgrp GROUP ${path}; chmod 640 ${path}`,
    );
  });
});
