import { createHash } from 'node:crypto';
import { readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ManifestInstance } from '@dicom-dispatch/core';
import {
  loginPage,
  startLyingProxy,
  startOrthanc,
  tempFolder,
  type Lie,
  type LyingProxy,
  type OrthancServer,
  type TempFolder,
} from '@dicom-dispatch/harness';
import { createOrthancClient, type OrthancClient } from '@dicom-dispatch/orthanc';
import { makeStudy, type StudyOptions } from '@dicom-dispatch/samples';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTransform, openInstance, readManifest, type OpenOptions } from '../index.ts';

const small: StudyOptions = { instancesPerSeries: 1, rows: 32, columns: 32 };

let storage: TempFolder;
let server: OrthancServer;
let proxy: LyingProxy;
let orthanc: OrthancClient;

beforeAll(async () => {
  storage = await tempFolder('guard');
  server = await startOrthanc({
    overwriteInstances: true,
    storageDir: storage.path,
    extraConfig: { MaximumStorageCacheSize: 0 },
  });
  proxy = await startLyingProxy({ url: server.url });
  orthanc = createOrthancClient({ url: proxy.url, timeoutMs: 60_000 });
});
afterAll(async () => {
  await orthanc.close();
  await proxy.stop();
  await server.stop();
  await storage.remove();
});

interface Stored {
  readonly instance: ManifestInstance;
  readonly bytes: Buffer;
}

async function store(bytes: Buffer): Promise<Stored> {
  const { ID, ParentStudy: orthancStudyId } = await server.upload(bytes);
  proxy.beHonest();
  const study = (await orthanc.studies.read(orthancStudyId)).MainDicomTags['StudyInstanceUID'] ?? '';
  const manifest = await readManifest(orthanc, { source: 'main', orthancStudyId, studyInstanceUid: study });
  const instance = manifest.find(({ sourceId }) => sourceId === ID);
  if (!instance) throw new Error('the instance is not listed');
  return { instance, bytes };
}

async function storeSample(seed: string, options: StudyOptions = {}): Promise<Stored> {
  const [sample] = makeStudy({ ...small, ...options, seed });
  if (!sample) throw new Error('an empty sample');
  return store(sample.bytes);
}

async function storeCase(name: string): Promise<Stored> {
  return store(await readFile(new URL(`../../../../test/fixtures/cases/${name}.dcm`, import.meta.url)));
}

/** Changes the files of instances only. */
function lieAboutFiles(lie: Lie): void {
  proxy.lie(({ path }) => (path.endsWith('/file') ? lie : undefined));
}

async function read(instance: ManifestInstance, options: OpenOptions = {}): Promise<Buffer> {
  const { body, sizeBytes } = await openInstance(orthanc, 'main', instance, options);
  const bytes = Buffer.concat(await Array.fromAsync(body));
  expect(sizeBytes).toBe(bytes.length);
  return bytes;
}

/** The bytes of a reader that ignores everything except the end. */
async function readAll(instance: ManifestInstance): Promise<{ received: number; failed: unknown; again: unknown }> {
  let received = 0;
  try {
    const { body } = await openInstance(orthanc, 'main', instance);
    const iterator = body[Symbol.asyncIterator]();
    try {
      for (let step = await iterator.next(); step.done !== true; step = await iterator.next()) {
        received += step.value.length;
      }
    } catch (failed) {
      const again = await iterator.next().then(
        () => 'went on',
        (error: unknown) => error,
      );
      return { received, failed, again };
    }
  } catch (failed) {
    return { received, failed, again: failed };
  }
  return { received, failed: undefined, again: undefined };
}

