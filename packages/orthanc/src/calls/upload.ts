import { z } from 'zod';

import type { CallContext } from '../call-context.ts';
import { target } from '../http/path.ts';
import type { CallOptions, UploadBody } from '../http/transport.ts';
import { OrthancError } from '../orthanc-error.ts';

const uploadSchema = z.looseObject({
  ID: z.string().optional(),
  ParentSeries: z.string().optional(),
  ParentStudy: z.string().optional(),
  ParentPatient: z.string().optional(),
  /** `Success`, `AlreadyStored`, `FilteredOut` (by a script or plugin) or `Failure`. */
  Status: z.string(),
});

export type UploadResult = z.output<typeof uploadSchema>;

export interface UploadOptions extends CallOptions {
  /** Length of a streamed body. Set it if it is known, so that Orthanc need not collect it in pieces. */
  sizeBytes?: number | undefined;
}

async function upload(context: CallContext, body: UploadBody, type: string, options: UploadOptions | undefined) {
  const answer = await context.transport.json(z.union([uploadSchema, z.array(uploadSchema)]), {
    method: 'POST',
    target: target('/instances'),
    body,
    bodyBytes: options?.sizeBytes,
    headers: { 'content-type': type },
    // Storing the same instance again changes nothing.
    idempotent: true,
    options,
  });
  return Array.isArray(answer) ? answer : [answer];
}

/**
 * Stores a DICOM file (PS3.10). A buffer, or a function that returns a new stream, is sent again after a broken connection:
 * then an instance whose first transfer succeeded is `AlreadyStored`. A plain stream is sent once.
 *
 * @throws OrthancError `bad-request` if it is not a DICOM file, `server-error` with Orthanc's status if it cannot be stored
 */
export async function uploadInstance(
  context: CallContext,
  body: UploadBody,
  options: UploadOptions | undefined,
): Promise<UploadResult> {
  const results = await upload(context, body, 'application/dicom', options);
  const result = results[0];
  if (result !== undefined && results.length === 1) return result;
  throw new OrthancError('protocol', `POST /instances: ${results.length} results for one instance; was it a ZIP?`, {
    method: 'POST',
    path: '/instances',
  });
}

/** Stores all DICOM files of a ZIP; other files in it are ignored. One result for each instance. */
export function uploadZip(
  context: CallContext,
  body: UploadBody,
  options: UploadOptions | undefined,
): Promise<UploadResult[]> {
  return upload(context, body, 'application/zip', options);
}
