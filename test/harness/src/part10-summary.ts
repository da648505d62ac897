import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';

/** Data of the file meta information of a stored DICOM file, and the hash of its data set. */
export interface StoredFile {
  readonly path: string;
  readonly sopInstanceUid: string;
  readonly sopClassUid: string;
  readonly transferSyntaxUid: string;
  /** Bytes of the data set: all that follows the file meta information. */
  readonly datasetBytes: number;
  /** SHA-256 of the data set, hex. Equal if the bytes are unchanged. */
  readonly datasetSha256: string;
}

/** Reads the file meta information (PS3.10 section 7.1) and hashes the rest. */
export async function summarizePart10(path: string): Promise<StoredFile> {
  const file = await open(path);
  let head: Buffer;
  let size: number;
  try {
    size = (await file.stat()).size;
    const { buffer, bytesRead } = await file.read(Buffer.alloc(16_384), 0, 16_384, 0);
    head = buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
  const { start, values } = readMeta(head, path);
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { start })) hash.update(chunk as Buffer);
  return {
    path,
    sopClassUid: values.get(0x0002) ?? '',
    sopInstanceUid: values.get(0x0003) ?? '',
    transferSyntaxUid: values.get(0x0010) ?? '',
    datasetBytes: size - start,
    datasetSha256: hash.digest('hex'),
  };
}

/** The hash of the data set of a DICOM file in memory, to compare with `StoredFile.datasetSha256`. */
export function hashDataset(part10: Buffer): string {
  const { start } = readMeta(part10, 'the buffer');
  return createHash('sha256').update(part10.subarray(start)).digest('hex');
}

/** The file meta information: its end, and its values by element number. @throws if it is not a DICOM file */
export function readMeta(head: Buffer, what: string): { start: number; values: Map<number, string> } {
  if (head.toString('latin1', 128, 132) !== 'DICM')
    throw new Error(`${what} is no DICOM file: "DICM" is not at byte 128`);
  // The group length, (0002,0000) UL, is the first element: 12 bytes, its value counts what follows it.
  const start = 144 + head.readUInt32LE(140);
  if (start > head.length) throw new Error(`${what}: the file meta information ends at ${start}, after what was read`);
  const values = new Map<number, string>();
  let at = 144;
  while (at + 8 <= start) {
    const tag = head.readUInt16LE(at + 2);
    const isLong = ['OB', 'OW', 'UN', 'SQ', 'UT'].includes(head.toString('latin1', at + 4, at + 6));
    const length = isLong ? head.readUInt32LE(at + 8) : head.readUInt16LE(at + 6);
    at += isLong ? 12 : 8;
    values.set(tag, head.toString('latin1', at, at + length).replace(/[\0 ]+$/, ''));
    at += length;
  }
  return { start, values };
}
