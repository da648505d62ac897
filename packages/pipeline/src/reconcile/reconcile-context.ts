import type { Config } from '@dicom-dispatch/core';
import type { Redis, Logger } from '@dicom-dispatch/runtime';
import type { Records } from '@dicom-dispatch/state/records';
import type { TaskRecords } from '@dicom-dispatch/state/tasks';
import type { OpenQueues } from '../queues/index.ts';

export interface ReconcileContext {
  readonly config: () => Config;
  readonly redis: Redis;
  readonly records: Records;
  readonly tasks: TaskRecords;
  readonly queues: OpenQueues;
  readonly log: Logger;
}

/**
 * Repairs:
 *
 * - `job-added`: an open delivery had no job
 * - `job-revived`: the job of an open delivery had ended, or no list contained it
 * - `job-advanced`: the job of a delivery would have run too late
 * - `dispatcher-gone`: an attempt was running, and its dispatcher is gone
 * - `cancel-finished`: an operator had cancelled a delivery, but its record was not cancelled
 * - `index-rebuilt`: the index of open deliveries, or that of studies, was incomplete
 * - `record-restored`: the record of a study or of a delivery was missing
 * - `entry-restored`: the list of a study's deliveries, the set of held deliveries or an index was incomplete
 * - `routed-again`: the record of a delivery was missing and could not be restored: its study is routed to its target again
 * - `task-added`, `task-released`, `task-revived`: a study task whose deliveries have all succeeded would never have run
 * - `clock-set-back`: the clock of Redis was set back, and postponed work would have waited for the same time
 * - `limits-rewritten`: the queue of a target had lost its limits
 * - `pause-restored`: a target that an operator had paused was no longer paused
 * - `limit-restored`: a lower limit that a receiver required a day ago has been removed, to try more again
 */
export const repairKinds = [
  'job-added',
  'job-revived',
  'job-advanced',
  'dispatcher-gone',
  'cancel-finished',
  'index-rebuilt',
  'record-restored',
  'entry-restored',
  'routed-again',
  'task-added',
  'task-released',
  'task-revived',
  'clock-set-back',
  'limit-restored',
  'limits-rewritten',
  'pause-restored',
] as const;
export type RepairKind = (typeof repairKinds)[number];

/**
 * Problems that need an operator:
 *
 * - `target-unknown`: deliveries wait for a target that is not in the configuration
 * - `task-unknown`: a study task waits whose deliveries are unknown
 * - `after-success`: actions in the source after success have been tried and have not succeeded yet
 * - `not-routed`: records of deliveries are lost, and the router did not create them again
 * - `failed`: a check failed
 */
export type ProblemKind = 'target-unknown' | 'not-routed' | 'task-unknown' | 'after-success' | 'failed';

export interface Problem {
  readonly kind: ProblemKind;
  /** Id of a delivery or study task, name of a target. */
  readonly subject: string;
  /** One sentence for an operator, without patient data. */
  readonly text: string;
}

/** What one pass found. */
export class Findings {
  readonly repairs = new Map<RepairKind, number>();
  readonly problems = new Map<string, Problem>();
  checked = 0;

  repaired(kind: RepairKind): void {
    this.repairs.set(kind, (this.repairs.get(kind) ?? 0) + 1);
  }

  problem(problem: Problem): void {
    const key = `${problem.kind} ${problem.subject}`;
    if (this.problems.size < maxProblems) this.problems.set(key, problem);
  }
}

const maxProblems = 100;
