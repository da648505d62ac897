import type { PipelineContext } from '@dicom-dispatch/pipeline';
import { TargetAudits } from '@dicom-dispatch/state/target-audits';
import { count, finding, type HealthFinding } from './finding.ts';

/** Findings of audits whose instances were not sent again yet. */
export async function lookAtAudits({ redis, config }: PipelineContext): Promise<HealthFinding[]> {
  const audits = await new TargetAudits(redis, config().redis.prefix).all();
  return [...audits].flatMap(([name, { open, startedAt }]) => {
    const { studies, missing, different } = open;
    if (missing + different === 0 || !config().targets[name]) return [];
    const words = `of what ${name} has confirmed, ${count(missing, 'instance is', 'instances are')} missing and ${count(different, 'is', 'are')} different, in ${count(studies, 'study', 'studies')}`;
    return [finding('target-lacks', { subject: name, since: startedAt, words })];
  });
}
