import { performance } from 'node:perf_hooks';
import { Agent, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { unwatch, watch } from './watchdog.ts';

/** Forwarded requests, in order. */
export interface PassedRequest {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  /** Time of arrival, by `performance.now()`. */
  readonly at: number;
}

export interface CountingProxy extends AsyncDisposable {
  readonly url: string;
  readonly requests: readonly PassedRequest[];
  /** Number of requests of a method with a matching path. */
  count(method: string, path: RegExp): number;
  reset(): void;
}

/** An HTTP proxy in front of one real server that records the requests. */
export async function startCountingProxy(targetUrl: string): Promise<CountingProxy> {
  const agent = new Agent({ keepAlive: true });
  let requests: PassedRequest[] = [];
  const server = createServer((incoming, answer) => {
    const { method = 'GET', url = '/', headers } = incoming;
    requests.push({ method, path: url.split('?', 1)[0] ?? '', at: performance.now() });
    const passedOn = request(new URL(url, targetUrl), { method, headers, agent }, (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers);
      response.on('error', () => answer.writableEnded || answer.destroy());
      // Some servers, Swift among them, send a body with the response to a HEAD.
      if (method === 'HEAD') answer.end();
      else response.pipe(answer);
    });
    passedOn.on('error', () => answer.writableEnded || answer.destroy());
    answer.on('close', () => passedOn.destroy());
    incoming.pipe(passedOn);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const stop = async (): Promise<void> => {
    agent.destroy();
    server.closeAllConnections();
    await new Promise<void>((resolve) => void server.close(() => resolve()));
    unwatch('listener', port);
  };
  watch('listener', port, 'counting proxy');
  return {
    url: `http://127.0.0.1:${port}`,
    get requests() {
      return requests;
    },
    count: (method, path) => requests.filter((one) => one.method === method && path.test(one.path)).length,
    reset() {
      requests = [];
    },
    [Symbol.asyncDispose]: stop,
  };
}
