import type { JobEnd } from '@dicom-dispatch/pipeline';
import { routeAnew } from '@dicom-dispatch/state/feed';
import { dependenciesOf } from './attempt-dependencies.ts';
import { countsOf, type Attempt } from './delivery-job-run.ts';
import type { DispatcherContext } from './dispatcher-context.ts';
import type { ArrivalInbox } from './listen-for-arrivals.ts';
import { putOff } from './put-off.ts';
import { runArriving, type ArrivingEnd } from './run-arriving.ts';

/** After this time without messages a delivery checks for instances itself: a message may have been lost. */
const lookAgainMs = 60_000;

/** Sends arriving instances of a study that is still being received. @throws DispatchError if the attempt failed */
export async function sendArriving(attempt: Attempt, inbox: ArrivalInbox): Promise<ArrivingEnd> {
  const dependencies = await dependenciesOf(attempt);
  return runArriving({
    ...dependencies,
    inbox,
    doOthersWait: () => doOthersWait(attempt.context, attempt.data.target),
  });
}

async function doOthersWait({ queues }: DispatcherContext, target: string): Promise<boolean> {
  const counts = await queues.target(target).getJobCounts('waiting', 'prioritized');
  return (counts['waiting'] ?? 0) + (counts['prioritized'] ?? 0) > 0;
}

/** All arrived instances are sent: lets the delivery wait for more, or continue with the complete study. */
export async function arrivingEnded(
  attempt: Attempt,
  { kind, contentHash, isAll, isStable }: ArrivingEnd,
  inbox: ArrivalInbox,
): Promise<JobEnd> {
  const { context, data, tracker, record } = attempt;
  const patch = {
    ...countsOf(attempt),
    stage: tracker.stage,
    // This attempt continues, it has not ended.
    attempts: attempt.number - 1,
    error: null,
    failStage: null,
    losses: null,
    waits: null,
    ...(tracker.gained > 0 && { failures: null }),
  };
  if (kind === 'whole' || (isAll && (await isWhole(attempt, contentHash)))) {
    return putOff(attempt, { wake: 'job', front: true, patch });
  }
  // Its last instances may have come in the second in which it was routed, and Orthanc may have been restarted since: then neither
  // an event nor a sweep shows that it is complete.
  if (isStable) await routeAnew(context.redis, context.config.redis.prefix, data);
  const isReported = record.wake === 'arrival';
  const text = 'all received instances are sent; the study is still being received';
  const end = await putOff(attempt, {
    wake: 'arrival',
    inMs: lookAgainMs,
    patch,
    ...(!isReported && { event: { kind: 'waiting', text } }),
  });
  // A message that arrived in between found neither a listening attempt nor a waiting delivery.
  if (await inbox.hasNews()) await context.wake(data.deliveryId);
  return end;
}

/**
 * Whether the delivery is one of the complete study by now. If this content was routed as a stable study while the delivery
 * was being created, no further event follows: then it is converted here.
 */
async function isWhole({ context, data }: Attempt, contentHash: string): Promise<boolean> {
  const [record, study] = await Promise.all([context.records.delivery(data.deliveryId), context.records.study(data)]);
  if (record?.arriving === undefined) return true;
  if (!study || study.contentHash !== contentHash) return false;
  const { instanceCount, modalities, studyTaskId } = study;
  const { arriving: _, ...rest } = data;
  return context.records.whole({ ...rest, contentHash, instanceCount, modalities: [...modalities], studyTaskId });
}
