import { writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { routeAgain, type PipelineContext } from '@dicom-dispatch/pipeline';
import type { OrthancClient } from '@dicom-dispatch/sources';
import type { DeliveryRecord, Records } from '@dicom-dispatch/state/records';
import type { RunningDispatch } from '../e2e/support/start-dispatch.ts';
import type { Timed } from './delivery-kinds.ts';
import { usageOf } from './report.ts';

/** A running dispatcher, and the objects that route studies to it. */
export interface Deliverer {
  readonly dispatch: RunningDispatch;
  readonly records: Records;
  readonly operations: PipelineContext;
  readonly orthanc: OrthancClient;
  /** Orthanc ids. */
  readonly studies: readonly string[];
}

/** Delivers all studies to one target, through queue, dispatcher and ledger. */
export async function deliverAll(
  { dispatch, records, operations, orthanc, studies }: Deliverer,
  target: string,
  source: string,
): Promise<Timed> {
  // Resets the peak memory of the process.
  await writeFile(`/proc/${dispatch.pid()}/clear_refs`, '5').catch(() => {});
  const before = await usageOf(dispatch.pid());
  const ids: string[] = [];
  for (const orthancStudyId of studies) {
    const { added } = await routeAgain(operations, { source, orthancStudyId, targets: [target] }, orthanc, {
      name: 'bench',
    });
    ids.push(...added.map(({ deliveryId }) => deliveryId));
  }
  const ended: DeliveryRecord[] = [];
  for (const id of ids) {
    for (;;) {
      const record = await records.delivery(id);
      if (record?.state === 'delivered') {
        ended.push(record);
        break;
      }
      if (record?.error !== undefined || record?.state === 'failed')
        throw new Error(`${target}: ${JSON.stringify(record)}\n${dispatch.output()}`);
      await sleep(20);
    }
  }
  const after = await usageOf(dispatch.pid());
  const begin = Math.min(...ended.map(({ startedAt }) => startedAt ?? 0));
  const end = Math.max(...ended.map(({ endedAt }) => endedAt ?? 0));
  return {
    seconds: (end - begin) / 1_000,
    cpuSeconds: after.cpuSeconds - before.cpuSeconds,
    peakBytes: after.peakBytes,
  };
}
