import type { Stage } from '../model/stage.ts';

/** Whose fault an error is: what an operator has to look at. */
export type Fault = 'source' | 'target' | 'instance' | 'configuration' | 'operator' | 'internal';

/**
 * What follows from an error.
 *
 * - `retry`: tried again after the back-off; consumes an attempt when it reached the target and nothing was confirmed
 * - `wait`: the target as a whole cannot be used: its circuit opens, and no attempt is consumed
 * - `halt`: as `wait`, but only a change of configuration helps: alerts say so
 * - `permanent`: no further attempt is scheduled
 *
 * `afterFailure` in `retry/` has the whole rule.
 */
export type Disposition = 'retry' | 'wait' | 'halt' | 'permanent';

export interface ErrorClass {
  readonly stage: Stage;
  readonly disposition: Disposition;
  readonly fault: Fault;
  /** What an operator can do, in one sentence. */
  readonly remedy: string;
}

/**
 * The closed taxonomy of everything that can go wrong with a delivery. Foreign errors (DIMSE status, HTTP, SDK, ssh,
 * node) are translated into these codes in one place per handler; whether an error is retried is read from this table
 * and decided nowhere else. `stage` is where the code usually arises; the delivery's own stage takes its place.
 */
export const errorCodes = {
  'config-invalid': {
    stage: 'resolve',
    disposition: 'halt',
    fault: 'configuration',
    remedy: 'Correct the configuration of the target and reload.',
  },
  'handler-missing': {
    stage: 'resolve',
    disposition: 'halt',
    fault: 'configuration',
    remedy: 'Configure the target again, or remove its deliveries.',
  },
  'source-unreachable': {
    stage: 'manifest',
    disposition: 'retry',
    fault: 'source',
    remedy: 'Check that the source Orthanc is running and reachable.',
  },
  'source-unauthorized': {
    stage: 'manifest',
    disposition: 'retry',
    fault: 'configuration',
    remedy: 'Check the user name and password of the source.',
  },
  'source-gone': {
    stage: 'manifest',
    disposition: 'permanent',
    fault: 'source',
    remedy: 'The study is no longer in the source: send it to the source again if it is still wanted.',
  },
  'source-error': {
    stage: 'transfer',
    disposition: 'retry',
    fault: 'source',
    remedy: 'Look at the log of the source Orthanc.',
  },
  'source-instance-gone': {
    stage: 'transfer',
    disposition: 'permanent',
    fault: 'source',
    remedy: 'The instance is no longer in the source: send it to the source again if it is still wanted.',
  },
  'source-instance-failed': {
    stage: 'transfer',
    disposition: 'retry',
    fault: 'source',
    remedy:
      'The source answers, but not for this instance: look at its log, and whether the file is in its storage. Send the instance to it again if the file is lost.',
  },
  'source-bytes-wrong': {
    stage: 'transfer',
    disposition: 'retry',
    fault: 'source',
    remedy:
      'The source gave other bytes than it lists: check its storage (POST /instances/{id}/attachments/dicom/verify-md5) and what stands in front of it, e.g. a cache.',
  },
  'instance-not-dicom': {
    stage: 'transfer',
    disposition: 'permanent',
    fault: 'instance',
    remedy: 'The stored file is no DICOM Part 10 file: repair or delete it in the source.',
  },
  'instance-too-large': {
    stage: 'transfer',
    disposition: 'permanent',
    fault: 'instance',
    remedy: 'Raise the limit of the target, or exclude such instances by a filter.',
  },
  'instance-refused': {
    stage: 'transfer',
    disposition: 'permanent',
    fault: 'instance',
    remedy: 'The target will not take this instance: look at its log, correct the instance, then retry it.',
  },
  'instance-unsupported': {
    stage: 'transfer',
    disposition: 'permanent',
    fault: 'instance',
    remedy: 'Allow the SOP class and transfer syntax at the target, or configure transcoding.',
  },
  'transform-incomplete': {
    stage: 'transfer',
    disposition: 'permanent',
    fault: 'instance',
    remedy: 'What came out of the transform is not what it promises: change the transform, or exclude such instances.',
  },
  'instance-failed': {
    stage: 'transfer',
    disposition: 'retry',
    fault: 'target',
    remedy: 'The target could not store the instance now; it is sent again.',
  },
  'target-unreachable': {
    stage: 'connect',
    disposition: 'wait',
    fault: 'target',
    remedy: 'Check that the target is running, its address and port, and the network between.',
  },
  'target-timeout': {
    stage: 'transfer',
    disposition: 'wait',
    fault: 'target',
    remedy: 'The target does not answer: check it and the network between, or raise its time-outs.',
  },
  'target-connection-lost': {
    stage: 'transfer',
    disposition: 'retry',
    fault: 'target',
    remedy: 'The target closed the connection: look at its log. What is missing is sent again.',
  },
  'target-busy': {
    stage: 'connect',
    disposition: 'retry',
    fault: 'target',
    remedy: 'The target is overloaded and said so; it is tried again later.',
  },
  'target-full': {
    stage: 'transfer',
    disposition: 'retry',
    fault: 'target',
    remedy: 'Free space at the target, or raise its quota.',
  },
  'target-tls': {
    stage: 'connect',
    disposition: 'halt',
    fault: 'configuration',
    remedy: 'Check the certificates: the authority, the name, the dates, and the client certificate.',
  },
  'target-host-key': {
    stage: 'connect',
    disposition: 'halt',
    fault: 'configuration',
    remedy: 'The host key is not the pinned one: find out why before you pin the new one.',
  },
  'target-unauthorized': {
    stage: 'connect',
    disposition: 'halt',
    fault: 'configuration',
    remedy: 'Check the credentials of the target and what they permit.',
  },
  'target-rejected': {
    stage: 'connect',
    disposition: 'halt',
    fault: 'configuration',
    remedy: 'The target does not accept us: check both AE titles and that the target knows ours.',
  },
  'target-misconfigured': {
    stage: 'transfer',
    disposition: 'halt',
    fault: 'configuration',
    remedy: 'The target cannot be used as configured: check its path, bucket, permissions and options.',
  },
  'target-error': {
    stage: 'transfer',
    disposition: 'retry',
    fault: 'target',
    remedy: 'The target failed: look at its log.',
  },
  'study-refused': {
    stage: 'transfer',
    disposition: 'retry',
    fault: 'instance',
    remedy:
      'The target takes other studies, not this one: look at its log for the reason, correct the study or what the target permits, then retry the delivery.',
  },
  'target-conflict': {
    stage: 'transfer',
    disposition: 'permanent',
    fault: 'instance',
    remedy:
      'Something else has the place of the instance at the target. Find out which of the two is right; then give each a path of its own, remove the other, or set onConflict to overwrite, and retry the delivery.',
  },
  'verify-missing': {
    stage: 'verify',
    disposition: 'retry',
    fault: 'target',
    remedy: 'The target confirmed instances that it does not have; they are sent again.',
  },
  'verify-pending': {
    stage: 'verify',
    disposition: 'retry',
    fault: 'target',
    remedy: 'The target has not yet said whether it keeps the instances; it is asked again.',
  },
  'finalize-failed': {
    stage: 'finalize',
    disposition: 'retry',
    fault: 'target',
    remedy: 'Everything arrived, the last step failed: look at the detail.',
  },
  'local-resources': {
    stage: 'transfer',
    disposition: 'retry',
    fault: 'internal',
    remedy:
      'The machine of the dispatcher has run out of something, neither source nor target is at fault: raise its limit of open files (ulimit -n, LimitNOFILE), or give it more memory or disk.',
  },
  'ledger-unavailable': {
    stage: 'transfer',
    disposition: 'retry',
    fault: 'internal',
    remedy: 'Redis did not take a confirmation: check Redis. Nothing is marked as delivered without it.',
  },
  'lock-lost': {
    stage: 'transfer',
    disposition: 'retry',
    fault: 'internal',
    remedy: 'Another worker has taken the delivery over; nothing to do.',
  },
  partial: {
    stage: 'transfer',
    disposition: 'permanent',
    fault: 'instance',
    remedy: 'Some instances are quarantined: look at their reasons, then retry the delivery.',
  },
  'all-quarantined': {
    stage: 'transfer',
    disposition: 'permanent',
    fault: 'instance',
    remedy: 'No instance was delivered: look at the reasons of the quarantined ones, then retry the delivery.',
  },
  cancelled: {
    stage: 'transfer',
    disposition: 'permanent',
    fault: 'operator',
    remedy: 'Retry the delivery if it is wanted after all.',
  },
  'not-wanted': {
    stage: 'resolve',
    disposition: 'permanent',
    fault: 'configuration',
    remedy: 'No rule sends the whole study to this target: correct the rule, and retry the delivery if it is wanted.',
  },
  'gave-up': {
    stage: 'connect',
    disposition: 'permanent',
    fault: 'target',
    remedy: 'The delivery was older than the target allows: repair the target, then retry.',
  },
  internal: {
    stage: 'transfer',
    disposition: 'retry',
    fault: 'internal',
    remedy: 'This is a fault of dicom-dispatch: please report it with the log.',
  },
} as const satisfies Record<string, ErrorClass>;

export type ErrorCode = keyof typeof errorCodes;

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(errorCodes, value);
}
