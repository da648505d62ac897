import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

type Answer = string | { readonly status?: number; readonly headers?: Record<string, string>; readonly text?: string };

/** For tests: accepts every upload, counts its bytes while they arrive, and responds at its end. */
export interface CountingSink extends AsyncDisposable {
  readonly url: string;
  /** Length of each upload in bytes. */
  readonly uploads: readonly number[];
}

/** @param answer - returns the response to a method and a URL; a text is a response with status 200 */
export async function startCountingSink(answer: (method: string, url: string) => Answer): Promise<CountingSink> {
  const uploads: number[] = [];
  const server = createServer((request, response) => {
    let length = 0;
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
    });
    request.on('end', () => {
      if (length > 0) uploads.push(length);
      const given = answer(request.method ?? '', request.url ?? '');
      const { status = 200, headers = {}, text } = typeof given === 'string' ? { text: given } : given;
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(text);
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    uploads,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await Promise.all([once(server, 'close'), server.close()]);
    },
  };
}
