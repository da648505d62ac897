import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** For tests: takes every upload, counts its bytes as they come, and answers at its end with this JSON. */
export interface CountingSink extends AsyncDisposable {
  readonly url: string;
  /** Length of each upload. */
  readonly uploads: readonly number[];
}

export async function startCountingSink(json: unknown): Promise<CountingSink> {
  const uploads: number[] = [];
  const server = createServer((request, response) => {
    let length = 0;
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
    });
    request.on('end', () => {
      if (request.method === 'POST') uploads.push(length);
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(json));
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
