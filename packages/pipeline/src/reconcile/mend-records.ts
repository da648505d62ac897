import { deliveryData, deliveryId, DispatchError, type DeliveryData } from '@dicom-dispatch/core';
import { routeAnew, routeSoon } from '@dicom-dispatch/state/feed';
import { redisKeys } from '@dicom-dispatch/state/keys';
import { deliveryStates, RecordMender, type StudyKey, type StudyRecord } from '@dicom-dispatch/state/records';
import { redisNow } from '@dicom-dispatch/state/redis';
import { jobPlaces } from '../queues/index.ts';
import { studyOf } from '../study-of.ts';
import { callDelivery } from '../wake-delivery.ts';
import type { Findings, Problem, ReconcileContext } from './reconcile-context.ts';

const lanes = 50;
/** After this time the router is requested to route again. */
const askedMs = 7 * 86_400_000;
/** A part of all in each pass, so that all are checked within an hour; at most 5,000 studies and 5,000 deliveries: 0.5 s of Redis. */
const passes = 60;
const atLeast = 500;
const atMost = 5_000;
/** Fields of the report with the position at which the next pass continues. */
const fields = { uids: 'uids-from', studies: 'studies-from', deliveries: 'deliveries-from' } as const;

/**
 * Checks a part of all studies and deliveries in each pass for missing keys: a single Redis key may have been removed or
 * lost. Records are restored from jobs, and lists and indexes from records. Deliveries that cannot be restored are routed
 * again to the targets that lack them.
 */
export async function mendRecords(context: ReconcileContext, findings: Findings): Promise<void> {
  const { redis, config } = context;
  const { prefix } = config().redis;
  const report = redisKeys(prefix).reconcileReport;
  const mender = new RecordMender(redis, prefix);
  const [uidsFrom, studiesFrom, deliveriesFrom] = await redis.hmget(
    report,
    fields.uids,
    fields.studies,
    fields.deliveries,
  );
  const count = await mender.count();
  const limit = partOf(count.studies);
  const { entered, next } = await mender.mendStudyIndex(Number(uidsFrom ?? 0), limit);
  if (entered > 0) findings.repaired('index-rebuilt');
  await redis.hset(report, fields.uids, next);
  const studies = await mendStudies(context, findings, mender, { from: Number(studiesFrom ?? 0), limit });
  await redis.hset(report, fields.studies, studies);
  const deliveries = await mendDeliveries(context, findings, mender, {
    from: deliveriesFrom ?? '',
    limit: partOf(count.deliveries),
  });
  await redis.hset(report, fields.deliveries, deliveries);
}

function partOf(all: number): number {
  return Math.min(atMost, Math.max(atLeast, Math.ceil(all / passes)));
}

/** An entry that cannot be read does not stop the others. */
async function alone(findings: Findings, subject: string, act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    findings.problem(unreadable(subject, error));
  }
}

/** A finding about records that cannot be read. */
export function unreadable(subject: string, error: unknown): Problem {
  const text = error instanceof DispatchError ? `${error.message}. ${error.remedy}` : String(error);
  return { kind: 'failed', subject, text: `Its records could not be read: ${text}` };
}

/** @returns where the next pass continues */
async function mendStudies(
  context: ReconcileContext,
  findings: Findings,
  mender: RecordMender,
  { from, limit }: { readonly from: number; readonly limit: number },
): Promise<number> {
  const keys = await mender.studies(from, limit);
  const queue = keys.values();
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      for (const key of queue) {
        await alone(findings, `${key.source} ${key.orthancStudyId}`, () => mendStudy(context, findings, mender, key));
      }
    }),
  );
  return keys.length < limit ? 0 : from + keys.length;
}

