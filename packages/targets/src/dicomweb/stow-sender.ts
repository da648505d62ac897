import type { DeliveryRun } from '@dicom-dispatch/target-kit';
import type { HttpAnswer, HttpConnection } from '../http/index.ts';
import { multipartType, newBoundary } from './boundary.ts';
import type { StowAnswer } from './judge-batch.ts';
import { readContent } from './read-outcomes.ts';
import { fitsPath } from './resource-address.ts';
import type { DicomwebTarget } from './schema.ts';
import { spool } from './spool.ts';
import type { StowBody } from './stow-body.ts';

const maxAnswerBytes = 16_000_000;

/** The form of requests that a target has required; the default form until it is known. */
interface StowForm {
  readonly accept: 'application/dicom+json' | 'application/dicom+xml';
  /** Whether it requires Content-Length. */
  readonly needsLength: boolean;
}

const defaultForm: StowForm = { accept: 'application/dicom+json', needsLength: false };
/** Stored with the target, because after a rejected form all instances of the request are read, and perhaps transformed, again. */
const formKey = 'stow-form';

type SenderRun = Pick<DeliveryRun<DicomwebTarget>, 'config' | 'memory' | 'study'>;

/** Sends STOW-RS requests of one run (PS3.18 section 10.5). Remembers the form that the target requires. */
export class StowSender {
  readonly #http: HttpConnection;
  readonly #path: string;
  readonly #memory: SenderRun['memory'];
  #form: StowForm;

  private constructor(http: HttpConnection, { config, memory, study }: SenderRun, form: StowForm) {
    this.#http = http;
    this.#memory = memory;
    this.#form = form;
    const { studyInstanceUid: uid } = study;
    const segment = config.studyInPath && fitsPath(uid) ? `/${encodeURIComponent(uid)}` : '';
    this.#path = `${config.stowUrl ?? config.url}/studies${segment}`;
  }

  static async open(http: HttpConnection, run: SenderRun): Promise<StowSender> {
    return new StowSender(http, run, (await run.memory.get<StowForm>(formKey)) ?? defaultForm);
  }

  /** Repeats a request only in another form: after 406 (JSON or XML), or after 411 (no Content-Length). */
  async send(body: Pick<StowBody, 'open' | 'lengthBytes'>, signal: AbortSignal): Promise<StowAnswer> {
    let form = this.#form;
    let answer = await this.#post(body, form, signal);
    if (answer.status === 411 && !form.needsLength) {
      await answer.discard();
      form = await this.#learn({ needsLength: true });
      answer = await this.#post(body, form, signal);
    }
    if (answer.status === 406) {
      // JSON was added to the Standard after XML: an older server only supports XML.
      await answer.discard();
      const { accept } = form;
      form = await this.#learn({
        accept: accept === defaultForm.accept ? 'application/dicom+xml' : defaultForm.accept,
      });
      answer = await this.#post(body, form, signal);
    }
    const { status, retryAfterMs, mediaType } = answer;
    return { status, retryAfterMs, content: readContent(mediaType, await answer.text(maxAnswerBytes)) };
  }

  async #learn(part: Partial<StowForm>): Promise<StowForm> {
    this.#form = { ...this.#form, ...part };
    await this.#memory.set(formKey, this.#form);
    return this.#form;
  }

  async #post(
    body: Pick<StowBody, 'open' | 'lengthBytes'>,
    { accept, needsLength }: StowForm,
    signal: AbortSignal,
  ): Promise<HttpAnswer> {
    const boundary = newBoundary();
    const lengthBytes = body.lengthBytes(boundary);
    if (lengthBytes !== undefined || !needsLength) {
      return this.#request({ boundary, accept, bodyBytes: lengthBytes, body: () => body.open(boundary) }, signal);
    }
    await using spooled = await spool(body.open(boundary));
    return await this.#request(
      { boundary, accept, bodyBytes: spooled.lengthBytes, body: () => spooled.read() },
      signal,
    );
  }

  #request({ boundary, accept, ...content }: StowRequest, signal: AbortSignal): Promise<HttpAnswer> {
    return this.#http.request({
      method: 'POST',
      path: this.#path,
      headers: { 'content-type': multipartType(boundary), accept },
      ...content,
      // After a lost connection a search determines first which instances have arrived.
      repeat: false,
      signal,
    });
  }
}

interface StowRequest {
  readonly boundary: string;
  readonly accept: StowForm['accept'];
  readonly body: () => AsyncIterable<Uint8Array>;
  readonly bodyBytes: number | undefined;
}
