import { createHash } from 'node:crypto';
import { chmod, mkdir, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { startOrthanc, tempFolder } from '@dicom-dispatch/harness';
import { makeStudy } from '@dicom-dispatch/samples';
import { describe, expect, it } from 'vitest';
import { createOrthancClient } from '../orthanc-client.ts';
import { StorageArea } from './storage-area.ts';

const uuid = '0123abcd-0000-4000-8000-00000000beef';

async function areaWith(content: Buffer) {
  const folder = await tempFolder('storage-area');
  const file = join(folder.path, '01', '23', uuid);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
  return { folder, file, area: await StorageArea.at(folder.path) };
}

async function bytesOf(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

describe('the storage area of a real Orthanc', () => {
  it.each([{ compression: false }, { compression: true }])(
    'gives what Orthanc gives, with StorageCompression $compression',
    async ({ compression }) => {
      await using orthanc = await startOrthanc({ extraConfig: { StorageCompression: compression } });
      const client = createOrthancClient({ url: orthanc.url });
      try {
        const [small] = makeStudy({ seed: 'storage area', series: 1, instancesPerSeries: 1, rows: 64, columns: 64 });
        const [large] = makeStudy({ seed: 'large', series: 1, instancesPerSeries: 1, rows: 1024, columns: 1024 });
        const area = await StorageArea.at(join(orthanc.folder, 'storage'));
        for (const instance of [small!, large!]) {
          const { ParentStudy } = await orthanc.upload(instance.bytes);
          const [listed] = await client.studyInstances(ParentStudy);
          const file = await area.open({ uuid: listed!.fileUuid!, sizeBytes: listed!.fileSizeBytes });
          expect(sha(await bytesOf(file!.body))).toBe(sha(instance.bytes));
        }
      } finally {
        await client.close();
      }
    },
  );
});

describe('a file of the storage area', () => {
  it('is read completely in slabs that are reused after their release', async () => {
    const content = Buffer.alloc(3_000_001, 'dicom');
    const { folder, area } = await areaWith(content);
    const file = await area.open({ uuid, sizeBytes: content.length });
    const memories = new Set<ArrayBufferLike>();
    const hash = createHash('sha256');
    for await (const chunk of file!.body) {
      memories.add(chunk.buffer);
      hash.update(chunk);
      file!.release(chunk);
    }
    expect(hash.digest('hex')).toBe(sha(content));
    expect(memories.size).toBeLessThanOrEqual(4);
    await folder.remove();
  });

  it('of no bytes is an empty body', async () => {
    const { folder, area } = await areaWith(Buffer.alloc(0));
    expect(await bytesOf((await area.open({ uuid, sizeBytes: 0 }))!.body)).toHaveLength(0);
    await folder.remove();
  });

  it('is left unread without a leak', async () => {
    const { folder, area } = await areaWith(Buffer.alloc(2_000_000));
    for (let count = 0; count < 50; count += 1) {
      const file = await area.open({ uuid, sizeBytes: 2_000_000 });
      await file!.body.next();
      await file!.body.return?.();
    }
    await folder.remove();
  });

  it('that ends early while it is read fails', async () => {
    const { folder, file, area } = await areaWith(Buffer.alloc(4_000_000));
    const opened = await area.open({ uuid, sizeBytes: 4_000_000 });
    await truncate(file, 1_000_000);
    await expect(bytesOf(opened!.body)).rejects.toThrow(/ended after \d+ bytes/);
    await folder.remove();
  });

  it('that is deleted while it is read is still read', async () => {
    const { folder, file, area } = await areaWith(Buffer.alloc(4_000_000, 7));
    const opened = await area.open({ uuid, sizeBytes: 4_000_000 });
    await rm(file);
    expect(await bytesOf(opened!.body)).toHaveLength(4_000_000);
    await folder.remove();
  });

  it('with compressed content longer than announced fails, and is not read further', async () => {
    const bomb = deflateSync(Buffer.alloc(50_000_000));
    const declared = Buffer.alloc(8);
    declared.writeBigUInt64LE(1000n);
    const { folder, area } = await areaWith(Buffer.concat([declared, bomb]));
    const opened = await area.open({ uuid, sizeBytes: 1000 });
    await expect(bytesOf(opened!.body)).rejects.toThrow('holds more than 1000 bytes');
    await folder.remove();
  });

  it.each([
    { why: 'has another size', spoil: (file: string) => truncate(file, 5) },
    { why: 'is not there', spoil: (file: string) => rm(file) },
    {
      why: 'is a symbolic link',
      spoil: async (file: string) => {
        await rename(file, `${file}.real`);
        await symlink(`${file}.real`, file);
      },
    },
    {
      why: 'is a folder',
      spoil: async (file: string) => {
        await rm(file);
        await mkdir(file);
      },
    },
  ])('that $why is not handed out', async ({ spoil }) => {
    const { folder, file, area } = await areaWith(Buffer.alloc(100));
    await spoil(file);
    expect(await area.open({ uuid, sizeBytes: 100 })).toBeUndefined();
    await folder.remove();
  });

  it.each(['', '../../etc/passwd', '0123', '0123ABCD-0000-4000-8000-00000000beef', `${uuid}/..`])(
    'is not looked for under the name %j',
    async (name) => {
      const { folder, area } = await areaWith(Buffer.alloc(100));
      expect(await area.open({ uuid: name, sizeBytes: 100 })).toBeUndefined();
      await folder.remove();
    },
  );

  it('in a folder that cannot be listed is an error immediately', async () => {
    await expect(StorageArea.at('/nowhere/at/all')).rejects.toThrow('ENOENT');
    const folder = await tempFolder('storage-area');
    await chmod(folder.path, 0o755);
    await folder.remove();
  });
});
