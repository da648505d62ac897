import { DispatchError } from '@dicom-dispatch/core';

/** Instances that could not be stored now, as the error of the attempt. */
export function someFailed({ error, count }: { readonly error: DispatchError; readonly count: number }): DispatchError {
  return new DispatchError(
    error.code,
    count === 1 ? error.message : `${count} instances failed; the first: ${error.message}`,
    { cause: error, remedy: error.remedy },
  );
}

/** The response does not list this instance, and neither does a search. */
export function unmentioned(): DispatchError {
  return new DispatchError(
    'instance-failed',
    'the target did not store an instance, and its response gives no reason',
    {
      remedy: 'Check the log of the target: a common cause is full or read-only storage. The instance is sent again.',
    },
  );
}

/** The response does not list this instance, and a search cannot show whether it is stored. */
export function unmentionedUnknown(): DispatchError {
  return new DispatchError(
    'instance-failed',
    'the response of the target does not list an instance, and a search cannot determine whether it was stored',
    { remedy: 'Check the log of the target, and allow searches (qidoUrl). The instance is sent again.' },
  );
}

/** A request with a single instance got no response. */
export function unanswered(error: DispatchError): DispatchError {
  return new DispatchError('instance-failed', `the target did not store an instance: ${error.message}`, {
    cause: error,
    remedy: `${error.remedy} The instance is sent again.`,
  });
}

/** A success status without a Store Instances Response, and no search shows the sent instances. */
export function foreignAnswer(
  { what, status }: { readonly what: string; readonly status: number },
  { unconfirmed, canSearch }: { readonly unconfirmed: number; readonly canSearch: boolean },
): DispatchError {
  const found = canSearch ? 'a search does not list' : 'no search can confirm';
  return new DispatchError(
    'target-error',
    `the target answered an upload with ${status} and ${what}, so nothing is confirmed; ${found} ${unconfirmed} instances`,
    {
      remedy:
        'Check the address for storing (stowUrl, url): a login page or a proxy may respond instead of the service.',
    },
  );
}

/** The target has accepted instances without listing which, and does not list them in a search. */
export function notListedYet(count: number): DispatchError {
  return new DispatchError('verify-pending', `the target accepted ${count} instances that it does not list yet`, {
    stage: 'verify',
  });
}

/** The target has confirmed instances one by one, and does not list them. */
export function notListed(count: number): DispatchError {
  return new DispatchError('verify-missing', `the target confirmed ${count} instances that it does not list`, {
    stage: 'verify',
  });
}

/** The responses do not show what was stored, and the target cannot be searched. */
export function presenceUnknown(count: number): DispatchError {
  return new DispatchError(
    'target-misconfigured',
    `the target did not report the result of ${count} instances, and cannot be searched (QIDO-RS)`,
    {
      stage: 'verify',
      remedy: 'Configure qidoUrl, and allow searches at the target. Without a search no instance is confirmed.',
    },
  );
}

/** `verify: qido` is set for a service without search. Confirmations are not removed because of it. */
export function cannotVerify(): DispatchError {
  return new DispatchError('target-misconfigured', 'verify: qido is set, and the target cannot be searched (QIDO-RS)', {
    stage: 'verify',
    remedy: 'Configure qidoUrl, allow searches at the target, or use verify: none.',
  });
}

/** Rejected without a reason after others were accepted, and nothing was accepted afterwards. */
export function stoppedTaking({ message }: DispatchError): DispatchError {
  return new DispatchError('instance-failed', `${message}; nothing that was sent afterwards was taken`, {
    remedy: 'Check the log of the target: it may have reached a quota, or not accept these instances.',
  });
}

/** Each instance was rejected, alone in its request and without a reason: probably the cause is the target, not the instances. */
export function allRefused(count: number, { message }: DispatchError): DispatchError {
  return new DispatchError(
    'target-misconfigured',
    count === 1
      ? `the only instance was rejected: ${message}`
      : `all ${count} instances were rejected; the first: ${message}`,
    {
      remedy:
        'Check the address of the service, the client certificate and the credentials. Check the log of the target.',
    },
  );
}
