import {
  changeBatch,
  findBatchStudies,
  listBatches,
  setBatchRate,
  startBatch,
  type BatchAction,
} from '@dicom-dispatch/operations';
import type { Batch } from '@dicom-dispatch/state/batches';
import { confirm } from './confirm.ts';
import { ago, formatTable } from './print-table.ts';
import { show, type ShowOptions } from './show.ts';
import { withSystem } from './with-system.ts';

export type BatchOptions = ShowOptions;

export interface StartBatchOptions {
  readonly config: string;
  readonly json?: boolean;
  readonly source: string;
  readonly from?: string;
  readonly until?: string;
  readonly modality?: string;
  readonly description?: string;
  readonly to?: readonly string[];
  readonly rule?: string;
  readonly rate?: number;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

/** Shows the number of matching studies, asks for confirmation, and begins. */
export async function startBatchNow(options: StartBatchOptions): Promise<void> {
  const { source, from, until, modality, description, to, rule, rate, json } = options;
  const filter = { source, from, until, modality, description };
  await withSystem(options.config, async (system) => {
    const orthanc = await system.lookup.client(source);
    const count = (await findBatchStudies(system.operations, filter, orthanc)).length;
    const where = to?.join(', ') ?? (rule === undefined ? 'by the rules' : `by the rule ${rule}`);
    const words = `${count} ${count === 1 ? 'study' : 'studies'} of ${source} would be routed ${to ? `to ${where}` : where}`;
    if (options.dryRun === true) {
      console.log(json === true ? JSON.stringify({ count }) : words);
      return;
    }
    if (options.yes !== true && count > 0) await confirm(words);
    const request = { ...filter, targets: to, rule, studiesPerMinute: rate };
    const batch = await system.audited({ action: 'start batch', subject: `${source}, ${count} studies` }, () =>
      startBatch(system.operations, request, orthanc, system.actor),
    );
    console.log(
      json === true ? JSON.stringify(batch) : `${batch.id} has started; "dispatch batch list" shows its progress`,
    );
  });
}

export async function listBatchesNow(options: BatchOptions): Promise<void> {
  await show(options, ({ operations }) => listBatches(operations), formatBatches);
}

export async function changeBatchNow(id: string, action: BatchAction, options: BatchOptions): Promise<void> {
  await withSystem(options.config, async (system) => {
    const batch = await system.audited({ action: `${action} batch`, subject: id }, () =>
      changeBatch(system.operations, id, action),
    );
    console.log(options.json === true ? JSON.stringify(batch) : formatBatches([batch]));
  });
}

export async function setBatchRateNow(id: string, rate: number | undefined, options: BatchOptions): Promise<void> {
  await withSystem(options.config, async (system) => {
    const batch = await system.audited({ action: 'set batch rate', subject: id }, () =>
      setBatchRate(system.operations, id, rate),
    );
    console.log(options.json === true ? JSON.stringify(batch) : formatBatches([batch]));
  });
}

function formatBatches(batches: readonly Batch[]): string {
  return formatTable(
    ['batch', 'source', 'to', 'state', 'studies', 'routed', 'skipped', 'failed', 'a minute', 'begun'],
    batches.map((one) => [
      one.id,
      one.source,
      one.targets?.join(',') ?? (one.rule === undefined ? 'rules' : `rule ${one.rule}`),
      one.state,
      one.total,
      one.routed,
      one.skipped,
      one.failed,
      one.studiesPerMinute ?? '-',
      ago(one.createdAt),
    ]),
  );
}
