import { execFile } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdir, readdir, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { makeLargeInstance, makeStudy } from '@dicom-dispatch/samples';

const run = promisify(execFile);
const MB = 1024 * 1024;

export type SetName = 'A' | 'B' | 'C' | 'D';

export interface BenchSet {
  readonly name: SetName;
  readonly title: string;
  readonly folder: string;
  readonly files: number;
  readonly bytes: number;
  /** Whether its data sets are compressed. */
  readonly isCompressed: boolean;
}

const TITLES: Readonly<Record<SetName, string>> = {
  A: 'CT 500 × 0.5 MB',
  B: 'CT 2,000 × 21 kB',
  C: '4 × 210 MB multi-frame',
  D: 'CT 200 × 135 kB JPEG lossless',
};

/** The data sets of the measurements, generated once and stored in `root`. */
export async function makeSet(root: string, name: SetName): Promise<BenchSet> {
  const folder = join(root, name);
  const made = await stat(folder).catch(() => undefined);
  if (made === undefined) {
    const building = `${folder}.building`;
    await mkdir(building, { recursive: true });
    await fill(building, name);
    await rename(building, folder);
  }
  const files = await readdir(folder);
  const sizes = await Promise.all(files.map(async (file) => (await stat(join(folder, file))).size));
  return {
    name,
    title: TITLES[name],
    folder,
    files: files.length,
    bytes: sizes.reduce((sum, size) => sum + size, 0),
    isCompressed: name === 'D',
  };
}

async function fill(folder: string, name: SetName): Promise<void> {
  switch (name) {
    case 'A':
      return writeStudy(folder, 'bench-a', 500, 512);
    case 'B':
      return writeStudy(folder, 'bench-b', 2000, 100);
    case 'C':
      for (let index = 0; index < 4; index += 1) {
        const instance = makeLargeInstance({ sizeBytes: 210 * MB, seed: `bench-c-${index}` });
        await pipeline(instance, createWriteStream(join(folder, `${index}.dcm`)));
      }
      return;
    case 'D':
      await writeStudy(folder, 'bench-d', 200, 400);
      for (const file of await readdir(folder)) {
        await run('dcmcjpeg', ['+e1', join(folder, file), join(folder, file)]);
      }
      return;
    default:
      name satisfies never;
  }
}

async function writeStudy(folder: string, seed: string, count: number, side: number): Promise<void> {
  let index = 0;
  for (const instance of makeStudy({ seed, instancesPerSeries: count, rows: side, columns: side })) {
    await writeFile(join(folder, `${String(index).padStart(5, '0')}.dcm`), instance.bytes);
    index += 1;
  }
}
