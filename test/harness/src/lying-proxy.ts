import { Agent, request, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { startHttpServer, type HttpStandIn, type RecordedRequest } from './http-server.ts';
import { answerWithLie, type Lie, type LieKind } from './lie.ts';

/** A request for which a response is chosen. */
export interface AskedRequest {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  /** How often this method and path was requested before: 0 for the first. */
  readonly times: number;
}

/** Chooses a false response; undefined for the true one. */
export type Liar = (request: AskedRequest) => Lie | undefined;

export interface LieMade {
  readonly kind: LieKind;
  readonly method: string;
  readonly path: string;
}

export interface LyingProxy extends AsyncDisposable {
  readonly port: number;
  /** Without a trailing slash. */
  readonly url: string;
  /** All false responses so far. */
  readonly lies: readonly LieMade[];
  /** Sends the false responses that this function chooses from now on. */
  lie(liar: Liar): void;
  /** Sends true responses from now on. */
  beHonest(): void;
  stop(): Promise<void>;
}

/**
 * A proxy in front of an HTTP server (an Orthanc) that changes chosen responses: shorter, longer, another file, a login page. The
 * change is chosen for each request, so it can be derived from a seed.
 */
export async function startLyingProxy(options: {
  readonly url: string;
  readonly liar?: Liar;
  /** Forwards the original Host header: for a server that verifies a signature over it. Default false. */
  readonly keepHost?: boolean;
}): Promise<LyingProxy> {
  const behind = new URL(options.url);
  // Orthanc closes idle connections after a second: an idle one may be closed during the next request.
  const agent = new Agent({ keepAlive: false });
  const lies: LieMade[] = [];
  const times = new Map<string, number>();
  let liar: Liar = options.liar ?? (() => undefined);

  function ask(asked: RecordedRequest, path?: string): Promise<IncomingMessage> {
    const { method, query, headers, body } = asked;
    const target = path ?? `${asked.path}${query.size > 0 ? `?${query.toString()}` : ''}`;
    const forwarded: OutgoingHttpHeaders = {
      ...headers,
      ...(!options.keepHost && { host: behind.host }),
      'content-length': body.length,
    };
    delete forwarded['transfer-encoding'];
    delete forwarded['connection'];
    return new Promise((resolve, reject) => {
      const sent = request(
        { host: behind.hostname, port: behind.port, method, path: target, headers: forwarded, agent },
        resolve,
      );
      sent.on('error', reject);
      sent.end(body);
    });
  }

  const server: HttpStandIn = await startHttpServer(async (asked, response) => {
    const { method, path } = asked;
    const key = `${method} ${path}`;
    const count = times.get(key) ?? 0;
    times.set(key, count + 1);
    const lie = liar({ method, path, times: count });
    try {
      if (lie) {
        lies.push({ kind: lie.kind, method, path });
        await answerWithLie(lie, (other) => ask(asked, other), response);
        return;
      }
      const answer = await ask(asked);
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      await pipeline(answer, response);
    } catch (error) {
      // The client has disconnected, or the server is down: the connection is closed, or the response is 500.
      if (response.headersSent) response.destroy();
      else throw error;
    }
  });

  async function stop(): Promise<void> {
    await server.stop();
    agent.destroy();
  }
  return {
    port: server.port,
    url: server.url,
    lies,
    lie: (next) => {
      liar = next;
    },
    beHonest: () => {
      liar = () => undefined;
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
