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
export function differs(alreadyThere: boolean): DispatchError {
  return alreadyThere
    ? of('instance-refused', 'the target has other content under the same SOP Instance UID', {
        stage: 'verify',
        remedy: 'Decide which of the two is right; to replace the one at the target, delete it there and retry.',
      })
    : of('instance-refused', 'the target stored other bytes than were sent', {
        stage: 'verify',
        remedy: 'Use verify: none if the target changes instances as they arrive (transcoding, scripts).',
      });
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
  options: { readonly stage?: 'verify'; readonly remedy?: string } = {},
): DispatchError {
  return new DispatchError(code, message, options);
}
