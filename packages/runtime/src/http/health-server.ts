import { once } from 'node:events';
import { lookup } from 'node:dns/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { healthAnswers, type HealthAnswers, type HealthOptions } from './answer-health.ts';
import { ClientLimits } from './client-limits.ts';
import { parseListen } from './listen.ts';
import { boundUnreadBodies } from './unread-bodies.ts';

/**
 * The small server of a service that runs alone: health, readiness, metrics. It uses Node's own server: Fastify would
 * take 10 MB of each dispatcher for three paths.
 */
export async function startHealthServer(
  listen: string,
  options: HealthOptions,
): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const answers = withFewMetrics(healthAnswers(options));
  const { host, port } = parseListen(listen);
  // A name with two addresses of this machine is served on both, if both exist.
  const [first = host, ...others] =
    host === 'localhost' ? (await lookup(host, { all: true })).map(({ address }) => address) : [host];
  const servers = [await serve(answers, first, port)];
  const bound = (servers[0]!.address() as AddressInfo).port;
  for (const other of others) {
    const also = await serve(answers, other, bound).catch(() => undefined);
    if (also) servers.push(also);
  }
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}`,
    async stop() {
      await Promise.all(
        servers.map(async (server) => {
          const closed = once(server, 'close');
          server.close();
          server.closeAllConnections();
          await closed;
        }),
      );
    },
  };
}

const metricsPerSecond = 10;

/** Metrics take longer than the other responses: beyond {@link metricsPerSecond}, the last ones are repeated. */
function withFewMetrics(answers: HealthAnswers): HealthAnswers {
  let second = 0;
  let count = 0;
  let last: ReturnType<HealthAnswers['/metrics']> | undefined;
  return {
    ...answers,
    '/metrics'() {
      const now = Math.floor(performance.now() / 1000);
      count = now === second ? count + 1 : 1;
      second = now;
      if (count > metricsPerSecond && last) return last;
      last = answers['/metrics']();
      return last;
    },
  };
}

async function serve(answers: HealthAnswers, host: string, port: number): Promise<Server> {
  const limits = new ClientLimits();
  const server = createServer((request, response) => {
    // Not limited: a process that does not respond to it is restarted, and the response is cheap.
    const isLiveness = request.url === '/healthz';
    void (isLiveness ? Promise.resolve(true) : limits.admit(request.socket)).then((isAdmitted) => {
      if (isAdmitted) return respond(answers, request, response);
      response.writeHead(429, { 'content-type': 'text/plain', connection: 'close' }).end('too many requests\n');
      return undefined;
    });
  });
  limits.guard(server);
  boundUnreadBodies(server);
  server.listen(port, host);
  await once(server, 'listening');
  return server;
}

async function respond(answers: HealthAnswers, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = (request.url ?? '').split('?', 1)[0] ?? '';
  const isAsked = request.method === 'GET' || request.method === 'HEAD';
  if (!isAsked || !Object.hasOwn(answers, path)) {
    response.writeHead(404, { 'content-type': 'text/plain' }).end('not found\n');
    return;
  }
  try {
    const { status, type, body } = await answers[path as keyof HealthAnswers]();
    response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) }).end(body);
  } catch {
    // A gauge that reads Redis, or a dependency, could not report its state.
    response.writeHead(500, { 'content-type': 'text/plain' }).end('the state is unknown\n');
  }
}
