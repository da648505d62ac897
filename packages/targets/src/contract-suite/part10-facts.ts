import { createReadStream } from 'node:fs';
import { crc32 } from 'node:zlib';

/** Properties that identify a Part 10 file, computed in one pass over its bytes. */
export interface Part10Facts {
  readonly sopInstanceUid: string;
  /** Of the complete file. CRC-32, because it is fast for large files, and nobody forges files in a test. */
  readonly fileDigest: number;
  /** Of the data after the file meta information (PS3.10 section 7.1): the part that a DIMSE transfer preserves. */
  readonly datasetDigest: number;
  readonly sizeBytes: number;
}

/** @throws if the file meta information is missing or incomplete: such a file under a final name must be detected */
export async function part10Facts(body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<Part10Facts> {
  let fileDigest = 0;
  let datasetDigest = 0;
  let head = Buffer.alloc(0);
  let meta: { readonly sopInstanceUid: string; readonly datasetStart: number } | undefined;
  let sizeBytes = 0;
  for await (const chunk of body) {
    fileDigest = crc32(chunk, fileDigest);
    sizeBytes += chunk.byteLength;
    if (meta) {
      datasetDigest = crc32(chunk, datasetDigest);
      continue;
    }
    head = Buffer.concat([head, chunk]);
    meta = readMeta(head);
    if (meta) datasetDigest = crc32(head.subarray(meta.datasetStart));
    else if (head.length > 65_536) break;
  }
  if (!meta) throw new Error(`no Part 10 file: ${sizeBytes} bytes without file meta information`);
  return { sopInstanceUid: meta.sopInstanceUid, sizeBytes, fileDigest, datasetDigest };
}

export function fileFacts(path: string): Promise<Part10Facts> {
  return part10Facts(createReadStream(path, { highWaterMark: 1 << 20 }));
}

/** The required part of the file meta information; undefined until it is complete. */
function readMeta(head: Buffer): { sopInstanceUid: string; datasetStart: number } | undefined {
  // Bytes 1-128 preamble, 129-132 prefix, then (0002,0000) UL: group length in bytes 141-144.
  if (head.length < 144) return undefined;
  if (head.toString('latin1', 128, 132) !== 'DICM') throw new Error('no Part 10 file: the prefix DICM is missing');
  const datasetStart = 144 + head.readUInt32LE(140);
  if (head.length < datasetStart) return undefined;
  const tag = head.indexOf(Buffer.from([0x02, 0x00, 0x03, 0x00, 0x55, 0x49]), 144);
  if (tag < 0 || tag >= datasetStart) throw new Error('no Part 10 file: (0002,0003) is missing');
  const length = head.readUInt16LE(tag + 6);
  const value = head.toString('latin1', tag + 8, tag + 8 + length);
  return { sopInstanceUid: value.replace(/\0$/, ''), datasetStart };
}
