import { errorCodes, formatDuration } from '@dicom-dispatch/core';
import type { PipelineContext } from '@dicom-dispatch/pipeline';
import { oldestBacklog } from '../oldest-backlog.ts';
import { readPause } from '../change-target.ts';
import type { TargetState } from '../read-target.ts';
import { count, finding, type HealthFinding } from './finding.ts';

/** How long a delivery may wait although it could be sent. */
export const oldBacklogMs = 3_600_000;

/** Whether a target can be used, and whether its waiting deliveries continue. */
export async function lookAtTarget(
  context: PipelineContext,
  target: TargetState,
  now: number,
): Promise<HealthFinding[]> {
  const { name, circuit, moved, orphaned, enabled, counts, place } = target;
  const waiting = counts.waiting + counts.active;
  if (orphaned) {
    const words = `the target ${name} was removed from the configuration, and ${count(waiting, 'delivery waits', 'deliveries wait')} for it`;
    return [finding('target-orphaned', { subject: name, words })];
  }
  if (!enabled) {
    if (waiting === 0) return [];
    const words = `${count(waiting, 'delivery waits', 'deliveries wait')} for ${name}, which is disabled in the configuration`;
    return [finding('target-off', { subject: name, words })];
  }
  const findings: HealthFinding[] = [];
  if (moved) {
    const words = `the target ${name} was ${moved.was} and is now ${place ?? 'elsewhere'}: its deliveries wait for a decision`;
    findings.push(finding('target-moved', { subject: name, words }));
  }
  if (circuit.state !== 'closed') {
    const { error } = circuit;
    const isHalted = error !== undefined && errorCodes[error.code]?.disposition === 'halt';
    findings.push(
      finding(isHalted ? 'target-halted' : 'target-out-of-reach', {
        subject: name,
        since: circuit.openedAt,
        words: `the target ${name} ${isHalted ? 'is halted' : 'cannot be used'}: ${error?.message ?? 'no reason is known'}`,
        remedy: error?.remedy,
      }),
    );
  }
  if (target.paused) {
    const pause = await readPause(context, name);
    const words = `the target ${name} is paused${pause ? ` by ${pause.by}` : ''}${waiting > 0 ? `, and ${count(waiting, 'delivery waits', 'deliveries wait')}` : ''}`;
    findings.push(finding('target-paused', { subject: name, since: pause?.at, words }));
  }
  // A problem of the target as a whole is reported already.
  if (findings.length === 0) {
    const since = await oldestBacklog(context, name, now - oldBacklogMs);
    if (since !== undefined) {
      const words = `deliveries to ${name} have waited for up to ${formatDuration(now - since)}`;
      findings.push(finding('backlog-old', { subject: name, since, words }));
    }
  }
  return findings;
}
