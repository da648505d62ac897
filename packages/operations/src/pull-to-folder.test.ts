import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { tempFolder } from '@dicom-dispatch/harness';
import { element, makeStudy } from '@dicom-dispatch/samples';
import { expect, it } from 'vitest';
import { pullToFolder } from './pull-to-folder.ts';

async function* inPieces(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += 100) yield bytes.subarray(at, at + 100);
}

it.each(['explicit-le', 'implicit-le', 'explicit-be', 'deflated', 'rle'] as const)(
  'a file that the target has cut off is not kept (%s)',
  async (transferSyntax) => {
    await using folder = await tempFolder('cut');
    const study = makeStudy({
      seed: 'cut',
      transferSyntax,
      rows: 32,
      columns: 32,
      extraTags: [element(0x0040a370, 'SQ', [[element(0x00321060, 'LO', 'x')]])],
    });
    const [one] = study;
    const { bytes, sopInstanceUid } = one!;
    const path = join(folder.path, study.studyInstanceUid);
    const destination = await pullToFolder(folder.path, study.studyInstanceUid);
    const store = (some: Buffer): Promise<void> =>
      destination.store(sopInstanceUid, { sizeBytes: undefined, body: inPieces(some) });
    for (const missing of [10, 300]) {
      await expect(store(bytes.subarray(0, -missing))).rejects.toMatchObject({
        code: 'instance-unsupported',
        message: 'the target sent an instance that ends early',
      });
      expect(await readdir(path)).toEqual([]);
    }
    // Bytes after a data set, and unreadable bytes, are stored as the target has them.
    const behind = [Buffer.alloc(8), Buffer.from('A TEXT BEHIND PIXELS')].map((more) => Buffer.concat([bytes, more]));
    for (const kept of [bytes, ...behind, Buffer.from('no DICOM')]) {
      await store(kept);
      expect(await readFile(join(path, `${sopInstanceUid}.dcm`))).toEqual(kept);
    }
  },
);

it.each(['explicit-le', 'implicit-le', 'explicit-be'] as const)(
  'bytes behind a data set without pixels are no cut element (%s)',
  async (transferSyntax) => {
    await using folder = await tempFolder('behind');
    const study = makeStudy({ seed: 'behind', modality: 'SR', transferSyntax });
    const [one] = study;
    const { bytes, sopInstanceUid } = one!;
    const destination = await pullToFolder(folder.path, study.studyInstanceUid);
    const impossible = transferSyntax === 'explicit-be' ? [0, 7, 0, 9] : [7, 0, 9, 0];
    const more = [
      ...(transferSyntax === 'implicit-le' ? [] : [Buffer.from('A TEXT BEHIND THE LAST ELEMENT')]),
      Buffer.from([...impossible, 85, 78, 255, 255, 255, 255, 255, 255]),
    ];
    for (const behind of more) {
      const body = inPieces(Buffer.concat([bytes, behind]));
      await destination.store(sopInstanceUid, { sizeBytes: undefined, body });
      expect((await readFile(join(folder.path, study.studyInstanceUid, `${sopInstanceUid}.dcm`))).length).toBe(
        bytes.length + behind.length,
      );
    }
    await expect(
      destination.store(sopInstanceUid, { sizeBytes: undefined, body: inPieces(bytes.subarray(0, -3)) }),
    ).rejects.toMatchObject({ code: 'instance-unsupported' });
  },
);

it('reports an error of the target unchanged, and names the folder only in an error of the folder', async () => {
  await using folder = await tempFolder('errors');
  const [one] = makeStudy({ seed: 'errors', rows: 16, columns: 16 });
  const { bytes, sopInstanceUid } = one!;
  const destination = await pullToFolder(folder.path, '1.2.3');
  const lost = new Error('the target is gone');
  async function* breaking(): AsyncGenerator<Buffer> {
    yield bytes.subarray(0, 500);
    throw lost;
  }
  await expect(destination.store(sopInstanceUid, { sizeBytes: undefined, body: breaking() })).rejects.toBe(lost);
  await rm(join(folder.path, '1.2.3'), { recursive: true });
  await expect(
    destination.store(sopInstanceUid, { sizeBytes: undefined, body: inPieces(bytes) }),
  ).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('(ENOENT)') });
});
