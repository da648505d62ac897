import { formatBytes } from '@dicom-dispatch/core';
import { readReceipt, receiptCsv, type StudyReceipt } from '@dicom-dispatch/operations';
import { findStudy } from './find-study.ts';
import { formatTable, utcTime } from './print-table.ts';
import { withSystem } from './with-system.ts';

export interface ReceiptOptions {
  readonly config: string;
  readonly target?: string;
  readonly format: 'table' | 'json' | 'csv';
}

/** Prints the instances of a study that targets have confirmed. */
export async function showReceiptOf(id: string, { config, target, format }: ReceiptOptions): Promise<void> {
  await withSystem(config, async (system) => {
    const study = await findStudy(system, id);
    const receipt = await readReceipt(system.operations, study, target);
    if (format === 'json') console.log(JSON.stringify(receipt, undefined, 2));
    else if (format === 'csv') process.stdout.write(receiptCsv(receipt));
    else console.log(formatReceipt(receipt));
  });
}

function formatReceipt({ source, studyInstanceUid, orthancStudyId, targets }: StudyReceipt): string {
  const head = [`study   ${studyInstanceUid}`, `source  ${source}, Orthanc id ${orthancStudyId}`];
  const parts = targets.map((one) => {
    const counts = [
      `${one.delivered} delivered`,
      ...(one.quarantined > 0 ? [`${one.quarantined} quarantined`] : []),
      ...(one.withoutDetails > 0 ? [`the details of ${one.withoutDetails} are no longer stored`] : []),
    ];
    const shape = one.transform === undefined ? '' : ` (${one.transform})`;
    return [
      `\n${one.target}${shape}: ${counts.join(', ')}`,
      ...one.deliveries.flatMap(({ notice }) => (notice === undefined ? [] : [`  ! ${notice}`])),
      formatTable(
        ['instance', 'state', 'size', 'sha256', 'confirmed', 'attempt', 'answer', 'where'],
        one.lines.map((line) => [
          line.sopInstanceUid,
          line.state,
          line.sizeBytes === undefined ? '-' : formatBytes(line.sizeBytes),
          line.sha256 ?? '-',
          utcTime(line.at),
          line.attempt,
          line.answer || '-',
          line.place || '-',
        ]),
      ),
    ].join('\n');
  });
  return [...head, ...parts].join('\n');
}
