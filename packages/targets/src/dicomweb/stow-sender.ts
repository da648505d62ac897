import type { HttpAnswer, HttpConnection } from '../http/index.ts';
import type { StowAnswer } from './judge-batch.ts';
import { readOutcomes } from './read-outcomes.ts';
import type { DicomwebTarget } from './schema.ts';
import { stowBoundary, type StowBody } from './stow-body.ts';

const maxAnswerBytes = 16_000_000;

/** Sends STOW-RS requests of one run (PS3.18 section 10.5). Remembers in which form the target answers. */
export class StowSender {
  readonly #http: HttpConnection;
  readonly #path: string;
  #accept: 'application/dicom+json' | 'application/dicom+xml' = 'application/dicom+json';

  constructor(http: HttpConnection, config: Pick<DicomwebTarget, 'url' | 'stowUrl' | 'studyInPath'>, studyUid: string) {
    this.#http = http;
    const study = config.studyInPath ? `/${encodeURIComponent(studyUid)}` : '';
    this.#path = `${config.stowUrl ?? config.url}/studies${study}`;
  }

  async send(body: Pick<StowBody, 'open' | 'lengthBytes'>, signal: AbortSignal): Promise<StowAnswer> {
    const accept = this.#accept;
    let answer = await this.#post(body, accept, signal);
    if (answer.status === 406 && accept === 'application/dicom+json') {
      // JSON came into the Standard after XML: an older server has only that.
      await answer.discard();
      this.#accept = 'application/dicom+xml';
      answer = await this.#post(body, this.#accept, signal);
    }
    const { status, retryAfterMs } = answer;
    return { status, retryAfterMs, outcomes: readOutcomes(await answer.text(maxAnswerBytes)) };
  }

  #post(body: Pick<StowBody, 'open' | 'lengthBytes'>, accept: string, signal: AbortSignal): Promise<HttpAnswer> {
    return this.#http.request({
      method: 'POST',
      path: this.#path,
      headers: {
        'content-type': `multipart/related; type="application/dicom"; boundary=${stowBoundary}`,
        accept,
      },
      body: () => body.open(),
      bodyBytes: body.lengthBytes,
      repeat: true,
      signal,
    });
  }
}
