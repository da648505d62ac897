import { DispatchError } from '@dicom-dispatch/core';
import { statusError, type HttpConnection } from '../http/index.ts';
import { askPage } from './qido.ts';
import type { DicomwebTarget } from './schema.ts';

/** Whether the service can be searched; `forbidden` when it can, but not by us. */
export type SearchAbility = 'yes' | 'no' | 'forbidden';

/**
 * Asks the service for at most one result: proves that it can be reached, knows us, and whether it can be searched. A
 * service that only stores answers 404, 405 or 501; that is no error here.
 *
 * @throws {DispatchError} when it cannot be reached, refuses the credentials, or is not well
 */
export async function greet(
  http: HttpConnection,
  config: Pick<DicomwebTarget, 'url' | 'qidoUrl'>,
  studyUid: string,
  signal: AbortSignal,
): Promise<SearchAbility> {
  const address = `${config.qidoUrl ?? config.url}/studies`;
  const answer = await askPage(http, address, { StudyInstanceUID: studyUid }, [], { limit: 1, offset: 0 }, signal);
  const { status, retryAfterMs, mediaType } = answer;
  await answer.discard();
  if (status === 204) return 'yes';
  if (status === 200) {
    if (/json|xml|^$|multipart/.test(mediaType)) return 'yes';
    throw new DispatchError(
      'target-misconfigured',
      `what answers at ${http.host} is no DICOMweb service (${mediaType})`,
      {
        remedy: 'Check the address of the service: it usually ends in /dicom-web, /dicomweb or /rs.',
      },
    );
  }
  if (status === 403) return 'forbidden';
  if (status === 401 || status === 429 || status === 503 || (status >= 300 && status < 400)) {
    throw statusError(status, { what: 'a search', retryAfterMs });
  }
  return 'no';
}
