import type { PipelineContext } from '@dicom-dispatch/pipeline';
import { TargetAudits } from '@dicom-dispatch/state/target-audits';
import { count, finding, type HealthFinding } from './finding.ts';

/** Findings of audits whose instances were not sent again yet, and audits that fail repeatedly. */
export async function lookAtAudits({ redis, config }: PipelineContext): Promise<HealthFinding[]> {
  const audits = await new TargetAudits(redis, config().redis.prefix).all();
  return [...audits].flatMap(([name, { open, startedAt, state, reason = '' }]) => {
    const { studies, missing, different } = open;
    const target = config().targets[name];
    if (!target) return [];
    const findings: HealthFinding[] = [];
    // The reason of a failure begins with an error code; that of an audit that waits for its schedule does not.
    if (state === 'running' && target.enabled && /^[a-z-]+: /.test(reason)) {
      const words = `the audit of ${name} cannot continue: ${reason}`;
      findings.push(finding('audit-waits', { subject: name, words }));
    }
    if (missing + different > 0) {
      const words = `of what ${name} has confirmed, ${count(missing, 'instance is', 'instances are')} missing and ${count(different, 'is', 'are')} different, in ${count(studies, 'study', 'studies')}`;
      findings.push(finding('target-lacks', { subject: name, since: startedAt, words }));
    }
    return findings;
  });
}
