import { DispatchError, type ErrorCode, type Stage } from '@dicom-dispatch/core';
import { statusError, type HttpAnswer } from '../http/index.ts';

/** A refusal by XNAT, as a DispatchError. Its pages of text are not shown: they may quote a dataset. */
export async function xnatError(answer: HttpAnswer, what: string): Promise<DispatchError> {
  await answer.discard();
  const { status, retryAfterMs } = answer;
  if (status === 423)
    return of('target-busy', `XNAT answered ${what} with 423: the session is locked by another request`);
  return statusError(status, { what, retryAfterMs });
}

/** The answer to the upload of one instance. */
export async function importError(answer: HttpAnswer): Promise<DispatchError> {
  const { status } = answer;
  if (status === 400 || status === 422) {
    await answer.discard();
    return of('instance-refused', `XNAT refuses this instance (HTTP ${status})`, {
      remedy: 'Look at the log of XNAT: it cannot read the instance, or a script of it refuses it.',
    });
  }
  if (status === 409) {
    await answer.discard();
    return of('instance-failed', 'XNAT could not add an instance to its session now (HTTP 409)');
  }
  return xnatError(answer, 'the upload');
}

/** An answer that is none of XNAT's: a login page, a proxy. */
export function foreignAnswer(what: string): DispatchError {
  return of('target-error', `what answered ${what} is not an XNAT: its answer confirms nothing`, {
    remedy: 'Check what stands in front of the XNAT: a login page, a proxy?',
  });
}

/** XNAT took the instance, but not to where it should go. */
export function elsewhere(project: string): DispatchError {
  return of('target-misconfigured', `XNAT does not put instances into the project ${project}`, {
    remedy:
      'Check that the project exists, that we may add to it, and that no routing rule of XNAT sends them elsewhere.',
  });
}

export function notXnat(host: string): DispatchError {
  return of('target-misconfigured', `what answers at ${host} is not the REST API of an XNAT`, {
    remedy: 'Check the address, with the path under which XNAT runs.',
  });
}

export function missingInSession(count: number): DispatchError {
  return of('verify-missing', `XNAT has ${count} instances less than were sent; their series are sent again`, {
    stage: 'verify',
  });
}

/** Neither in the prearchive nor in the archive. */
export function nowhere(): DispatchError {
  return of('finalize-failed', 'XNAT has the session neither in its prearchive nor in its archive', {
    remedy: 'Look for the session in XNAT; if it was deleted there, route the study again.',
  });
}

/** The session is whole in the prearchive, but cannot be filed. */
export function notArchived(status: number): DispatchError {
  if (status === 409) {
    return of('target-misconfigured', 'XNAT has a session of this label already and may not change it (HTTP 409)', {
      stage: 'finalize',
      remedy: 'Use overwrite: append, or another session template; the session waits in the prearchive.',
    });
  }
  return of('finalize-failed', `XNAT could not move the session from its prearchive to its archive (HTTP ${status})`, {
    remedy: 'Look at the session in the prearchive of XNAT: it says what is wrong with it.',
  });
}

function of(
  code: ErrorCode,
  message: string,
  options: { readonly stage?: Stage; readonly remedy?: string } = {},
): DispatchError {
  return new DispatchError(code, message, options);
}
