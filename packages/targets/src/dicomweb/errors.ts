import { DispatchError } from '@dicom-dispatch/core';

/** Instances that could not be stored now, as the error of the attempt. */
export function someFailed({ error, count }: { readonly error: DispatchError; readonly count: number }): DispatchError {
  return new DispatchError(
    error.code,
    count === 1 ? error.message : `${count} instances failed; the first: ${error.message}`,
    {
      cause: error,
    },
  );
}

/** The target answered without a word about these, and does not have them. */
export function unmentioned(): DispatchError {
  return new DispatchError('instance-failed', 'the target did not store an instance, and its answer does not say why', {
    remedy: 'Look at the log of the target: often its storage is full or cannot be written. It is sent again.',
  });
}

/** The target has accepted instances without saying which, and does not list them. */
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

/** The answers leave open what was stored, and nobody can be asked. */
export function cannotTell(count: number): DispatchError {
  return new DispatchError(
    'target-misconfigured',
    `the target does not say what became of ${count} instances, and cannot be searched (QIDO-RS)`,
    { stage: 'verify', remedy: 'Configure qidoUrl, and let us search at the target.' },
  );
}

/** Each instance was refused, alone, without a word: hardly the fault of all of them. */
export function allRefused(count: number, { message }: DispatchError): DispatchError {
  return new DispatchError('target-misconfigured', `none of ${count} instances was taken; the first: ${message}`, {
    remedy:
      'Check the address of the service, the client certificate and the credentials; look at the log of the target.',
  });
}
