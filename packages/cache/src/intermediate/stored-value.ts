import { promisify } from 'node:util';
import { constants, crc32, zstdCompress, zstdCompressSync, zstdDecompress, zstdDecompressSync } from 'node:zlib';
import { unseal } from './seal.ts';

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

export type Encoding = 'none' | 'zstd';

/** Header of a stored value: one line of JSON. */
export interface StoredInfo {
  readonly type: string;
  readonly key: string;
  readonly createdAt: number;
  readonly sizeBytes: number;
  readonly encoding: Encoding;
  /** CRC-32 of the bytes as stored. */
  readonly crc: number;
  /** Encrypted after it was compressed. */
  readonly sealed?: boolean;
  /** The file in the folder with the bytes; without one they follow this line. */
  readonly file?: { readonly name: string; readonly storedBytes: number };
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** Below this, compression costs more than it saves. */
const smallestCompressedBytes = 1_024;
/** Up to here, handing the work to another thread costs more than the work. */
const largestAtOnceBytes = 16_384;
const level = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

export async function encodeBytes(
  bytes: Uint8Array,
  compressed: boolean,
): Promise<{ stored: Uint8Array; encoding: Encoding }> {
  if (!compressed || bytes.byteLength < smallestCompressedBytes) return { stored: bytes, encoding: 'none' };
  const stored = bytes.byteLength <= largestAtOnceBytes ? zstdCompressSync(bytes, level) : await compress(bytes, level);
  return stored.byteLength < bytes.byteLength ? { stored, encoding: 'zstd' } : { stored: bytes, encoding: 'none' };
}

export function frameValue(info: StoredInfo, stored: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`${JSON.stringify(info)}\n`), stored]);
}

/** @returns undefined if this is not a valid frame */
export function unframeValue(frame: Buffer): { info: StoredInfo; stored: Buffer } | undefined {
  const end = frame.indexOf(0x0a);
  if (end < 0) return undefined;
  try {
    const info = JSON.parse(frame.toString('utf8', 0, end)) as StoredInfo;
    if (typeof info.sizeBytes !== 'number' || typeof info.crc !== 'number') return undefined;
    return { info, stored: frame.subarray(end + 1) };
  } catch {
    return undefined;
  }
}

/** @returns undefined when the bytes are not those that were stored */
export async function decodeBytes(
  info: StoredInfo,
  stored: Buffer,
  key: readonly Buffer[] | undefined,
  address: string,
): Promise<Buffer | undefined> {
  if (crc32(stored) !== info.crc) return undefined;
  const plain = info.sealed === true ? unseal(key, address, stored) : stored;
  if (!plain) return undefined;
  try {
    const bytes = info.encoding === 'zstd' ? await expand(plain, Math.max(1, info.sizeBytes)) : plain;
    return bytes.byteLength === info.sizeBytes ? bytes : undefined;
  } catch {
    return undefined;
  }
}

async function expand(plain: Buffer, maxOutputLength: number): Promise<Buffer> {
  const isSmall = maxOutputLength <= largestAtOnceBytes;
  return isSmall ? zstdDecompressSync(plain, { maxOutputLength }) : decompress(plain, { maxOutputLength });
}
