import fs from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { dirname, join } from 'node:path';
import { tempFolder } from '@dicom-dispatch/harness';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
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

  it('block the process for little more than 100 ms in each second', () => {
    let now = 5_000;
    let blockedMs = 0;
    const reads = new BlockingReads(true, () => now);
    const readFor = (untilMs: number): void => {
      while (now < untilMs) {
        if (reads.areAllowed) {
          reads.run(() => (now += 1.5));
          blockedMs += 1.5;
        } else now += 1;
      }
    };
    readFor(5_900);
    expect(blockedMs).toBe(100.5);
    expect(reads.areAllowed).toBe(false);
    readFor(6_000);
    expect(reads.areAllowed).toBe(true);
    readFor(6_900);
    expect(blockedMs).toBe(201);
  });

  it('do not pause if they take 100 ms in more than a second', () => {
    let now = 0;
    const reads = new BlockingReads(true, () => now);
    for (let count = 0; count < 1_000; count += 1) {
      expect(reads.areAllowed).toBe(true);
      reads.run(() => (now += 1.5));
      now += 20;
    }
  });
});

describe('a small file of the storage area', () => {
  const uuid = '0123abcd-0000-4000-8000-00000000beef';
  const content = Buffer.alloc(20_000, 'dicom');

  async function areaWithFile() {
    const folder = await tempFolder('read-now');
    onTestFinished(() => folder.remove());
    const file = join(folder.path, '01', '23', uuid);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, content);
    const reads = new BlockingReads(true, () => 0);
    const run = vi.spyOn(reads, 'run');
    const area = await StorageArea.at(folder.path, reads);
    return { area, blockingReads: () => run.mock.results.map(({ value }): unknown => value) };
  }

  it('is read at once only if it has exactly its size', async () => {
    const { area, blockingReads } = await areaWithFile();
    const file = await area.open({ uuid, sizeBytes: content.length });
    expect(await file!.body.next()).toEqual({ done: false, value: content });
    expect(blockingReads()).toEqual([content]);
    const others = [
      { uuid, sizeBytes: content.length - 1 },
      { uuid, sizeBytes: content.length + 1 },
      { uuid: uuid.replace('beef', 'dead'), sizeBytes: content.length },
      { uuid: '../../etc/passwd', sizeBytes: content.length },
    ];
    for (const other of others) expect(await area.open(other)).toBeUndefined();
    expect(blockingReads()).toEqual([content, undefined, undefined, undefined]);
  });

  it('is handed out even if closing it fails', async () => {
    const { area, blockingReads } = await areaWithFile();
    const { closeSync } = fs;
    const closing = vi.spyOn(fs, 'closeSync').mockImplementation((descriptor) => {
      closeSync(descriptor);
      throw new Error('EIO');
    });
    syncBuiltinESMExports();
    onTestFinished(() => {
      closing.mockRestore();
      syncBuiltinESMExports();
    });
    const file = await area.open({ uuid, sizeBytes: content.length });
    expect(await file!.body.next()).toEqual({ done: false, value: content });
    expect(await area.open({ uuid, sizeBytes: content.length + 1 })).toBeUndefined();
    expect(blockingReads()).toEqual([content, undefined]);
    expect(closing).toHaveBeenCalledTimes(2);
  });
});