describe('a source that answers otherwise than it lists', () => {
  const wrong = 'source-bytes-wrong';
  const lies: readonly [Lie, code: string | undefined][] = [
    [{ kind: 'short', bytes: 300 }, wrong],
    [{ kind: 'short', bytes: 2000, framing: 'chunked' }, wrong],
    [{ kind: 'short', bytes: 0, framing: 'chunked' }, wrong],
    [{ kind: 'short', bytes: 2000, framing: 'cut' }, 'source-instance-failed'],
    [{ kind: 'long', bytes: 1 }, wrong],
    [{ kind: 'long', bytes: 1, framing: 'chunked' }, wrong],
    [{ kind: 'long', bytes: 200_000, framing: 'chunked' }, wrong],
    [{ kind: 'endless' }, wrong],
    [{ kind: 'empty' }, wrong],
    [{ kind: 'chunked' }, undefined],
    [{ kind: 'text', body: loginPage }, wrong],
    [{ kind: 'text', body: '' }, wrong],
    [{ kind: 'status', status: 404 }, 'source-instance-failed'],
    [{ kind: 'status', status: 404, body: '{"OrthancStatus":17}' }, 'source-instance-failed'],
    [{ kind: 'status', status: 500 }, 'source-instance-failed'],
    [{ kind: 'status', status: 403 }, 'source-instance-failed'],
    [{ kind: 'status', status: 416, body: loginPage }, 'source-instance-failed'],
    [{ kind: 'status', status: 503 }, 'source-unreachable'],
    [{ kind: 'reset', bytes: 100 }, 'source-instance-failed'],
  ];
  it.each(lies)('%j', async (lie, code) => {
    const { instance, bytes } = await storeSample('lies');
    lieAboutFiles(lie);
    const { received, failed, again } = await readAll(instance);
    if (code === undefined) {
      expect(failed).toBeUndefined();
      expect(received).toBe(bytes.length);
      return;
    }
    expect(failed).toMatchObject({ code, stage: 'transfer' });
    // A reader that counts bytes cannot have finished, and further calls do not return the end.
    expect(received).toBeLessThan(bytes.length);
    expect(again).toBe(failed);
    expect((failed as Error).message).not.toContain('Password');
  });

  it('reports the expected and the received value', async () => {
    const { instance, bytes } = await storeSample('words');
    lieAboutFiles({ kind: 'short', bytes: 1000, framing: 'chunked' });
    await expect(read(instance)).rejects.toThrow(
      `source main sent another file for instance ${instance.sopInstanceUid}: expected ${bytes.length} bytes, received 1000 bytes`,
    );
  });

  it('is never accepted for an instance of the same size: other UIDs, another series, another patient', async () => {
    const one = await storeSample('mixed one');
    const other = await storeSample('mixed two');
    const padded = { ...one.instance, sizeBytes: other.bytes.length };
    lieAboutFiles({ kind: 'other', path: `/instances/${other.instance.sourceId}/file` });
    await expect(read(padded)).rejects.toMatchObject({
      code: wrong,
      message: expect.stringContaining(`expected SOP Instance UID ${one.instance.sopInstanceUid}`),
    });
    // The same UIDs for two patients: only Orthanc's id distinguishes them.
    const first = await storeCase('tiny-same-uids-patient-A');
    const second = await storeCase('tiny-same-uids-patient-B');
    expect(await read(first.instance)).toEqual(first.bytes);
    lieAboutFiles({ kind: 'other', path: `/instances/${second.instance.sourceId}/file` });
    expect(first.bytes.length).toBe(second.bytes.length);
    await expect(read(first.instance)).rejects.toMatchObject({ code: wrong, message: expect.stringContaining('MD5') });
  });

  it('a changed byte is found by the digest', async () => {
    const { instance, bytes } = await storeSample('flip');
    lieAboutFiles({ kind: 'flip', at: -100 });
    expect(await read(instance)).not.toEqual(bytes);
    await expect(read(instance, { digest: true })).rejects.toMatchObject({
      code: wrong,
      message: expect.stringContaining(createHash('md5').update(bytes).digest('hex')),
    });
    proxy.beHonest();
    expect(await read(instance, { digest: true })).toEqual(bytes);
  });

  it('that returns only a login page is at fault as a whole', async () => {
    const { instance } = await storeSample('login');
    proxy.lie(() => ({ kind: 'status', status: 404, body: loginPage }));
    await expect(read(instance)).rejects.toMatchObject({
      code: 'source-error',
      remedy: expect.stringContaining('proxy'),
    });
  });

  it('an instance is gone if Orthanc reports it twice', async () => {
    const { instance } = await storeSample('gone');
    await server.send('DELETE', `/instances/${instance.sourceId}`);
    await expect(read(instance)).rejects.toMatchObject({ code: 'source-instance-gone' });
  });
});

describe('a file that is damaged in the storage', () => {
  async function pathOf({ sourceId }: ManifestInstance): Promise<string> {
    const { FileUuid: uuid } = (await server.get(`/instances/${sourceId}`)) as { FileUuid: string };
    return join(storage.path, uuid.slice(0, 2), uuid.slice(2, 4), uuid);
  }

  it('cut short, emptied, changed or missing', async () => {
    const { instance, bytes } = await storeSample('damaged');
    const path = await pathOf(instance);
    await rm(path);
    await expect(read(instance)).rejects.toMatchObject({ code: 'source-instance-failed' });
    await writeFile(path, Buffer.concat([bytes.subarray(0, -50), Buffer.alloc(50, 7)]));
    await expect(read(instance, { digest: true })).rejects.toMatchObject({ code: 'source-bytes-wrong' });
    await truncate(path, 1500);
    await expect(read(instance)).rejects.toMatchObject({ code: 'source-bytes-wrong' });
    // No transform is at fault, either.
    const change = { remove: [], copy: {}, keep: [], removePrivateTags: false, set: { PatientComments: 'x' } };
    const transform = createTransform({ orthanc, source: 'main', definition: change, pseudonyms: undefined });
    await expect(transform.open(instance)).rejects.toMatchObject({ code: 'source-instance-failed' });
    await writeFile(path, bytes);
    expect(await read(instance, { digest: true })).toEqual(bytes);
    // Orthanc caches the empty response of an empty file, however small its cache is: therefore last.
    await truncate(path, 0);
    await expect(read(instance)).rejects.toMatchObject({ code: 'source-bytes-wrong' });
  });
});

