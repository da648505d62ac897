import { fork } from 'node:child_process';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';

/** Delay and bandwidth of a link. */
export interface LinkQuality {
  /** Delay of every byte, in each direction: half of the round trip. */
  readonly delayMs: number;
  /** Bandwidth of all connections together, in each direction; 0 = no limit. */
  readonly bytesPerSecond: number;
}

export interface Link extends AsyncDisposable {
  readonly port: number;
}

/** A link with delay or low bandwidth to a server on this machine, in a separate process so that it does not affect the measurement. */
export async function startLink(port: number, quality: LinkQuality): Promise<Link> {
  const child = fork(fileURLToPath(import.meta.url), [JSON.stringify({ port, ...quality })], {
    execArgv: ['--disable-warning=ExperimentalWarning'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const own = await new Promise<number>((resolve, reject) => {
    child.once('message', (message) => resolve(Number(message)));
    child.once('exit', (code) => reject(new Error(`a link ended with ${code}`)));
  });
  return {
    port: own,
    async [Symbol.asyncDispose]() {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill();
      await ended;
    },
  };
}

const heldLimit = 4 * 1024 * 1024;
/** With limited bandwidth, bytes are sent in pieces of at most this, so that connections share it evenly. */
const pieceBytes = 16 * 1024;

function serve({ port, delayMs, bytesPerSecond }: LinkQuality & { readonly port: number }): void {
  /** When the link is free again, by direction. */
  const freeAt = { up: 0, down: 0 };

  function forward(from: Socket, to: Socket, direction: 'up' | 'down'): void {
    const queue: { readonly chunk: Buffer; readonly due: number }[] = [];
    let held = 0;
    let timer: NodeJS.Timeout | undefined;
    let hasEnded = false;
    from.on('data', (whole: Buffer) => {
      const now = performance.now();
      const atOnce = bytesPerSecond === 0 ? whole.length : pieceBytes;
      for (let at = 0; at < whole.length; at += atOnce) {
        const chunk = whole.subarray(at, at + atOnce);
        const sent =
          bytesPerSecond === 0 ? now : Math.max(now, freeAt[direction]) + (chunk.length / bytesPerSecond) * 1_000;
        freeAt[direction] = sent;
        queue.push({ chunk, due: sent + delayMs });
        held += chunk.length;
      }
      if (held > heldLimit) from.pause();
      next();
    });
    from.on('end', () => {
      hasEnded = true;
      next();
    });
    function next(): void {
      if (timer) return;
      // All due bytes are sent in one call.
      to.cork();
      process.nextTick(() => to.uncork());
      for (let first = queue[0]; first; first = queue[0]) {
        const waitMs = first.due - performance.now();
        if (waitMs > 0.5) {
          timer = setTimeout(() => {
            timer = undefined;
            next();
          }, waitMs);
          return;
        }
        queue.shift();
        held -= first.chunk.length;
        to.write(first.chunk);
        if (held < heldLimit / 2) from.resume();
      }
      if (hasEnded) to.end();
    }
    from.on('close', () => to.destroySoon());
    from.on('error', () => to.destroy());
  }

  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const upstream = connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true });
    forward(client, upstream, 'up');
    forward(upstream, client, 'down');
  });
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
  process.on('disconnect', () => process.exit(0));
}

if (process.argv[1] === fileURLToPath(import.meta.url) && process.send)
  serve(JSON.parse(process.argv[2] ?? '{}') as LinkQuality & { port: number });
