import { asDispatchError, DispatchError } from '@dicom-dispatch/core';
import { peekPart10 } from 'dicom-dimse';
import type { DeliveryRun, ManifestInstance } from '@dicom-dispatch/target-kit';
import { borrowed, metered, throwIfCancelled } from '@dicom-dispatch/target-kit/flow';
import type { AnyDicomTarget } from './schema.ts';

const maxHeadBytes = 256 * 1024;

/**
 * Why the manifest lacks the SOP class or transfer syntax of an instance: the source cannot provide its file, or could not when the
 * manifest was read.
 *
 * @returns undefined if the manifest has both, or the file does not name them
 */
export async function whyUnnamed(
  run: DeliveryRun<AnyDicomTarget>,
  instance: ManifestInstance,
): Promise<DispatchError | undefined> {
  if (instance.sopClassUid !== undefined && instance.transferSyntaxUid !== undefined) return undefined;
  let head: Buffer;
  try {
    head = await readFile(run, instance);
  } catch (thrown) {
    throwIfCancelled(run.signal);
    return asDispatchError(thrown);
  }
  if (!(await namesBoth(head))) return undefined;
  return new DispatchError(
    'source-instance-failed',
    'the source did not provide the header of an instance when the study was listed',
    { stage: 'connect' },
  );
}

/** Reads the whole file, so that errors at its end are detected, too. @returns its first chunks */
async function readFile(run: DeliveryRun<AnyDicomTarget>, instance: ManifestInstance): Promise<Buffer> {
  const bytes = metered(await run.open(instance, { signal: run.signal }), { sent: () => {}, signal: run.signal });
  const head: Buffer[] = [];
  let headBytes = 0;
  try {
    for await (const chunk of borrowed(bytes)) {
      if (headBytes < maxHeadBytes) head.push(Buffer.from(chunk));
      headBytes += chunk.length;
    }
    return Buffer.concat(head);
  } catch (thrown) {
    throw bytes.readError ?? thrown;
  } finally {
    await bytes.release();
  }
}

async function namesBoth(head: Buffer): Promise<boolean> {
  try {
    const { meta } = await peekPart10([head]);
    return meta.sopClassUid !== '' && meta.transferSyntaxUid !== '';
  } catch {
    return false;
  }
}
