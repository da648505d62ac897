import { connectError, isOfGateway, type HttpAnswer, type HttpConnection, type HttpRequest } from '../http/index.ts';
import { notXnat, xnatError } from './errors.ts';

/**
 * One login for all requests of a run: XNAT creates a new web session for every request without a cookie, and limits
 * their number per user.
 */
export class XnatLogin {
  readonly #http: HttpConnection;
  #cookie: Promise<string> | undefined;

  constructor(http: HttpConnection) {
    this.#http = http;
  }

  /** `POST /data/JSESSION`: shows that an XNAT responds and accepts our credentials. */
  async begin(signal: AbortSignal): Promise<void> {
    await (this.#cookie ??= this.#ask(signal));
  }

  /** Sends a request with the cookie; if XNAT has ended the web session (401), again with a new one. */
  async request(request: HttpRequest): Promise<HttpAnswer> {
    await this.begin(request.signal);
    const cookie = this.#cookie;
    const answer = await this.#send(request, await cookie);
    if (answer.status !== 401) return answer;
    await answer.discard();
    // Requests that were rejected at the same time share one new login.
    if (this.#cookie === cookie) this.#cookie = this.#ask(request.signal);
    return this.#send(request, await this.#cookie);
  }

  /** Ends the web session; a failure is not an error of the run. */
  async end(): Promise<void> {
    const cookie = await this.#cookie?.catch(() => undefined);
    if (cookie === undefined) return;
    const signal = AbortSignal.timeout(2000);
    await this.#send({ method: 'DELETE', path: '/data/JSESSION', signal }, cookie)
      .then((answer) => answer.discard())
      .catch(() => {});
  }

  async #ask(signal: AbortSignal): Promise<string> {
    const answer = await this.#http.request({ method: 'POST', path: '/data/JSESSION', signal });
    const { status, retryAfterMs } = answer;
    if (isOfGateway(status)) {
      await answer.discard();
      throw connectError(status, { what: 'the login', retryAfterMs });
    }
    if (status !== 200 && status !== 201) throw await xnatError(answer, 'the login');
    const id = (await answer.text(10_000)).trim();
    if (!/^[A-Za-z0-9._-]{8,200}$/.test(id)) throw notXnat(this.#http.host);
    return `JSESSIONID=${id}`;
  }

  #send(request: HttpRequest, cookie: string | undefined): Promise<HttpAnswer> {
    return this.#http.request({ ...request, headers: { ...request.headers, ...(cookie && { cookie }) } });
  }
}
