import type { LedgerKey } from '@dicom-dispatch/cache/ledger';
import type { DeliveryData } from '@dicom-dispatch/core';

/** Where the confirmations of a delivery stand: by study and target, so that all deliveries of a study share them. */
export function ledgerKey(data: Pick<DeliveryData, 'source' | 'studyInstanceUid' | 'target'>): LedgerKey {
  return { source: data.source, studyInstanceUid: data.studyInstanceUid, target: data.target };
}
