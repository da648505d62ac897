import { Agent, request, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { startHttpServer, type HttpStandIn, type RecordedRequest } from './http-server.ts';
import { answerWithLie, type Lie, type LieKind } from './lie.ts';

/** A request that an answer is decided for. */
export interface AskedRequest {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  /** How many times this method and path was asked for before: 0 for the first. */
  readonly times: number;
}

/** Which lie to tell; undefined for the truth. */
export type Liar = (request: AskedRequest) => Lie | undefined;

export interface LieMade {
  readonly kind: LieKind;
  readonly method: string;
  readonly path: string;
}

export interface LyingProxy extends AsyncDisposable {
  readonly port: number;
  /** Without a slash at the end. */
  readonly url: string;
  /** All lies so far. */
  readonly lies: readonly LieMade[];
  /** Lies by this from now on. */
  lie(liar: Liar): void;
  /** Tells the truth from now on. */
  beHonest(): void;
  stop(): Promise<void>;
}

/**
 * A proxy in front of an HTTP server (an Orthanc) that answers chosen requests with something else than the server would:
 * shorter, longer, another file, a login page. A lie is decided for each request, so that it can be drawn from a seed.
 */
export async function startLyingProxy(options: {
  readonly url: string;
  readonly liar?: Liar;
  /** Passes on the Host header as it came: for a server that checks a signature over it. Default false. */
  readonly keepHost?: boolean;
}): Promise<LyingProxy> {
  const behind = new URL(options.url);
  // Orthanc closes idle connections after a second: one that is kept may be gone under the next request.
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
      // A client that has left, or a server that is down: both see a connection that breaks.
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
