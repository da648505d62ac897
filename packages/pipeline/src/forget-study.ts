import {
  forgetStudy as forgetRecords,
  RecordMender,
  type ForgetTerms,
  type Forgotten,
} from '@dicom-dispatch/state/records';
import { ledgerKeyOf, sourceOfTarget } from '@dicom-dispatch/core';
import type { PipelineContext } from './context.ts';
import { forgetJobs } from './queues/forget-jobs.ts';

type Context = Pick<PipelineContext, 'config' | 'redis' | 'keys' | 'records' | 'ledger' | 'sharedUids'>;

/** Deliveries in one call: some milliseconds for Redis. */
const atOnce = 200;

interface Study {
  readonly source: string;
  readonly orthancStudyId: string;
}

/**
 * Removes all data of a study if nothing about it is open. The caller has verified that the source no longer has it
 * (docs/decisions/0010-what-may-be-forgotten.md). A check (`dryRun`) writes nothing, and does not find deliveries whose list
 * was lost.
 *
 * @throws DispatchError `ledger-unavailable`
 */
export async function forgetStudy(
  context: Context,
  study: Study,
  {
    searched = new Set(),
    ...terms
  }: Pick<ForgetTerms, 'before' | 'withFailed' | 'dryRun' | 'fence'> & {
    /** Sources whose deliveries this pass has searched: once is enough. */
    readonly searched?: Set<string>;
  },
): Promise<Forgotten> {
  const { redis, keys } = context;
  const { sources, targets, redis: redisConfig } = context.config();
  const { source, orthancStudyId } = study;
  const all: ForgetTerms = {
    ...terms,
    jobs: forgetJobs,
    sourceOfTarget: Object.fromEntries(
      Object.entries(targets).flatMap(([name, target]) => {
        const other = sourceOfTarget(target, sources);
        return other === undefined ? [] : [[name, other]];
      }),
    ),
    keys: {
      choices: keys.choices(source, orthancStudyId),
      held: keys.held,
      waits: keys.waits(source),
      left: keys.left(source),
    },
  };
  if (!terms.dryRun) await findDeliveries(context, study, searched);
  const foreseen = await forgetRecords(redis, redisConfig.prefix, study, { ...all, dryRun: terms.dryRun || true });
  if (terms.dryRun || !isGone(foreseen)) return foreseen;
  // If interrupted after this, the removal is repeated. In the reverse order the remaining keys could no longer be found.
  const uids = await confirmedUids(context, study);
  await context.sharedUids.remove(study, uids);
  const forgotten = await forgetRecords(redis, redisConfig.prefix, study, all);
  if (!isGone(forgotten)) await context.sharedUids.add(study, uids);
  return forgotten;
}

/**
 * The list of a study's deliveries may have been lost alone: they would stay permanently, and an open one would continue. All
 * deliveries of the source are entered in their lists again.
 */
async function findDeliveries(
  { redis, keys, records, config }: Context,
  study: Study,
  searched: Set<string>,
): Promise<void> {
  const { source, orthancStudyId } = study;
  if (searched.has(source)) return;
  const known = await records.study(study);
  if (known?.targets.length === 0 || (await redis.exists(keys.studyDeliveries(source, orthancStudyId))) === 1) return;
  const mender = new RecordMender(redis, config().redis.prefix);
  const index = `source:${study.source}`;
  for await (const ids of records.deliveryIds({ source: study.source })) {
    for (let from = 0; from < ids.length; from += atOnce) {
      await mender.mendDeliveries(index, ids.slice(from, from + atOnce));
    }
  }
  searched.add(study.source);
}

function isGone({ answer }: Forgotten): boolean {
  return answer === 'forgotten' || answer === 'unknown';
}

/** SOP Instance UIDs in all ledgers of the study. */
async function confirmedUids({ records, ledger }: Context, study: Study): Promise<Set<string>> {
  const deliveries = await records.deliveriesOf(study);
  const keys = new Map(deliveries.map((one) => [ledgerKeyOf(one).target, ledgerKeyOf(one)]));
  const lists = await Promise.all(Array.from(keys.values(), (key) => ledger.entries(key)));
  return new Set(lists.flatMap((entries) => Array.from(entries.keys(), (name) => name.split('@')[0] ?? '')));
}
