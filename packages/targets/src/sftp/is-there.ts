import { posix } from 'node:path';
import type { DeliveryRun, ManifestInstance } from '../contract/index.ts';
import { metered } from '../flow/index.ts';
import type { SftpTarget } from './schema.ts';
import type { SftpSession } from './session.ts';
import { remoteChunks } from './write-remote.ts';

/**
 * Whether a file with the same content is there already. Only where its size is the same is it read back, and the
 * instance read once more for the comparison.
 */
export async function isThere(
  run: DeliveryRun<SftpTarget>,
  session: SftpSession,
  path: string,
  instance: ManifestInstance,
  signal: AbortSignal,
): Promise<boolean> {
  if (run.config.existing === 'overwrite') return false;
  const remote = posix.join(run.config.path, path);
  const found = await session.statIfThere(remote, signal);
  if (!found?.isFile() || found.size !== instance.sizeBytes) return false;
  const bytes = metered(await run.open(instance, { signal }), { sent: () => {}, signal });
  try {
    return await sameBytes(bytes.body, remoteChunks(session, remote, signal));
  } catch (thrown) {
    throw bytes.readError ?? thrown;
  } finally {
    await bytes.release();
  }
}

/** Whether two streams have the same bytes, however they are cut. */
export async function sameBytes(first: AsyncIterable<Uint8Array>, second: AsyncIterable<Uint8Array>): Promise<boolean> {
  const other = second[Symbol.asyncIterator]();
  let rest: Uint8Array = new Uint8Array();
  try {
    for await (const chunk of first) {
      for (let at = 0; at < chunk.byteLength;) {
        if (rest.byteLength === 0) {
          const next = await other.next();
          if (next.done) return false;
          rest = next.value;
          continue;
        }
        const length = Math.min(rest.byteLength, chunk.byteLength - at);
        if (Buffer.compare(chunk.subarray(at, at + length), rest.subarray(0, length)) !== 0) return false;
        rest = rest.subarray(length);
        at += length;
      }
    }
    return rest.byteLength === 0 && (await other.next()).done === true;
  } finally {
    await other.return?.();
  }
}
