import { OrthancError } from '../orthanc-error.ts';
import type { CallName } from '../translate-error.ts';

/**
 * Collects a body of at most `limitBytes`.
 *
 * @throws OrthancError `too-large` as soon as more arrives; the body is then left, which ends its connection.
 */
export async function readBounded(
  body: AsyncIterable<Uint8Array>,
  limitBytes: number,
  call: CallName,
): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > limitBytes) {
      const { method, path } = call;
      throw new OrthancError('too-large', `${method} ${path}: the answer is larger than ${limitBytes} bytes`, call);
    }
    chunks.push(chunk);
  }
  return chunks.length === 1 ? asBuffer(chunks[0] as Uint8Array) : Buffer.concat(chunks, size);
}

/** The start of a body, as text, for an error: never throws, and leaves the rest. */
export async function readStart(body: AsyncIterable<Uint8Array>, limitBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of body) {
      chunks.push(chunk);
      size += chunk.length;
      if (size >= limitBytes) break;
    }
  } catch {
    // Data from before the connection broke are sufficient: the status has been read.
  }
  return Buffer.concat(chunks).toString('utf8');
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
