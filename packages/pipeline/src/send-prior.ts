import { type Config, type DeliveryData } from '@dicom-dispatch/core';
import type { OrthancClient } from '@dicom-dispatch/sources';
import type { Records } from '@dicom-dispatch/state/records';
import type { Redis } from '@dicom-dispatch/runtime';
import { openArriving } from './enqueue-arriving.ts';
import type { StudyEnqueuer } from './enqueue-study.ts';
import { readForRouting, type SnapshotForRouting } from './read-for-routing.ts';
import { markPulled } from './pulled-mark.ts';
import { currentEpoch } from './route-again.ts';

export interface SendPriorContext {
  readonly config: Config;
  readonly redis: Redis;
  readonly records: Records;
  readonly enqueuer: StudyEnqueuer;
}

/** Result for an earlier study that was to be sent along. */
export type SentPrior =
  | { readonly kind: 'delivery'; readonly delivery: DeliveryData; readonly isNew: boolean }
  | { readonly kind: 'omitted'; readonly why: string };

/**
 * Sends an earlier study along with another one: to the same target, in the same form, with the same priority and schedule.
 * The rules for it are not evaluated, and still apply later. Repeating it changes nothing: the same content is the same
 * delivery, which may have ended long ago.
 *
 * @param along - the delivery with which it is sent
 * @throws DispatchError `source-gone`, `source-unreachable` …
 */
export async function sendPrior(
  { config, redis, records, enqueuer }: SendPriorContext,
  orthancStudyId: string,
  along: DeliveryData,
  orthanc: OrthancClient,
): Promise<SentPrior> {
  const { source, target, transform } = along;
  if (transform && !config.transforms[transform.name]) {
    return { kind: 'omitted', why: `the transform ${transform.name} is no longer in the configuration` };
  }
  const coming = (await openArriving(records, { source, orthancStudyId })).find(
    (one) => one.target === target && one.transform?.name === transform?.name,
  );
  if (coming) return { kind: 'delivery', delivery: coming, isNew: false };
  const snapshot = await readForRouting(orthanc, config, [], { source, orthancStudyId });
  const { deliveries, added, omitted } = await enqueuer.enqueue({
    ...(await asKnown({ config, redis, records }, source, snapshot)),
    deliveries: [
      {
        to: target,
        rules: along.rules,
        priority: along.priority,
        ...(transform && { transform: transform.name }),
        ...(along.selections && { selections: along.selections }),
        ...(along.schedules && { schedules: along.schedules }),
        hold: false,
        late: 'difference',
      },
    ],
    senders: snapshot.senders,
    instanceTags: snapshot.instanceTags,
  });
  const [delivery] = deliveries;
  if (!delivery) return { kind: 'omitted', why: omitted[0]?.why ?? 'no instance of it is selected' };
  const isNew = added.some(({ deliveryId }) => deliveryId === delivery.deliveryId);
  if (isNew) {
    const text = `sent as an earlier study of the patient of study ${along.studyInstanceUid}`;
    await records.update(delivery.deliveryId, {}, { kind: 'noticed', text });
  }
  return { kind: 'delivery', delivery, isNew };
}

/**
 * Records that the whole content of a study in a source was pulled: the rules do not route it. Does nothing if the source has
 * more instances.
 *
 * @param pulled - SOP Instance UIDs of pulled instances
 */
export async function notePulled(
  context: SendPriorContext,
  study: { readonly source: string; readonly orthancStudyId: string },
  pulled: ReadonlySet<string>,
  orthanc: OrthancClient,
): Promise<void> {
  const snapshot = await readForRouting(orthanc, context.config, [], study);
  if (!snapshot.manifest.every(({ sopInstanceUid }) => pulled.has(sopInstanceUid))) return;
  await markPulled(orthanc, study.orthancStudyId, snapshot.manifest);
  const known = await asKnown(context, study.source, snapshot);
  await context.enqueuer.enqueue({ ...known, deliveries: [], isPulled: true });
}

/** The stored result of the rules, and their next result, are not affected. */
async function asKnown(
  { config, redis, records }: Omit<SendPriorContext, 'enqueuer'>,
  source: string,
  { study, manifest }: SnapshotForRouting,
) {
  const known = await records.study({ source, orthancStudyId: study.orthancStudyId });
  const epoch = known?.epoch ?? (await currentEpoch(redis, config.redis.prefix, source));
  return { source, epoch, study, manifest, rules: [], byHand: true } as const;
}
