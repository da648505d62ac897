import { csvLine } from '@dicom-dispatch/core';
import type { StudyReceipt } from './read-receipt.ts';

const columns = [
  'source',
  'study_instance_uid',
  'orthanc_study_id',
  'target',
  'transform',
  'place',
  'series_instance_uid',
  'sop_instance_uid',
  'state',
  'size_bytes',
  'sha256',
  'confirmed_at',
  'attempt',
  'delivery',
  'answer',
  'note',
] as const;

/** A receipt as CSV (RFC 4180), a line for each instance. */
export function receiptCsv(receipt: StudyReceipt): string {
  const { source, studyInstanceUid, orthancStudyId } = receipt;
  const rows = receipt.targets.flatMap(({ target, transform, deliveries, lines }) =>
    lines.map((line) => [
      source,
      studyInstanceUid,
      orthancStudyId,
      target,
      transform ?? '',
      line.place,
      line.seriesInstanceUid ?? '',
      line.sopInstanceUid,
      line.state,
      line.sizeBytes === undefined ? '' : String(line.sizeBytes),
      line.sha256 ?? '',
      new Date(line.at).toISOString(),
      String(line.attempt),
      line.deliveryId,
      line.answer,
      deliveries.find(({ deliveryId }) => deliveryId === line.deliveryId)?.notice ?? '',
    ]),
  );
  return [columns, ...rows].map((row) => csvLine(row)).join('');
}
