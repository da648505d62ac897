import { DispatchError, type ErrorCode } from '@dicom-dispatch/core';
import { z } from 'zod';
import { statusError, type HttpAnswer } from '../http/index.ts';

/** An error of Orthanc: a number from its list of errors and a constant sentence; `Details` may contain parts of a data set. */
const orthancFault = z.object({ OrthancStatus: z.int(), Details: z.string().optional() });

const badFileFormat = 15;
/** Numbers in Orthanc's list of errors: "cannot write to file", "the file storage is full", "unable to create … in the file storage". */
const storageFaults: ReadonlySet<number> = new Set([14, 19, 2001]);
/** Orthanc's message, as an "internal error", if it cannot create a folder. */
const storageDetails = /^Error while accessing the filesystem/;

/** An error response of Orthanc as a DispatchError. Reads its body. */
export async function orthancError(answer: HttpAnswer, what: string): Promise<DispatchError> {
  const { status, retryAfterMs } = answer;
  const fault = orthancFault.safeParse(await answer.json(65_536).catch(() => undefined));
  const number = fault.success ? fault.data.OrthancStatus : undefined;
  if (fault.success && (storageFaults.has(fault.data.OrthancStatus) || storageDetails.test(fault.data.Details ?? ''))) {
    return of('target-full', `Orthanc answered ${what} with ${status}: it cannot write to its storage`, {
      remedy: 'Free space at the target, and check the permissions of its storage folder.',
    });
  }
  if (what !== uploading) return statusError(status, { what, retryAfterMs });
  if (number === badFileFormat) {
    return of('instance-refused', 'Orthanc cannot read this instance as DICOM (its error 15)');
  }
  if (status === 400 || status === 409 || status === 422) {
    return of('instance-refused', `Orthanc rejects this instance (HTTP ${status}, its error ${number ?? 'unknown'})`);
  }
  return statusError(status, { what, retryAfterMs });
}

export const uploading = 'the upload';

/** Orthanc accepted the instance and discarded it. */
export function filteredOut(): DispatchError {
  return of('instance-refused', 'Orthanc filtered this instance out when it was received', {
    remedy: 'Check the filter for received instances at the target (a script), or exclude such instances here.',
  });
}

/** The stored data differ from the sent data. */
export function differs(): DispatchError {
  return of('instance-refused', 'the target stored other bytes than were sent', {
    stage: 'verify',
    remedy: 'If the target changes instances on arrival (transcoding, scripts), set verify: none.',
  });
}

/** The target has other content under the same UIDs, and keeps it. */
export function conflict(): DispatchError {
  return of('target-conflict', 'the target has other content under the same UIDs and kept it (AlreadyStored)', {
    stage: 'transfer',
    remedy:
      'Find out which of the two is correct. To replace the content at the target, set onConflict: overwrite or delete it there, then retry. If the target changes instances on arrival, set onConflict: keep.',
  });
}

/** Whether the target has the same content cannot be determined. */
export function notReadable(status: number): DispatchError {
  return of(
    'target-unauthorized',
    `the target already has an instance, and denies reading it for comparison (${status})`,
    {
      remedy: 'Allow the user GET /instances/{id} at the target, or set onConflict: keep.',
    },
  );
}

/** A response to an upload that is not from Orthanc. */
export function foreignAnswer(host: string): DispatchError {
  return of('target-error', `the response to an upload from ${host} is not from Orthanc, so nothing is confirmed`, {
    remedy: 'Check for a login page or a proxy in front of Orthanc.',
  });
}

export function otherInstance(): DispatchError {
  return of(
    'target-error',
    'the target responded to an upload with the id of another instance, so nothing is confirmed',
    {
      remedy: 'Check the proxy in front of Orthanc: it returns responses of other requests.',
    },
  );
}

/** Neither stored, nor already present, nor filtered out. */
export function unknownStatus(status: string): DispatchError {
  const shown = /^[A-Za-z]{1,40}$/.test(status) ? status : 'an unknown status';
  return of('instance-failed', `Orthanc responded to the upload with ${shown}, so nothing is confirmed`);
}

export function notStored(): DispatchError {
  return of('verify-missing', 'the target confirmed an instance that it does not have', { stage: 'verify' });
}

export function notOrthanc(host: string): DispatchError {
  return of('target-misconfigured', `the response from ${host} is not from the REST API of Orthanc`, {
    remedy: 'Check the address: scheme, port and path of the REST API.',
  });
}

function of(
  code: ErrorCode,
  message: string,
  options: { readonly stage?: 'verify' | 'transfer'; readonly remedy?: string } = {},
): DispatchError {
  return new DispatchError(code, message, options);
}
