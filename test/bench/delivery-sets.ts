import { createWriteStream } from 'node:fs';
import { mkdir, readdir, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { makeLargeInstance, makeStudy } from '@dicom-dispatch/samples';

export interface DeliverySet {
  readonly title: string;
  /** Part 10 files, one folder for all. */
  readonly folder: string;
  readonly files: readonly string[];
  readonly bytes: number;
}

/**
 * A study of `count` instances of about `sizeBytes`, or `count` studies of one large one; generated once and stored in
 * `root`.
 */
export async function makeDeliverySet(root: string, count: number, sizeBytes: number): Promise<DeliverySet> {
  const folder = join(root, `${count}x${sizeBytes}`);
  if ((await stat(folder).catch(() => undefined)) === undefined) {
    await mkdir(`${folder}.building`, { recursive: true });
    await (sizeBytes > 8e6 ? writeLarge : writeStudy)(`${folder}.building`, count, sizeBytes);
    await rename(`${folder}.building`, folder);
  }
  const files = (await readdir(folder)).sort().map((name) => join(folder, name));
  const sizes = await Promise.all(files.map(async (file) => (await stat(file)).size));
  return {
    title: `${count.toLocaleString('en')} × ${sizeBytes >= 1e6 ? `${sizeBytes / 1e6} MB` : sizeBytes >= 1e5 ? `${sizeBytes / 1e6} MB` : `${sizeBytes / 1e3} kB`}`,
    folder,
    files,
    bytes: sizes.reduce((sum, size) => sum + size, 0),
  };
}

async function writeStudy(folder: string, count: number, sizeBytes: number): Promise<void> {
  // Two bytes a pixel.
  const side = Math.round(Math.sqrt(sizeBytes / 2 / 4)) * 2;
  let index = 0;
  for (const { bytes } of makeStudy({
    seed: folder.length + count,
    instancesPerSeries: count,
    rows: side,
    columns: side,
  })) {
    await writeFile(join(folder, `${String(index).padStart(5, '0')}.dcm`), bytes);
    index += 1;
  }
}

async function writeLarge(folder: string, count: number, sizeBytes: number): Promise<void> {
  for (let index = 0; index < count; index += 1)
    await pipeline(
      makeLargeInstance({ sizeBytes, seed: `bench ${index}` }),
      createWriteStream(join(folder, `${index}.dcm`)),
    );
}
