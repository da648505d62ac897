import { forgetStudy as forgetRecords, type ForgetTerms, type Forgotten } from '@dicom-dispatch/state/records';
import { sourceOfTarget } from '@dicom-dispatch/core';
import type { PipelineContext } from './context.ts';
import { forgetJobs } from './queues/forget-jobs.ts';

/**
 * Forgets one study, when nothing about it is open. The caller has made sure that the source no longer has it
 * (docs/decisions/0010-what-may-be-forgotten.md).
 *
 * @throws DispatchError `ledger-unavailable`
 */
export function forgetStudy(
  { config, redis, keys }: Pick<PipelineContext, 'config' | 'redis' | 'keys'>,
  study: { readonly source: string; readonly orthancStudyId: string },
  terms: Pick<ForgetTerms, 'before' | 'withFailed' | 'dryRun' | 'fence'>,
): Promise<Forgotten> {
  const { sources, targets, redis: setting } = config();
  const { source, orthancStudyId } = study;
  return forgetRecords(redis, setting.prefix, study, {
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
  });
}
