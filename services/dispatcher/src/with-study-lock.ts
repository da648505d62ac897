import { ledgerKeyOf } from '@dicom-dispatch/core';
import { wakeDelivery, type JobEnd } from '@dicom-dispatch/pipeline';
import { fenceOf, type DeliveryJobRun } from './delivery-job-run.ts';
import { putOff } from './put-off.ts';

/** After this time a waiting delivery checks again itself, in case the end of the other one was not reported. */
const lookAgainMs = 30_000;

/**
 * Runs while no other delivery of the same study to the same target does: both would find the same instances missing in
 * the ledger, and send them twice. The second one waits, and consumes no attempt.
 */
export async function withStudyLock(jobRun: DeliveryJobRun, run: () => Promise<JobEnd>): Promise<JobEnd> {
  const { context, data, log } = jobRun;
  const key = ledgerKeyOf(data);
  const fence = fenceOf(jobRun);
  const answer = await context.studyLocks.take(key, data.deliveryId, fence);
  if (answer.kind === 'wait') {
    const event = { kind: 'waiting', text: 'another delivery of this study to the target is in progress' } as const;
    return putOff(jobRun, { wake: 'turn', inMs: lookAgainMs, ...(answer.isFirstTry && { event }) });
  }
  try {
    return await run();
  } finally {
    // If Redis is unavailable, the study lock ends with the lock of the job, and the others check again themselves.
    const waiting = await context.studyLocks.end(key, fence).catch(() => []);
    for (const deliveryId of waiting) {
      await wakeDelivery(context, deliveryId).catch((error: unknown) =>
        log.warn(
          { err: error, waiting: deliveryId },
          'a waiting delivery could not be woken: it checks again by itself',
        ),
      );
    }
  }
}

/** Whether the delivery that this one waited for has ended by now. */
export async function isStudyLockFree({ context, data }: DeliveryJobRun): Promise<boolean> {
  return context.studyLocks.isFree(ledgerKeyOf(data));
}
