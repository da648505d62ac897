import type { IncomingMessage, Server } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** After its response, the rest of a request is read up to these limits: a client that is still sending gets the response. */
const maxUnreadBytes = 1024 * 1024;
const lingerMs = 2_000;
const lookEveryMs = 20;

/** Closes connections whose request body continues after the response. Node would read it until its time limit. */
export function boundUnreadBodies(server: Server): void {
  server.on('request', (request, response) => {
    response.once('finish', () => void endWithoutEnd(request));
  });
}

async function endWithoutEnd(request: IncomingMessage): Promise<void> {
  const { socket } = request;
  const until = performance.now() + lingerMs;
  const mostRead = socket.bytesRead + maxUnreadBytes;
  while (!request.complete && !socket.destroyed) {
    if (socket.bytesRead > mostRead || performance.now() > until) socket.destroy();
    else await sleep(lookEveryMs, undefined, { ref: false });
  }
}
