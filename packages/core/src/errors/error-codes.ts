import type { Stage } from '../model/stage.ts';

/** Who is at fault for an error: what an operator should check. */
export type Fault = 'source' | 'target' | 'instance' | 'configuration' | 'operator' | 'internal';

/**
 * The consequence of an error.
 *
 * - `retry`: tried again after the back-off; consumes an attempt if it reached the target and nothing was confirmed
 * - `wait`: the target as a whole cannot be used: its circuit opens, and no attempt is consumed
 * - `halt`: like `wait`, but only a change of the configuration helps: alerts report this
 * - `permanent`: no further attempt is scheduled
 *
 * `afterFailure` in `retry/` has the complete rule.
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
 * The closed taxonomy of all errors of a delivery. Foreign errors (DIMSE status, HTTP, SDK, ssh,
 * node) are translated into these codes in one place per handler. Only this table determines whether an error is retried.
 * `stage` is where the code usually occurs; the delivery's own stage replaces it.
 */
export const errorCodes = {
  'config-invalid': {
    stage: 'resolve',
    disposition: 'halt',
    fault: 'configuration',
    remedy: 'Correct the configuration of the target, then reload the configuration.',
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
    remedy: 'Check the log of the source Orthanc.',
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
      'The source responds, but cannot provide this instance. Check its log, and whether the file is in its storage. If the file is lost, send the instance to the source again.',
  },
  'source-bytes-wrong': {
    stage: 'transfer',
    disposition: 'retry',
    fault: 'source',
    remedy:
      'The source sent bytes that differ from its own record. Check its storage (POST /instances/{id}/attachments/dicom/verify-md5) and any proxy or cache in front of it.',
  },
  'instance-not-dicom': {
    stage: 'transfer',
    disposition: 'permanent',
    fault: 'instance',
    remedy: 'The stored file is not a DICOM Part 10 file. Repair or delete it in the source.',
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
    remedy:
      'The target rejects this instance. Check the log of the target, correct the instance, then retry the delivery.',
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
    remedy:
      'The result of the transform does not match its definition. Change the transform, or exclude such instances.',
  },
  'instance-failed': {
    stage: 'transfer',
    disposition: 'retry',
    fault: 'target',
    remedy: 'The target could not store the instance. It is sent again.',
  },
  'target-unreachable': {
    stage: 'connect',
    disposition: 'wait',
    fault: 'target',
    remedy: 'Check that the target is running, and check its address, its port and the network.',
  },
  'target-timeout': {
    stage: 'transfer',
    disposition: 'wait',
    fault: 'target',
    remedy: 'The target does not respond. Check the target and the network, or raise its timeouts.',
  },
  'target-connection-lost': {
    stage: 'transfer',
    disposition: 'retry',
    fault: 'target',
    remedy: 'The target closed the connection. Check its log. Missing instances are sent again.',
  },
  'target-busy': {
    stage: 'connect',
    disposition: 'retry',
    fault: 'target',
    remedy: 'The target reported that it is overloaded. The next attempt is made later.',
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
    remedy: 'Check the certificates: authority, host name, validity dates and client certificate.',
  },
  'target-host-key': {
    stage: 'connect',
    disposition: 'halt',
    fault: 'configuration',
    remedy: 'The host key differs from the pinned key. Find out why before you pin the new key.',
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
    remedy:
      'The target rejects the association. Check both AE titles, and that the calling AE title is registered at the target.',
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
    remedy: 'The target failed. Check its log.',
  },
  'study-refused': {
    stage: 'transfer',
    disposition: 'retry',
    fault: 'instance',
    remedy:
      'The target accepts other studies, but not this one. Find the reason in its log, correct the study or the permissions at the target, then retry the delivery.',
  },
  'target-conflict': {
    stage: 'transfer',
    disposition: 'permanent',
    fault: 'instance',
    remedy:
      'The target has different content at the path of this instance. Find out which of the two is correct. Then give each its own path, remove the wrong one, or set onConflict to overwrite. Then retry the delivery.',
  },
  'uids-in-use': {
    stage: 'manifest',
    disposition: 'retry',
    fault: 'instance',
    remedy:
      'Another delivery sends an instance with the same SOP Instance UID at this moment; this one is tried again every 30 s until that has ended.',
  },
  'verify-missing': {
    stage: 'verify',
    disposition: 'retry',
    fault: 'target',
    remedy: 'The target confirmed instances that it does not have. They are sent again.',
  },
  'verify-pending': {
    stage: 'verify',
    disposition: 'retry',
    fault: 'target',
    remedy: 'The target has not yet reported whether it stores the instances. The report is requested again.',
  },
  'finalize-failed': {
    stage: 'finalize',
    disposition: 'retry',
    fault: 'target',
    remedy: 'All instances arrived, but the last step failed. See the error message.',
  },
  'local-resources': {
    stage: 'transfer',
    disposition: 'retry',
    fault: 'internal',
    remedy:
      'The host of the dispatcher is out of a resource; source and target are not the cause. Raise its limit of open files (ulimit -n, LimitNOFILE), or give it more memory or disk space.',
  },
  'ledger-unavailable': {
    stage: 'transfer',
    disposition: 'retry',
    fault: 'internal',
    remedy:
      'Redis did not store a confirmation. Check Redis. Without a stored confirmation nothing counts as delivered.',
  },
  'record-damaged': {
    stage: 'resolve',
    disposition: 'retry',
    fault: 'internal',
    remedy:
      'Delete the named key in Redis with DEL. The record is then made again within an hour, from the deliveries and jobs of the study, or by routing it again.',
  },
  'lock-lost': {
    stage: 'transfer',
    disposition: 'retry',
    fault: 'internal',
    remedy: 'Another worker has taken over the delivery. No action is needed.',
  },
  partial: {
    stage: 'transfer',
    disposition: 'permanent',
    fault: 'instance',
    remedy: 'Some instances are quarantined. Check the reasons, then retry the delivery.',
  },
  'all-quarantined': {
    stage: 'transfer',
    disposition: 'permanent',
    fault: 'instance',
    remedy: 'No instance was delivered. Check the reasons of the quarantined instances, then retry the delivery.',
  },
  cancelled: {
    stage: 'transfer',
    disposition: 'permanent',
    fault: 'operator',
    remedy: 'Retry the delivery if it is still needed.',
  },
  'not-wanted': {
    stage: 'resolve',
    disposition: 'permanent',
    fault: 'configuration',
    remedy:
      'When the complete study was routed, no rule sent it to this target. If the delivery is needed, retry it, and correct the rule for later studies.',
  },
  'gave-up': {
    stage: 'connect',
    disposition: 'permanent',
    fault: 'target',
    remedy: 'The delivery was older than giveUpAfter of its target allows: remove the cause, then retry.',
  },
  internal: {
    stage: 'transfer',
    disposition: 'retry',
    fault: 'internal',
    remedy: 'This is a bug in dicom-dispatch. Please report it with the log.',
  },
} as const satisfies Record<string, ErrorClass>;

export type ErrorCode = keyof typeof errorCodes;

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(errorCodes, value);
}