async function mendStudy(
  context: ReconcileContext,
  findings: Findings,
  mender: RecordMender,
  key: StudyKey,
): Promise<void> {
  const { records, redis, config, log } = context;
  const found = await mender.mendStudy(key);
  const { study } = found;
  const isShort = study !== undefined && found.listed < study.targets.length;
  const unlisted = isShort ? await expected(context, findings, mender, study) : [];
  const lost = [...new Set([...found.lost, ...unlisted])];
  if (found.missed > 0) findings.repaired('entry-restored');
  const restored = await restoreRecords(context, findings, lost);
  const missing = lost.filter((id) => !restored.has(id));
  const ended = await mender.endedUnsent(missing);
  const gone = missing.filter((id) => !ended.has(id));
  // A missing list of deliveries is restored from their records.
  if (study && gone.length === 0) return answered(context, key);
  const known = await records.deliveriesOf(key);
  if (study === undefined) {
    // The lost record of the study named all its targets. The rules decide now: the list of its deliveries may have been lost
    // as well, and restored with the known deliveries only. Known data of deliveries are preserved.
    if (await ask(context, findings, key, gone, () => routeAnew(redis, config().redis.prefix, key))) return;
    if (gone.length > 0) return;
    const [newest] = known;
    if (!newest) {
      // Only its entry in the index was known.
      await mender.leaveIndex(key);
      return answered(context, key);
    }
    // The router does not find the study.
    await records.routed(studyOf(newest, [...new Set(known.map(({ target }) => target))]), [], { keepsStudy: true });
    findings.repaired('record-restored');
    log.error({ ...key }, 'the record of a study was missing in Redis, and was made again from its deliveries');
    return;
  }
  // An id is a hash: the target is found in the indexes, because a transform or a repeated request changes the id.
  const unsent = await mender.targetsOf([...ended], study.targets);
  const unknown = await mender.targetsOf(gone, study.targets);
  const has = (target: string): boolean =>
    known.some((one) => one.target === target && one.contentHash === study.contentHash) ||
    (unsent.has(target) && !unknown.has(target));
  const only = study.targets.filter((target) => !has(target));
  if (only.length > 0) {
    await ask(context, findings, key, gone, () => routeSoon(redis, config().redis.prefix, study, only));
    return;
  }
  for (const id of gone) await mender.drop(key, id);
  log.error(
    { ...key, deliveries: gone },
    'records of former deliveries were missing in Redis: nothing is known of them',
  );
  await answered(context, key);
}

/**
 * The list of deliveries of a sent study is lost: deliveries whose ids follow from the study are added again.
 *
 * @returns ids of those without a record
 */
async function expected(
  { records }: ReconcileContext,
  findings: Findings,
  mender: RecordMender,
  study: StudyRecord,
): Promise<readonly string[]> {
  const { source, orthancStudyId, contentHash } = study;
  const ids = study.targets.map((target) => deliveryId({ source, orthancStudyId, contentHash, target }));
  const { missed } = await mender.mendDeliveries('open', ids);
  if (missed > 0) findings.repaired('entry-restored');
  const known = new Set((await records.deliveriesOf(study)).map(({ target }) => target));
  return ids.filter((_, at) => !known.has(study.targets[at] ?? ''));
}

/**
 * Makes the router route a study again, once, for deliveries that cannot be restored otherwise. If it has done so, and they
 * are still missing, an operator is needed.
 *
 * @returns false if the router has done so
 */
async function ask(
  { redis, config, log }: ReconcileContext,
  findings: Findings,
  { source, orthancStudyId }: StudyKey,
  gone: readonly string[],
  route: () => Promise<void>,
): Promise<boolean> {
  const { reconcileAsked, waits } = redisKeys(config().redis.prefix);
  const member = `${source} ${orthancStudyId}`;
  const question = gone.toSorted().join(' ');
  if ((await redis.hget(reconcileAsked, member)) !== question) {
    await route();
    await redis.multi().hset(reconcileAsked, member, question).pexpire(reconcileAsked, askedMs).exec();
    findings.repaired('routed-again');
    log.error(
      { source, orthancStudy: orthancStudyId, deliveries: gone },
      'records of deliveries were missing in Redis: the study is routed again',
    );
    return true;
  }
  if ((await redis.zscore(waits(source), orthancStudyId)) !== null) return true;
  if (gone.length === 0) return false;
  findings.problem({
    kind: 'not-routed',
    subject: member,
    text: `Records of deliveries of the study ${orthancStudyId} of ${source} were missing in Redis (${gone[0]}${gone.length > 1 ? ' and others' : ''}), and the router did not make them again: if the source still has it, send it to its targets by hand.`,
  });
  return false;
}

