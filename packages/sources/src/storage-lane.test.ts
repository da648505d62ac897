import { createHash } from 'node:crypto';
import { mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { startOrthanc, tempFolder, type OrthancServer, type TempFolder } from '@dicom-dispatch/harness';
import type { ManifestInstance } from '@dicom-dispatch/core';
import { createOrthancClient, type OrthancClient } from '@dicom-dispatch/orthanc';
import { makeLargeInstance, makeStudy } from '@dicom-dispatch/samples';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openInstance, readManifest, StorageLane, type StorageLaneEvent } from './index.ts';

let storage: TempFolder;
let server: OrthancServer;
let orthanc: OrthancClient;
let manifest: readonly ManifestInstance[];
let files: ReadonlyMap<string, string>;

beforeAll(async () => {
  storage = await tempFolder('storage-lane');
  server = await startOrthanc({ storageDir: storage.path, overwriteInstances: true });
  orthanc = createOrthancClient({ url: server.url });
  const study = makeStudy({ seed: 'storage lane', series: 1, instancesPerSeries: 4, rows: 32, columns: 32 });
  let orthancStudyId = '';
  const digests = new Map<string, string>();
  for (const instance of study) {
    ({ ParentStudy: orthancStudyId } = await server.upload(instance.bytes));
    digests.set(instance.sopInstanceUid, sha(instance.bytes));
  }
  files = digests;
  manifest = await readManifest(orthanc, {
    source: 'main',
    orthancStudyId,
    studyInstanceUid: study.studyInstanceUid,
  });
});
afterAll(async () => {
  await orthanc.close();
  await server.stop();
  await storage.remove();
});

const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

function laneAt(storageFolder: string | false | undefined) {
  const events: StorageLaneEvent[] = [];
  const lane = new StorageLane({
    config: { url: server.url, storageFolder },
    orthanc,
    report: (event) => events.push(event),
  });
  let served = 0;
  const counting: Pick<StorageLane, 'open'> = {
    async open(instance, signal) {
      const file = await lane.open(instance, signal);
      if (file) served += 1;
      return file;
    },
  };
  return { events, lane: counting, served: () => served };
}

async function read(instance: ManifestInstance, lane: Pick<StorageLane, 'open'>): Promise<string> {
  const { body } = await openInstance(orthanc, 'main', instance, { storage: lane });
  return sha(Buffer.concat(await Array.fromAsync(body, (chunk) => Buffer.from(chunk))));
}

it('reads instances from the folder once one of them was the same both ways', async () => {
  const { lane, events, served } = laneAt(storage.path);
  for (const instance of manifest) expect(await read(instance, lane)).toBe(files.get(instance.sopInstanceUid));
  expect(served()).toBe(manifest.length);
  expect(events).toEqual([{ kind: 'on', folder: storage.path }]);
});

it('uses the folder from the first instance if this is large: its MD5 in Orthanc is that of the file', async () => {
  const large = makeLargeInstance({ seed: 'large', sizeBytes: 17 * 1024 * 1024 });
  const bytes = Buffer.concat(await Array.fromAsync(large));
  const { ParentStudy: orthancStudyId } = await server.upload(bytes);
  const study = { source: 'main', orthancStudyId, studyInstanceUid: large.studyInstanceUid };
  const [instance] = await readManifest(orthanc, study);
  const { lane, events, served } = laneAt(storage.path);
  expect(await read(instance!, lane)).toBe(sha(bytes));
  expect([served(), events]).toEqual([1, [{ kind: 'on', folder: storage.path }]]);

  await using other = await tempFolder('other-large-storage');
  const { fileUuid = '', sizeBytes } = instance!;
  const file = join(other.path, fileUuid.slice(0, 2), fileUuid.slice(2, 4), fileUuid);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, Buffer.alloc(sizeBytes, 1));
  const wrong = laneAt(other.path);
  expect(await read(instance!, wrong.lane)).toBe(sha(bytes));
  expect([wrong.served(), wrong.events]).toMatchObject([0, [{ kind: 'off', folder: other.path }]]);
});

it('compares the next instance at once if Orthanc has no MD5 of a large one', async () => {
  const { lane, events } = laneAt(storage.path);
  const large = { ...manifest[0]!, sourceId: 'unknown', sizeBytes: 17 * 1024 * 1024 };
  expect(await lane.open(large)).toBeUndefined();
  expect(await read(manifest[1]!, lane)).toBe(files.get(manifest[1]!.sopInstanceUid));
  expect(events).toEqual([{ kind: 'on', folder: storage.path }]);
});

it('reads by REST what the folder lacks', async () => {
  const { lane, served } = laneAt(storage.path);
  await read(manifest[0]!, lane);
  const replaced = { ...manifest[1]!, fileUuid: '00000000-0000-4000-8000-000000000000' };
  expect(await read(replaced, lane)).toBe(files.get(replaced.sopInstanceUid));
  const unknown = { ...manifest[2]!, fileUuid: undefined };
  expect(await read(unknown, lane)).toBe(files.get(unknown.sopInstanceUid));
  expect(served()).toBe(1);
});

it('never uses a folder that has another file with the name', async () => {
  await using other = await tempFolder('other-storage');
  for (const { fileUuid = '', sizeBytes } of manifest) {
    const file = join(other.path, fileUuid.slice(0, 2), fileUuid.slice(2, 4), fileUuid);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, Buffer.alloc(sizeBytes, 1));
  }
  const { lane, events, served } = laneAt(other.path);
  for (const instance of manifest) expect(await read(instance, lane)).toBe(files.get(instance.sopInstanceUid));
  expect(served()).toBe(0);
  expect(events).toEqual([
    { kind: 'off', folder: other.path, reason: expect.stringContaining('check that it is the folder of this Orthanc') },
  ]);
});

it('reports once that a configured folder does not exist, and uses no other', async () => {
  const { lane, events, served } = laneAt('/nowhere/at/all');
  for (const instance of manifest) await read(instance, lane);
  expect(served()).toBe(0);
  expect(events).toEqual([{ kind: 'off', folder: '/nowhere/at/all', reason: expect.stringContaining('ENOENT') }]);
});

it('can be disabled', async () => {
  const { lane, events, served } = laneAt(false);
  for (const instance of manifest) await read(instance, lane);
  expect([served(), events]).toEqual([0, []]);
});

it('a file that was altered on disk is refused by the guard', async () => {
  const { lane } = laneAt(storage.path);
  await read(manifest[0]!, lane);
  const { fileUuid = '', sizeBytes } = manifest[3]!;
  const file = join(storage.path, fileUuid.slice(0, 2), fileUuid.slice(2, 4), fileUuid);
  await writeFile(file, Buffer.alloc(sizeBytes, 1));
  await expect(read(manifest[3]!, lane)).rejects.toMatchObject({ code: 'source-bytes-wrong' });
});

it('follows a link to the folder, but to no file', async () => {
  await using links = await tempFolder('links');
  await symlink(storage.path, join(links.path, 'db'));
  const { lane, served } = laneAt(join(links.path, 'db'));
  await read(manifest[0]!, lane);
  expect(served()).toBe(1);
  expect(await readdir(links.path)).toEqual(['db']);
  await rm(join(links.path, 'db'));
});
