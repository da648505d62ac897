import type { Config } from '@dicom-dispatch/core';
import type { Logger } from '@dicom-dispatch/runtime';
import { receiptsInFolder } from '@dicom-dispatch/state/receipts';

/** Removes receipts older than their retention from a folder; those in Redis expire. */
export async function pruneReceipts({ receipts }: Pick<Config, 'receipts'>, log: Logger): Promise<void> {
  if (receipts.folder === undefined) return;
  try {
    const days = await receiptsInFolder(receipts.folder, receipts.keep).prune();
    if (days > 0) log.info({ days }, 'old receipts removed');
  } catch (error) {
    log.warn({ err: error }, 'old receipts could not be removed');
  }
}
