import type { DeliveryRecord } from '@dicom-dispatch/state/records';
import type { ReceiptEntry } from '@dicom-dispatch/state/receipts';
import type { Attempt } from './delivery-job-run.ts';

/** The last sent file of a SOP Instance UID. */
export type SentFile = Pick<ReceiptEntry, 'sizeBytes' | 'sha256'>;

/** For each SOP Instance UID the file that the given deliveries sent last, if it is in their receipts. */
export async function filesSentBy(
  { context }: Pick<Attempt, 'context'>,
  deliveries: readonly Pick<DeliveryRecord, 'deliveryId'>[],
): Promise<Map<string, SentFile>> {
  const receipts = context.receipts();
  const lists = await Promise.all(deliveries.map(({ deliveryId }) => receipts.read(deliveryId)));
  const files = new Map<string, SentFile>();
  for (const { sopInstanceUid, sizeBytes, sha256 } of lists.flat().toSorted((a, b) => a.at - b.at)) {
    if (sizeBytes !== undefined) files.set(sopInstanceUid, { sizeBytes, sha256 });
  }
  return files;
}

/** Whether two files are known to be different: by their digests, otherwise by their sizes. */
export function areDifferent(one: SentFile | undefined, other: SentFile | undefined): boolean {
  if (one?.sizeBytes === undefined || other?.sizeBytes === undefined) return false;
  if (one.sizeBytes !== other.sizeBytes) return true;
  return one.sha256 !== undefined && other.sha256 !== undefined && one.sha256 !== other.sha256;
}
