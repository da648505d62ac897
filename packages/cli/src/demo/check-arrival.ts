import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { OrthancClient } from '@dicom-dispatch/orthanc';
import { readPart10 } from 'dicom-dimse';

/**
 * SOP Instance UID to a hash of the stored data set; without the file meta information, since a DICOM receiver writes its own.
 */
export type Arrived = ReadonlyMap<string, string>;

/** The SOP Instance UID of a Part 10 file, and a hash of its data set, which follows the file meta information (PS3.10 section 7.1). */
export async function datasetHash(bytes: Buffer): Promise<{ sopInstanceUid: string; hash: string }> {
  const { meta } = await readPart10([bytes]);
  // 128 bytes of preamble, "DICM", and the element (0002,0000) with the length of the rest of the file meta information.
  const datasetOffset = 144 + bytes.readUInt32LE(140);
  const hash = createHash('sha256').update(bytes.subarray(datasetOffset)).digest('hex');
  return { sopInstanceUid: meta.sopInstanceUid, hash };
}

export async function arrivedInOrthanc(orthanc: OrthancClient): Promise<Arrived> {
  const found = new Map<string, string>();
  for (const id of await orthanc.instances.ids()) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of (await orthanc.instanceFile(id)).body) chunks.push(Buffer.from(chunk));
    const { sopInstanceUid, hash } = await datasetHash(Buffer.concat(chunks));
    found.set(sopInstanceUid, hash);
  }
  return found;
}

export async function arrivedInFolder(folder: string): Promise<Arrived> {
  const found = new Map<string, string>();
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.dcm')) continue;
    const { sopInstanceUid, hash } = await datasetHash(await readFile(join(entry.parentPath, entry.name)));
    found.set(sopInstanceUid, hash);
  }
  return found;
}
