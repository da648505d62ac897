import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { asDispatchError, DispatchError } from '@dicom-dispatch/core';
import type { Places } from '../conflict/index.ts';
import type { DeliveryRun, ManifestInstance } from '@dicom-dispatch/target-kit';
import { borrowed, inLanes, throwIfCancelled, verdictOf } from '@dicom-dispatch/target-kit/flow';
import { translateSpoolError } from './errors.ts';
import type { RsyncTarget } from './schema.ts';
import type { Claim } from './judge-files.ts';
import { sendFiles } from './send-files.ts';
import type { Transfer } from './transfer.ts';
import type { WorkFolder } from './work-folder.ts';

type Run = DeliveryRun<RsyncTarget>;
type PathOf = (instance: ManifestInstance) => string;

/** A batch on this machine, ready to be sent. */
interface SpooledBatch {
  readonly folder: string;
  /** Path to instance. */
  readonly files: ReadonlyMap<string, ManifestInstance>;
  /** Why the batch is incomplete: the source failed. The available instances are sent nevertheless. */
  readonly error: DispatchError | undefined;
}

/**
 * Sends pending instances in batches: while one is sent the next is spooled, never more than two at a time.
 *
 * @returns the quarantined instances
 */
export async function sendBatches(
  run: Run,
  transfer: Transfer,
  work: WorkFolder,
  instances: readonly ManifestInstance[],
  places: Places,
): Promise<ManifestInstance[]> {
  const quarantined: ManifestInstance[] = [];
  let sending: Promise<void> = Promise.resolve();
  let failed: unknown;
  let putOff: unknown;
  let number = 0;
  for (const some of cutIntoBatches(instances, run.config.batchBytes)) {
    const folder = join(work.path, 'spool', String((number += 1)));
    const batch = await spoolBatch(run, some, folder, places.pathOf, quarantined);
    await sending;
    if (failed !== undefined) break;
    sending = sendBatch(run, transfer, work, batch, places, quarantined).catch((thrown: unknown) => {
      failed ??= thrown;
    });
    // An instance that the source cannot return now does not block the others.
    if (batch.error && verdictOf(batch.error) === 'later') putOff ??= batch.error;
    else if (batch.error) break;
  }
  await sending;
  throwIfCancelled(run.signal);
  if (failed !== undefined) throw failed;
  if (putOff !== undefined) throw putOff;
  return quarantined;
}

function* cutIntoBatches(instances: readonly ManifestInstance[], batchBytes: number): Generator<ManifestInstance[]> {
  let batch: ManifestInstance[] = [];
  let bytes = 0;
  for (const instance of instances) {
    // The number of names is limited, too.
    if (batch.length > 0 && (bytes + instance.sizeBytes > batchBytes || batch.length >= 5000)) {
      yield batch;
      [batch, bytes] = [[], 0];
    }
    batch.push(instance);
    bytes += instance.sizeBytes;
  }
  if (batch.length > 0) yield batch;
}

async function spoolBatch(
  run: Run,
  instances: readonly ManifestInstance[],
  folder: string,
  pathOf: PathOf,
  quarantined: ManifestInstance[],
): Promise<SpooledBatch> {
  const files = new Map<string, ManifestInstance>();
  let error: DispatchError | undefined;
  try {
    const result = await inLanes(run, { lanes: run.config.maxParallel, instances }, async ({ instance, bytes }) => {
      const path = pathOf(instance);
      await spoolFile(join(folder, path), borrowed(bytes), bytes.sizeBytes, folder);
      files.set(path, instance);
      return undefined;
    });
    quarantined.push(...result.quarantined);
  } catch (thrown) {
    throwIfCancelled(run.signal);
    error = asDispatchError(thrown);
  }
  return { folder, files, error };
}

async function spoolFile(
  path: string,
  body: AsyncIterable<Uint8Array>,
  sizeBytes: number | undefined,
  spool: string,
): Promise<void> {
  let written = 0;
  try {
    await mkdir(dirname(path), { recursive: true });
    const half = `${path}.half`;
    const handle = await open(half, 'wx');
    try {
      for await (const chunk of body) {
        for (let at = 0; at < chunk.byteLength; at += (await handle.write(chunk, at)).bytesWritten);
        written += chunk.byteLength;
      }
    } finally {
      await handle.close();
    }
    if (sizeBytes !== undefined && written !== sizeBytes) {
      throw new DispatchError('source-error', `the source sent ${written} of ${sizeBytes} bytes of an instance`);
    }
    await rename(half, path);
  } catch (thrown) {
    throw translateSpoolError(thrown, spool);
  }
}

/** Sends a batch, reports the instances that have arrived, and removes it from this machine. */
async function sendBatch(
  run: Run,
  transfer: Transfer,
  work: WorkFolder,
  { folder, files, error }: SpooledBatch,
  places: Places,
  quarantined: ManifestInstance[],
): Promise<void> {
  try {
    if (files.size > 0) {
      const claims = new Map<string, Claim>();
      for (const [path, instance] of files) claims.set(path, places.claim(instance));
      const sent = await sendFiles(transfer, work, folder, claims);
      for (const [path, instance] of files) {
        const conflict = sent.conflicts.get(path);
        if (sent.arrived.has(path)) {
          await run.report(instance, {
            kind: 'delivered',
            answer: `confirmed by rsync as ${places.shownPathOf(instance)}`,
          });
        } else if (conflict) {
          run.log.warn('instance quarantined', { sopInstanceUid: instance.sopInstanceUid, code: conflict.code });
          quarantined.push(instance);
          await run.report(instance, { kind: 'quarantined', error: conflict });
        }
      }
      if (sent.replaced > 0) run.log.info('earlier versions of instances replaced', { count: sent.replaced });
      if (sent.error) throw sent.error;
    }
    if (error && verdictOf(error) !== 'later') throw error;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
