import type { DispatchError } from '@dicom-dispatch/core';
import type { DeliveryRun, ManifestInstance } from '@dicom-dispatch/target-kit';
import { AbsentBefore } from './absent-before.ts';
import { presenceUnknown, notListedYet, unmentioned, unmentionedUnknown } from './errors.ts';
import type { DicomwebTarget } from './schema.ts';
import type { SendTally } from './send-tally.ts';
import type { StudySearch } from './study-search.ts';

/** Stored with the delivery: instances that the target lacked before the delivery sent them. */
const absentKey = 'dicomweb-absent';

/** Instances that an earlier attempt found missing at the target; undefined if no attempt has stored any. */
export async function absentBefore({ state }: DeliveryRun<DicomwebTarget>): Promise<AbsentBefore | undefined> {
  const kept = await state.get<string>(absentKey);
  return kept === undefined ? undefined : AbsentBefore.of(kept);
}

/**
 * The instances to send. An earlier attempt may have left requests without a response, also after a crash: an instance that is listed
 * now, but was not listed before it was sent in this version, has arrived, and is reported.
 */
export async function withoutArrived(
  run: DeliveryRun<DicomwebTarget>,
  search: StudySearch,
): Promise<readonly ManifestInstance[]> {
  const listed = await search.lookBeforeSending();
  // A part contains only some instances of the study, and leaves no unknown results for the next attempt.
  if (run.isPart) return run.pending;
  // If a search cannot prove anything, nothing has to be stored.
  if (search.absentBefore !== '') await run.state.set(absentKey, search.absentBefore);
  const there = new Set(listed.filter((one) => search.isOurs(one)));
  for (const instance of there) await run.report(instance, { kind: 'delivered', answer: 'listed by a search' });
  return run.pending.filter((one) => !there.has(one));
}

/**
 * Determines the result of instances without a conclusive response, and reports those that have arrived.
 *
 * @throws {DispatchError} the error of the attempt
 */
export async function settleUnknown(
  run: DeliveryRun<DicomwebTarget>,
  search: StudySearch,
  tally: SendTally,
): Promise<void> {
  const { spoken = [], silent = [] } = Object.groupBy(tally.unknown, ({ why }) =>
    why === 'unmentioned' ? 'spoken' : 'silent',
  );
  await settleUnmentioned(
    run,
    search,
    tally,
    spoken.map(({ instance }) => instance),
  );
  if (silent.length === 0) return;
  if (!tally.putOff) run.stage('verify');
  const presence = await search.presenceAfterWait(silent.map(({ instance }) => instance));
  if (!presence) throw presenceUnknown(silent.length);
  const there = new Set(presence.there);
  for (const { instance, warning } of silent) {
    if (!there.has(instance)) continue;
    const doubt = search.isOurs(instance) ? undefined : 'listed by the target, which already had it';
    const note = warning ?? doubt;
    await run.report(instance, {
      kind: 'delivered',
      answer: note ?? 'listed by a search',
      ...(note !== undefined && { warning: note }),
      ...(doubt !== undefined && { isExisting: true }),
    });
  }
  if (presence.missing.length > 0) throw notListedYet(presence.missing.length);
}

/** For instances that the response does not list, although it lists others: a search shows whether they were stored. */
async function settleUnmentioned(
  run: DeliveryRun<DicomwebTarget>,
  search: StudySearch,
  tally: SendTally,
  instances: readonly ManifestInstance[],
): Promise<void> {
  if (instances.length === 0) return;
  const presence = await search.presenceNow(instances);
  const there = new Set(presence?.there.filter((one) => search.isOurs(one)));
  const why: () => DispatchError = presence ? unmentioned : unmentionedUnknown;
  for (const instance of instances) {
    if (there.has(instance)) await run.report(instance, { kind: 'delivered', answer: 'listed by a search' });
    else await tally.failed(instance, why());
  }
}