describe('files that Orthanc stores although they are not quite Part 10', () => {
  it.each(['no-meta', 'no-preamble', 'grouplen-small'])(
    '%s is returned as stored, or with a correct header',
    async (name) => {
      const { instance, bytes } = await storeCase(name);
      expect(await read(instance)).toEqual(bytes);
      const made = await read(instance, { asPart10: true });
      expect(made.toString('latin1', 128, 132)).toBe('DICM');
      const dataSetAt = 144 + made.readUInt32LE(140);
      const dataSet = bytes.subarray(bytes.indexOf(Buffer.from([8, 0, 0x16, 0])));
      expect(made.subarray(dataSetAt)).toEqual(dataSet);
      // An Orthanc reads the same instance from it.
      expect(await server.upload(made)).toMatchObject({ ID: instance.sourceId });
      expect(await server.get(`/instances/${instance.sourceId}/header?simplify`)).toMatchObject({
        TransferSyntaxUID: instance.transferSyntaxUid,
        MediaStorageSOPClassUID: instance.sopClassUid,
        MediaStorageSOPInstanceUID: instance.sopInstanceUid,
      });
    },
  );

  it.each([0, 4, 20])('a file meta group length of %d hides neither SOP class nor transfer syntax', async (length) => {
    const [sample] = makeStudy({ seed: `length ${length}`, series: 1, instancesPerSeries: 1, rows: 16, columns: 16 });
    const bytes = Buffer.from(sample!.bytes);
    bytes.writeUInt32LE(length, 140);
    const { instance } = await store(bytes);
    expect(instance).toMatchObject({
      sopClassUid: '1.2.840.10008.5.1.4.1.1.2',
      transferSyntaxUid: '1.2.840.10008.1.2.1',
    });
    expect(await read(instance)).toEqual(bytes);
  });

  it('of a duplicate element the first one counts, as in Orthanc', async () => {
    const [sample] = makeStudy({ seed: 'twice', series: 1, instancesPerSeries: 1, rows: 16, columns: 16 });
    const at = sample!.bytes.indexOf(Buffer.from([8, 0, 0x20, 0]));
    const second = Buffer.concat([Buffer.from([8, 0, 0x18, 0, 0x55, 0x49, 6, 0]), Buffer.from('1.2.3\0')]);
    const bytes = Buffer.concat([sample!.bytes.subarray(0, at), second, sample!.bytes.subarray(at)]);
    const { instance } = await store(bytes);
    expect(instance.sopInstanceUid).toBe(sample!.sopInstanceUid);
    expect(await read(instance)).toEqual(bytes);
  });

  it('a complete Part 10 file is unchanged', async () => {
    const { instance, bytes } = await storeSample('whole');
    expect(await read(instance, { asPart10: true })).toEqual(bytes);
  });

  it('an unreadable file is accepted if its digest is correct, and not otherwise', async () => {
    const { instance, bytes } = await storeSample('odd');
    // As the source would list a file whose data set only DCMTK can read.
    const odd = { ...instance, sopClassUid: undefined, transferSyntaxUid: '1.2.840.10008.1.2.1.99' };
    const noMeta = bytes.subarray(144 + bytes.readUInt32LE(140));
    const { ID } = await server.upload(noMeta);
    expect(ID).toBe(instance.sourceId);
    const listed = { ...odd, sizeBytes: noMeta.length };
    expect(await read(listed)).toEqual(noMeta);
    lieAboutFiles({ kind: 'flip', at: -1 });
    await expect(read(listed)).rejects.toMatchObject({ code: 'source-bytes-wrong' });
    proxy.beHonest();
  });
});

it.each(['implicit-le', 'explicit-be', 'deflated', 'rle'] as const)(
  '%s is read as what it is',
  async (transferSyntax) => {
    const { instance, bytes } = await storeSample(`syntax ${transferSyntax}`, { transferSyntax });
    expect(await read(instance)).toEqual(bytes);
    await expect(read({ ...instance, sopInstanceUid: '1.2.3' })).rejects.toMatchObject({ code: 'source-bytes-wrong' });
    await expect(read({ ...instance, seriesInstanceUid: '1.2.3' })).rejects.toMatchObject({
      code: 'source-bytes-wrong',
    });
  },
);
