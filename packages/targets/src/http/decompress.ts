import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate } from 'node:zlib';
import { DispatchError } from '@dicom-dispatch/core';

const methods = new Map([
  ['gzip', promisify(gunzip)],
  ['x-gzip', promisify(gunzip)],
  ['deflate', promisify(inflate)],
  ['br', promisify(brotliDecompress)],
]);

/**
 * A short response without its content encoding. None is requested, but some proxies compress nevertheless.
 *
 * @throws {DispatchError} `target-error` if it cannot be decompressed, or is longer than allowed
 */
export async function decompress(
  bytes: Buffer,
  encoding: string | undefined,
  { host, maxBytes }: { readonly host: string; readonly maxBytes: number },
): Promise<Buffer> {
  const name = encoding?.trim().toLowerCase() ?? '';
  if (name === '' || name === 'identity') return bytes;
  try {
    const method = methods.get(name);
    if (method) return await method(bytes, { maxOutputLength: maxBytes });
  } catch (thrown) {
    // The error does not quote the response, which may contain patient data.
    const isLong = thrown instanceof Error && 'code' in thrown && thrown.code === 'ERR_BUFFER_TOO_LARGE';
    const why = isLong ? `is longer than ${maxBytes} bytes when decompressed` : `is not ${name}, as its header says`;
    throw new DispatchError('target-error', `an answer of ${host} ${why}`);
  }
  throw new DispatchError('target-error', `an answer of ${host} is compressed in a way that was not requested`);
}
