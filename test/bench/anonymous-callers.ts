import { request, Agent } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface LoadTargets {
  readonly console: string;
  readonly push: string;
}

export interface Load {
  /** Number of responses by status; 0 is a connection that was closed. */
  readonly statuses: ReadonlyMap<number, number>;
  stop(): Promise<void>;
}

interface Call {
  readonly method?: string;
  readonly base?: 'console' | 'push';
  readonly path: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

const form = { 'content-type': 'application/x-www-form-urlencoded' };
const long = 'x'.repeat(8_000);
let counter = 0;

/** Requests that a client without an account may send. */
const kinds: readonly (() => Call)[] = [
  () => ({
    method: 'POST',
    path: '/sign-in',
    headers: form,
    body: `name=nobody-${(counter += 1)}&password=${long.slice(0, 900)}`,
  }),
  () => ({ method: 'POST', path: '/sign-in', headers: form, body: `name=ada&password=guess-${(counter += 1)}` }),
  () => ({ path: `/sign-in/oidc?to=/${long}` }),
  () => ({
    path: '/sign-in/oidc/callback?code=x&state=y',
    headers: { cookie: `dispatch-oidc=${long.slice(0, 3000)}` },
  }),
  () => ({
    path: '/api/studies?search=*',
    headers: { authorization: `Bearer guess-${(counter += 1)}-0123456789abcdef` },
  }),
  () => ({
    path: '/studies',
    headers: { accept: 'text/html', cookie: `dispatch=${String((counter += 1)).padStart(43, 'x')}` },
  }),
  () => ({ method: 'PUT', path: '/queues/api/queues/target-archive/pause' }),
  () => ({ path: '/api/targets/__proto__', headers: { 'x-forwarded-for': `203.0.113.${(counter += 1) % 250}` } }),
  () => ({ path: '/api/events' }),
  () => ({ path: `/static/x/${long.slice(0, 150)}?/static/` }),
  () => ({ path: '/healthz' }),
  () => ({ method: 'POST', path: '/sign-in', headers: form, body: long.repeat(4) }),
  () => ({
    base: 'push',
    method: 'POST',
    path: '/sources/main/studies/0a1b2c3d-0a1b2c3d-0a1b2c3d-0a1b2c3d-0a1b2c3d/stable',
    headers: { authorization: 'Bearer guess' },
    body: '{}',
  }),
];

/**
 * Opens this number of connections, each of which sends the next request after a response; a tenth of them send endless
 * bodies, a byte a second.
 */
export function startLoad(targets: LoadTargets, connections: number): Load {
  const statuses = new Map<number, number>();
  const count = (status: number): void => void statuses.set(status, (statuses.get(status) ?? 0) + 1);
  const abort = new AbortController();
  const { signal } = abort;
  const running = Array.from({ length: connections }, async (_, index) => {
    const act = index % 10 === 0 ? endlessBody : askAgain;
    while (!signal.aborted) await act(targets, index, count, signal).catch(() => count(0));
  });
  return {
    statuses,
    async stop() {
      abort.abort();
      await Promise.all(running);
    },
  };
}

type Act = (targets: LoadTargets, index: number, count: (status: number) => void, signal: AbortSignal) => Promise<void>;

const askAgain: Act = async (targets, index, count, signal) => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  try {
    for (let step = index; !signal.aborted; step += 1) {
      const call = kinds[step % kinds.length]!();
      const status = await ask(new URL(call.path, targets[call.base ?? 'console']), call, agent, signal);
      count(status);
      // A rejected client reconnects, but not immediately: a connection has a cost for it too.
      if (status === 0) await sleep(50);
    }
  } finally {
    agent.destroy();
  }
};

function ask(
  url: URL,
  { method = 'GET', headers = {}, body }: Call,
  agent: Agent,
  signal: AbortSignal,
): Promise<number> {
  return new Promise((resolve) => {
    const sent = request(url, { method, headers, agent, signal }, (answer) => {
      answer.resume();
      answer.once('end', () => resolve(answer.statusCode ?? 0));
      answer.once('error', () => resolve(0));
    });
    sent.once('error', () => resolve(0));
    sent.end(body);
  });
}

const endlessBody: Act = ({ console }, _index, count, signal) =>
  new Promise((resolve) => {
    const { hostname, port } = new URL(console);
    const socket = connect(Number(port), hostname, () =>
      socket.write(
        `POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Type: ${form['content-type']}\r\nContent-Length: 5000\r\n\r\nname=`,
      ),
    );
    const trickle = setInterval(() => socket.write('x'), 1_000);
    const end = (): void => {
      clearInterval(trickle);
      socket.destroy();
      resolve();
    };
    signal.addEventListener('abort', end, { once: true });
    socket.resume();
    socket.on('error', () => {});
    socket.once('close', () => {
      signal.removeEventListener('abort', end);
      count(0);
      end();
    });
  });
