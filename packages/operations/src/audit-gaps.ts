import type { TargetAudit } from '@dicom-dispatch/state/target-audits';

/** What an audit could not determine, one sentence each; none if it has compared all confirmed instances. */
export function auditGaps({ state, scope, counts, reason, uncomparedWhy = {} }: Omit<TargetAudit, 'open'>): string[] {
  const { study, since, sample } = scope;
  const gaps: string[] = [];
  if (state === 'running') gaps.push('The audit is in progress.');
  if (state === 'stopped') gaps.push('The audit was stopped before it was complete.');
  if (state === 'failed') gaps.push(`The audit failed${reason === undefined ? '' : `: ${reason}`}.`);
  if (study !== undefined) gaps.push(`Only the study ${study} was compared.`);
  if (since !== undefined) {
    gaps.push(`Only deliveries that changed since ${new Date(since).toISOString().slice(0, 16)}Z were compared.`);
  }
  if (sample < 1) gaps.push(`Only ${Number((sample * 100).toFixed(1))} % of the studies were compared.`);
  if (counts.unread > 0) {
    gaps.push(
      `Not known: ${counts.unread} of ${counts.instances} instances. Their study could not be read, or the target does not report them.`,
    );
  }
  if (counts.uncompared > 0) {
    const why = Object.entries(uncomparedWhy).map(([reason, some]) => `${some}: ${reason}`);
    gaps.push(
      `Present only, content not compared: ${counts.uncompared} of ${counts.instances} instances${why.length > 0 ? ` (${why.join('; ')})` : ''}.`,
    );
  }
  return gaps;
}

/** Whether an audit was incomplete. */
export function isAuditIncomplete({ state, counts }: Pick<TargetAudit, 'state' | 'counts'>): boolean {
  return state === 'stopped' || state === 'failed' || counts.unread > 0 || counts.uncompared > 0;
}
