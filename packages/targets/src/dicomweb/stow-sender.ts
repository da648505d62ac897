import type { HttpAnswer, HttpConnection } from '../http/index.ts';
import { multipartType, newBoundary } from './boundary.ts';
import type { StowAnswer } from './judge-batch.ts';
import { readContent } from './read-outcomes.ts';
import { fitsPath } from './resource-address.ts';
import type { DicomwebTarget } from './schema.ts';
import { spool } from './spool.ts';
import type { StowBody } from './stow-body.ts';

const maxAnswerBytes = 16_000_000;

/** Sends STOW-RS requests of one run (PS3.18 section 10.5). Remembers the media types of the target. */
export class StowSender {
  readonly #http: HttpConnection;
  readonly #path: string;
  #accept: 'application/dicom+json' | 'application/dicom+xml' = 'application/dicom+json';
  #needsLength = false;

  constructor(http: HttpConnection, config: Pick<DicomwebTarget, 'url' | 'stowUrl' | 'studyInPath'>, studyUid: string) {
    this.#http = http;
    const study = config.studyInPath && fitsPath(studyUid) ? `/${encodeURIComponent(studyUid)}` : '';
    this.#path = `${config.stowUrl ?? config.url}/studies${study}`;
  }

  /** Repeats a request only after a rejection of its form: 406 (JSON), 411 (a body without its length), 401. */
  async send(body: Pick<StowBody, 'open' | 'lengthBytes'>, signal: AbortSignal): Promise<StowAnswer> {
    let answer = await this.#post(body, signal);
    if (answer.status === 411 && !this.#needsLength) {
      await answer.discard();
      this.#needsLength = true;
      answer = await this.#post(body, signal);
    }
    if (answer.status === 406 && this.#accept === 'application/dicom+json') {
      // JSON was added to the Standard after XML: an older server only supports XML.
      await answer.discard();
      this.#accept = 'application/dicom+xml';
      answer = await this.#post(body, signal);
    }
    const { status, retryAfterMs, mediaType } = answer;
    return { status, retryAfterMs, content: readContent(mediaType, await answer.text(maxAnswerBytes)) };
  }

  async #post(body: Pick<StowBody, 'open' | 'lengthBytes'>, signal: AbortSignal): Promise<HttpAnswer> {
    const boundary = newBoundary();
    const lengthBytes = body.lengthBytes(boundary);
    if (lengthBytes !== undefined || !this.#needsLength) {
      return this.#request(boundary, () => body.open(boundary), lengthBytes, signal);
    }
    await using spooled = await spool(body.open(boundary));
    return await this.#request(boundary, () => spooled.read(), spooled.lengthBytes, signal);
  }

  #request(
    boundary: string,
    body: () => AsyncIterable<Uint8Array>,
    bodyBytes: number | undefined,
    signal: AbortSignal,
  ): Promise<HttpAnswer> {
    return this.#http.request({
      method: 'POST',
      path: this.#path,
      headers: { 'content-type': multipartType(boundary), accept: this.#accept },
      body,
      bodyBytes,
      // Existing instances are queried first.
      repeat: false,
      signal,
    });
  }
}