async function answered({ redis, config }: ReconcileContext, { source, orthancStudyId }: StudyKey): Promise<void> {
  await redis.hdel(redisKeys(config().redis.prefix).reconcileAsked, `${source} ${orthancStudyId}`);
}

/** @returns where the next pass continues: a state, and the number of checked entries */
async function mendDeliveries(
  context: ReconcileContext,
  findings: Findings,
  mender: RecordMender,
  { from, limit }: { readonly from: string; readonly limit: number },
): Promise<string> {
  const [state = '', rank = '0'] = from.split(' ');
  let left = limit;
  let skip = Number(rank);
  for (const one of deliveryStates.slice(Math.max(0, deliveryStates.indexOf(state as never)))) {
    const ids = await mender.deliveries(one, skip, left);
    const mend = async (some: readonly string[]): Promise<void> => {
      const { missed, lost, damaged } = await mender.mendDeliveries(`state:${one}`, some);
      if (missed > 0) findings.repaired('entry-restored');
      for (const [id, error] of damaged) findings.problem(unreadable(id, error));
      // Deliveries without a job are found through the lists of their studies.
      await restoreRecords(context, findings, lost);
    };
    try {
      await mend(ids);
    } catch {
      for (const id of ids) await alone(findings, id, () => mend([id]));
    }
    left -= ids.length;
    if (left <= 0) return `${one} ${skip + ids.length}`;
    skip = 0;
  }
  return '';
}

/**
 * Restores records of deliveries from their jobs. Ended deliveries stay ended; the others start again, and send instances
 * that their targets have not confirmed.
 *
 * @returns ids of those whose job is in a queue
 */
export async function restoreRecords(
  context: ReconcileContext,
  findings: Findings,
  ids: readonly string[],
): Promise<ReadonlySet<string>> {
  const { redis, config, queues } = context;
  const restored = new Set<string>();
  if (ids.length === 0) return restored;
  const named = await redis.smembers(redisKeys(config().redis.prefix).targets);
  for (const target of new Set([...Object.keys(config().targets), ...named])) {
    const queue = queues.target(target);
    const places = await jobPlaces(redis, queue, ids);
    for (const [index, id] of ids.entries()) {
      if (places[index]?.state === 'missing') continue;
      const parsed = deliveryData.safeParse((await queue.getJob(id))?.data);
      if (!parsed.success) continue;
      await restoreRecord(context, findings, parsed.data);
      restored.add(id);
    }
  }
  return restored;
}

async function restoreRecord(context: ReconcileContext, findings: Findings, data: DeliveryData): Promise<void> {
  const { redis, config, records, log } = context;
  const { deliveryId: id, target } = data;
  const ended = await new RecordMender(redis, config().redis.prefix).restoreEnded(data);
  if (ended) {
    findings.repaired('record-restored');
    log.error(
      { delivery: id, target, state: ended },
      'the record of a delivery that had ended was missing in Redis, and was made again from its job',
    );
    return;
  }
  if ((await records.restored(studyOf(data, [target]), data)) === 0) return;
  const text = 'its record was missing in Redis, and was made again from its job';
  await records.update(id, {}, { kind: 'noticed', text });
  const record = await records.delivery(id);
  if (record)
    await callDelivery({ ...context, config: config() }, record, await redisNow(redis, config().redis.prefix));
  findings.repaired('record-restored');
  log.error({ delivery: id, target }, 'the record of a delivery was missing in Redis, and was made again from its job');
}
