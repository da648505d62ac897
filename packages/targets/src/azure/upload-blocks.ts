import { createHash } from 'node:crypto';
import { DispatchError } from '@dicom-dispatch/core';
import type { Permits } from '@dicom-dispatch/target-kit/flow';
import type { PartPool } from '../s3/part-pool.ts';
import {
  conditionsOf,
  judgeBlob,
  lookAtBlob,
  md5Of,
  maxRounds,
  takenAgain,
  type BlobToSend,
  type FoundBlob,
  type Stored,
} from './blob.ts';
import type { Container } from './container.ts';
import { isNotThere, isTaken, translateAzureError } from './errors.ts';
import { verifyBlob } from './put-blob.ts';

export interface UploadContext {
  readonly container: Container;
  /** Bounds the requests of all uploads of a delivery together. */
  readonly permits: Permits;
  /** Bounds the memory of their blocks. */
  readonly pool: PartPool;
  readonly signal: AbortSignal;
}

export interface BlocksToUpload {
  readonly blob: BlobToSend;
  /** As announced by the source; undefined if unknown. */
  readonly sizeBytes: number | undefined;
  readonly blocks: AsyncIterable<Buffer>;
  /** The existing blob with this name, if it may be replaced. */
  readonly found: FoundBlob | undefined;
}

/** This part of an instance is sufficient to identify it. */
const headBytes = 64 * 1024;

interface SentBlocks {
  readonly ids: readonly string[];
  readonly kept: number;
  readonly head: Buffer;
  readonly sizeBytes: number;
  readonly md5: Buffer;
}

/**
 * Creates a blob from blocks (Put Block, Put Block List), several in parallel. The id of a block is its number and its MD5: blocks that
 * an earlier attempt has sent are recognised, and not sent again. The service removes blocks without a blob after a week.
 */
export async function uploadBlocks(
  context: UploadContext,
  wanted: BlocksToUpload,
): Promise<{ readonly stored: Stored; readonly keptBlocks: number }> {
  const { container, signal } = context;
  const there = await uncommitted(container, wanted.blob.name, signal);
  const sent = await sendBlocks(context, wanted, there);
  // The blob is created only if the source has sent all announced bytes.
  if (wanted.sizeBytes !== undefined && sent.sizeBytes !== wanted.sizeBytes) {
    throw new DispatchError(
      'source-error',
      `the source sent ${sent.sizeBytes} of ${wanted.sizeBytes} bytes of an instance`,
    );
  }
  const stored = await commit(context, wanted, sent);
  if (stored !== 'same') wanted.blob.answered?.(sent.md5.toString('hex'));
  return { stored, keptBlocks: sent.kept };
}

async function commit({ container, signal }: UploadContext, wanted: BlocksToUpload, sent: SentBlocks): Promise<Stored> {
  const { blob } = wanted;
  const client = container.client.getBlockBlobClient(blob.name);
  const md5 = sent.md5.toString('hex');
  let { found } = wanted;
  for (let round = 0; round < maxRounds; round += 1) {
    const conditions = conditionsOf(container, found);
    try {
      await container.raw(signal, (sending) =>
        client.commitBlockList([...sent.ids], {
          ...sending,
          conditions,
          blobHTTPHeaders: { blobContentType: blob.contentType, blobContentMD5: sent.md5 },
          ...(container.config.tier !== undefined && { tier: container.config.tier }),
        }),
      );
      await verifyBlob(container, blob.name, { sizeBytes: sent.sizeBytes, md5 }, signal);
      return found ? 'replaced' : 'new';
    } catch (thrown) {
      if (!isTaken(thrown)) throw translateAzureError(thrown, container.host, 'Committing the blocks of a blob');
    }
    found = await lookAtBlob(container, blob.name, signal);
    // Also after an earlier request of this upload whose response was lost.
    if (found && found.sizeBytes === sent.sizeBytes && found.md5 === md5) return 'same';
    if (found) await judgeBlob(container, found, blob, sent.head, signal);
  }
  throw takenAgain(container);
}

/** Blocks that were sent and do not belong to a blob yet: id to size. */
async function uncommitted(
  container: Container,
  name: string,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, number>> {
  const client = container.client.getBlockBlobClient(name);
  try {
    const list = await container.raw(signal, (sending) => client.getBlockList('uncommitted', sending));
    return new Map((list.uncommittedBlocks ?? []).map((block) => [block.name, block.size]));
  } catch (thrown) {
    if (isNotThere(thrown)) return new Map();
    throw translateAzureError(thrown, container.host, 'Listing blocks');
  }
}

async function sendBlocks(
  context: UploadContext,
  { blob, blocks }: BlocksToUpload,
  there: ReadonlyMap<string, number>,
): Promise<SentBlocks> {
  const { container, permits, pool } = context;
  const stop = new AbortController();
  const signal = AbortSignal.any([context.signal, stop.signal]);
  const client = container.client.getBlockBlobClient(blob.name);
  const underWay = new Set<Promise<void>>();
  const whole = createHash('md5');
  const ids: string[] = [];
  let head = Buffer.alloc(0);
  let sizeBytes = 0;
  let kept = 0;

  /** Sends a block and releases it. An error stops the others and is reported at the end. */
  async function sendOne(id: string, block: Buffer, digest: Buffer): Promise<void> {
    try {
      await permits.with(signal, () =>
        container.act(
          'Storing a block',
          signal,
          (sending) => client.stageBlock(id, block, block.length, { ...sending, transactionalContentMD5: digest }),
          block.length,
        ),
      );
      pool.releasePart(block);
    } catch (thrown) {
      pool.giveUp(block);
      stop.abort(thrown);
    }
  }

  try {
    for await (const block of blocks) {
      if (ids.length === 0) head = Buffer.from(block.subarray(0, headBytes));
      const digest = md5Of(block);
      whole.update(block);
      sizeBytes += block.length;
      const id = idOf(ids.length, digest);
      ids.push(id);
      if (there.get(id) === block.length) {
        kept += 1;
        pool.releasePart(block);
        continue;
      }
      if (signal.aborted) {
        pool.releasePart(block);
        break;
      }
      const tracked = sendOne(id, block, digest).finally(() => underWay.delete(tracked));
      underWay.add(tracked);
    }
    await Promise.all(underWay);
    signal.throwIfAborted();
  } catch (thrown) {
    // The first error is reported, once no request is running any more.
    stop.abort(thrown);
    await Promise.all(underWay);
    throw stop.signal.reason;
  }
  return { ids, kept, head, sizeBytes, md5: whole.digest() };
}

/** All ids of a blob have one length (REST reference, "Put Block"): five digits of the number, and the MD5. */
function idOf(index: number, digest: Buffer): string {
  return Buffer.from(`${String(index).padStart(5, '0')}-${digest.toString('hex')}`).toString('base64');
}
