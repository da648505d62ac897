import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { tempFolder } from '@dicom-dispatch/harness';
import { describe, expect, it } from 'vitest';
import { BlockingReads } from './blocking-reads.ts';
import { StorageArea } from './storage-area.ts';

describe('blocking reads', () => {
  it('are not used for a file system that is not known to be local', () => {
    expect(new BlockingReads(false).areAllowed).toBe(false);
    expect(new BlockingReads(true).areAllowed).toBe(true);
  });

  it('pause for a second after a slow one, also one that failed', () => {
    let now = 0;
    const reads = new BlockingReads(true, () => now);
    expect(reads.run(() => 'bytes')).toBe('bytes');
    expect(reads.areAllowed).toBe(true);
    expect(() =>
      reads.run(() => {
        now += 3;
        throw new Error('no file');
      }),
    ).toThrow('no file');
    expect(reads.areAllowed).toBe(false);
    now += 999;
    expect(reads.areAllowed).toBe(false);
    now += 1;
    expect(reads.areAllowed).toBe(true);
  });
});

describe('a small file of the storage area', () => {
  const uuid = '0123abcd-0000-4000-8000-00000000beef';

  it('is read at once only if it has exactly its size', async () => {
    const content = Buffer.alloc(20_000, 'dicom');
    await using folder = await tempFolder('read-now');
    const file = join(folder.path, '01', '23', uuid);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, content);
    const area = await StorageArea.at(folder.path);
    // On a file system that is not known to be local it is undefined.
    const read = area.readNow({ uuid, sizeBytes: content.length });
    expect(read ?? content).toEqual(content);
    expect(area.readNow({ uuid, sizeBytes: content.length - 1 })).toBeUndefined();
    expect(area.readNow({ uuid, sizeBytes: content.length + 1 })).toBeUndefined();
    expect(area.readNow({ uuid: uuid.replace('beef', 'dead'), sizeBytes: content.length })).toBeUndefined();
    expect(area.readNow({ uuid: '../../etc/passwd', sizeBytes: content.length })).toBeUndefined();
  });
});
