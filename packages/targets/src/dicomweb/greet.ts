import { DispatchError } from '@dicom-dispatch/core';
import { connectError, isOfGateway, type HttpConnection } from '../http/index.ts';
import { askPage, readResults } from './qido.ts';
import type { DicomwebTarget } from './schema.ts';

/** Whether the service can be searched; `forbidden` if it does not permit searches with these credentials. */
export type SearchAbility = 'yes' | 'no' | 'forbidden';

export interface Greeting {
  readonly ability: SearchAbility;
  /** Whether it lists the study; only if it supports search. */
  readonly hasStudy: boolean;
}

const maxGreetingBytes = 4_000_000;

/**
 * Queries the service for at most one result: shows that it is reachable and accepts the credentials, and whether it supports search. A
 * service that only stores responds with 404, 405 or 501, an old one in XML; neither is an error here.
 *
 * @throws {DispatchError} if it cannot be reached, rejects the credentials, is not available, or is not a DICOMweb service
 */
export async function greet(
  http: HttpConnection,
  config: Pick<DicomwebTarget, 'url' | 'qidoUrl'>,
  studyUid: string,
  signal: AbortSignal,
): Promise<Greeting> {
  const address = `${config.qidoUrl ?? config.url}/studies`;
  const answer = await askPage(http, address, { StudyInstanceUID: studyUid }, [], { limit: 1, offset: 0 }, signal);
  const { status, retryAfterMs, mediaType } = answer;
  if (status === 200) {
    const text = await answer.text(maxGreetingBytes);
    const results = readResults(text, '0020000D');
    if (results) return { ability: 'yes', hasStudy: results.length > 0 };
    // Results in XML are `multipart/related`, or a single document. They are not read here.
    if (text.trim() === '' || /xml|^multipart\//.test(mediaType)) return { ability: 'no', hasStudy: false };
    const isShowable = /^[\w.+-]{1,60}\/[\w.+-]{1,60}$/.test(mediaType);
    throw new DispatchError(
      'target-misconfigured',
      `the response from ${http.host} is not from a DICOMweb service (${isShowable ? mediaType : 'no media type'})`,
      {
        remedy: 'Check the address of the service: it usually ends in /dicom-web, /dicomweb or /rs.',
      },
    );
  }
  await answer.discard();
  if (status === 401 || status === 429 || (status >= 300 && status < 400) || isOfGateway(status)) {
    throw connectError(status, { what: 'a search', retryAfterMs });
  }
  return { ability: status === 204 ? 'yes' : status === 403 ? 'forbidden' : 'no', hasStudy: false };
}
