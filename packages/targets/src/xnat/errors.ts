import { DispatchError, type ErrorCode, type Stage } from '@dicom-dispatch/core';
import { statusError, type HttpAnswer } from '../http/index.ts';

/** An error response of XNAT as a DispatchError. Its text is not shown: it may quote a data set. */
export async function xnatError(answer: HttpAnswer, what: string): Promise<DispatchError> {
  const { status, retryAfterMs } = answer;
  if (status === 423) return locked(answer, what);
  await answer.discard();
  return statusError(status, { what, retryAfterMs });
}

/** The error if another request is changing the session. */
export async function locked(answer: HttpAnswer, what: string): Promise<DispatchError> {
  await answer.discard();
  return of('target-busy', `XNAT answered ${what} with ${answer.status}: the session is locked by another request`);
}

/** An error response to the upload of one instance. */
export async function importError(answer: HttpAnswer): Promise<DispatchError> {
  const { status } = answer;
  if (status === 400 || status === 422) {
    await answer.discard();
    return of('instance-refused', `XNAT rejects this instance (HTTP ${status})`, {
      remedy: 'Check the log of XNAT: it cannot read the instance, or one of its scripts rejects it.',
    });
  }
  if (status === 409) {
    await answer.discard();
    return of('instance-failed', 'XNAT could not add an instance to its session (HTTP 409)');
  }
  return xnatError(answer, 'the upload');
}

/** A response that is not from XNAT: a login page, a proxy. */
export function foreignAnswer(what: string): DispatchError {
  return of('target-error', `the response to ${what} is not from XNAT, so nothing is confirmed`, {
    remedy: 'Check for a login page or a proxy in front of XNAT.',
  });
}

/** XNAT stored the instance in another project. */
export function elsewhere(project: string): DispatchError {
  return of('target-misconfigured', `XNAT does not put instances into the project ${project}`, {
    remedy:
      'Check that the project exists, that the user may add data to it, and that no routing rule of XNAT sends instances elsewhere.',
  });
}

export function notXnat(host: string): DispatchError {
  return of('target-misconfigured', `the response from ${host} is not from the REST API of XNAT`, {
    remedy: 'Check the address, including the path of XNAT.',
  });
}

export function missingInSession(count: number): DispatchError {
  return of('verify-missing', `XNAT has ${count} fewer instances than were sent; their series are sent again`, {
    stage: 'verify',
  });
}

/** Confirmed by an earlier delivery that did not archive its session, or removed since. */
export function missingInArchive(count: number): DispatchError {
  return of(
    'verify-missing',
    `the archive of XNAT lacks ${count} instances that an earlier delivery sent; their series are sent again`,
    { stage: 'verify' },
  );
}

/** Neither in the prearchive nor in the archive. */
export function nowhere(): DispatchError {
  return of('finalize-failed', 'XNAT has the complete session neither in its prearchive nor in its archive', {
    remedy: 'Search for the session in XNAT. If it was deleted there, route the study again.',
  });
}

/** The session is in the prearchive, but not ready for a review. */
export function notBuilt(status: string): DispatchError {
  return of('finalize-failed', `XNAT has the session in its prearchive with the status ${status.slice(0, 40)}`, {
    stage: 'finalize',
    remedy: 'Open the session in the prearchive of XNAT: it shows the problem.',
  });
}

/** The session is complete in the prearchive, but cannot be archived. */
export function notArchived(status: number): DispatchError {
  if (status === 409) {
    return of('target-misconfigured', 'XNAT already has a session with this label and may not change it (HTTP 409)', {
      stage: 'finalize',
      remedy: 'Use overwrite: append, or another session template; the session waits in the prearchive.',
    });
  }
  return of('finalize-failed', `XNAT could not move the session from its prearchive to its archive (HTTP ${status})`, {
    remedy: 'Open the session in the prearchive of XNAT: it shows the problem.',
  });
}

function of(
  code: ErrorCode,
  message: string,
  options: { readonly stage?: Stage; readonly remedy?: string } = {},
): DispatchError {
  return new DispatchError(code, message, options);
}
