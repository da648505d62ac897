import { request as plainRequest } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';
import { request as secureRequest } from 'node:https';

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface HttpOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | string | undefined;
  /** Certificates of trusted authorities, PEM, for https. */
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

/** Sends one HTTP request on a separate connection. Any status is returned, not thrown. */
export function httpRequest(url: string, options: HttpOptions = {}): Promise<HttpAnswer> {
  const start = url.startsWith('https:') ? secureRequest : plainRequest;
  const { method = 'GET', headers = {}, body, ca, cert, key } = options;
  return new Promise((resolve, reject) => {
    const request = start(url, { method, headers, agent: false, ca, cert, key }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }),
      );
    });
    request.once('error', reject);
    request.end(body);
  });
}
