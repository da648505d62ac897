import { DispatchError, type ErrorCode } from '@dicom-dispatch/core';
import { z } from 'zod';
import { statusError, type HttpAnswer } from '../http/index.ts';

/** What Orthanc says of an error: numbers of its own list and fixed sentences; `Details` may quote a dataset. */
const orthancFault = z.object({ OrthancStatus: z.int(), Details: z.string().optional() });

const badFileFormat = 15;
/** Of Orthanc's list: "cannot write to file", "the file storage is full", "unable to create … in the file storage". */
const storageFaults: ReadonlySet<number> = new Set([14, 19, 2001]);
/** What Orthanc says, under "internal error", of a folder that it cannot make. */
const storageDetails = /^Error while accessing the filesystem/;

/** A refusal by Orthanc, as a DispatchError. Reads the answer. */
export async function orthancError(answer: HttpAnswer, what: string): Promise<DispatchError> {
  const { status, retryAfterMs } = answer;
  const fault = orthancFault.safeParse(await answer.json(65_536).catch(() => undefined));
  const number = fault.success ? fault.data.OrthancStatus : undefined;
  if (fault.success && (storageFaults.has(fault.data.OrthancStatus) || storageDetails.test(fault.data.Details ?? ''))) {
    return of('target-full', `Orthanc answered ${what} with ${status}: it cannot write to its storage`, {
      remedy: 'Free space at the target, and check the rights on its storage folder.',
    });
  }
  if (what !== uploading) return statusError(status, { what, retryAfterMs });
  if (number === badFileFormat) {
    return of('instance-refused', 'Orthanc cannot read this instance as DICOM (its error 15)');
  }
  if (status === 400 || status === 409 || status === 422) {
    return of('instance-refused', `Orthanc refuses this instance (HTTP ${status}, its error ${number ?? 'unknown'})`);
  }
  return statusError(status, { what, retryAfterMs });
}

export const uploading = 'the upload';

/** Orthanc took the instance and threw it away. */
export function filteredOut(): DispatchError {
  return of('instance-refused', 'Orthanc filtered this instance out when it was received', {
    remedy: "Look at the target's filter for received instances (a script), or leave such instances out here.",
  });
}

/** What is stored is not what was sent. */
export function differs(): DispatchError {
  return of('instance-refused', 'the target stored other bytes than were sent', {
    stage: 'verify',
    remedy: 'Use verify: none if the target changes instances as they arrive (transcoding, scripts).',
  });
}

/** The target has another content under the same UIDs, and keeps it. */
export function conflict(): DispatchError {
  return of('target-conflict', 'the target has other content under the same UIDs and kept it (AlreadyStored)', {
    stage: 'transfer',
    remedy:
      'Find out which of the two is right. To replace the one at the target: onConflict: overwrite, or delete it there; then retry. If the target changes instances as they arrive: onConflict: keep.',
  });
}

/** Whether what the target has is the same cannot be found out. */
export function notReadable(status: number): DispatchError {
  return of(
    'target-unauthorized',
    `the target has an instance already, and refuses to show it for comparison (${status})`,
    {
      remedy: 'Let the user GET /instances/{id} at the target, or use onConflict: keep.',
    },
  );
}

/** An answer to an upload that is none of Orthanc's. */
export function foreignAnswer(host: string): DispatchError {
  return of('target-error', `what answers uploads at ${host} is not an Orthanc: its answer confirms nothing`, {
    remedy: 'Check what stands in front of the Orthanc: a login page, a proxy?',
  });
}

export function otherInstance(): DispatchError {
  return of('target-error', 'the target answered an upload with the id of another instance, which confirms nothing', {
    remedy: 'Check what stands in front of the Orthanc: it mixes up answers.',
  });
}

/** Neither stored, nor already there, nor filtered out. */
export function unknownStatus(status: string): DispatchError {
  const shown = /^[A-Za-z]{1,40}$/.test(status) ? status : 'a word of its own';
  return of('instance-failed', `Orthanc answered the upload with ${shown}, which confirms nothing`);
}

export function notStored(): DispatchError {
  return of('verify-missing', 'the target confirmed an instance that it does not have', { stage: 'verify' });
}

export function notOrthanc(host: string): DispatchError {
  return of('target-misconfigured', `what answers at ${host} is not the REST API of an Orthanc`, {
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
