import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

export interface ScriptedServer extends AsyncDisposable {
  url: string;
  /** Connections accepted so far. */
  connections(): number;
  /** Head of each request so far. */
  requests: string[];
}

/**
 * A server that responds to GET requests byte by byte as defined by the test: for responses that no real HTTP server would send.
 *
 * @param answer called with the socket, the number of the request on its connection, and that of the connection, from 0
 */
export async function startScriptedServer(
  answer: (socket: Socket, request: number, connection: number) => void,
): Promise<ScriptedServer> {
  const sockets = new Set<Socket>();
  const requests: string[] = [];
  let connections = 0;
  const server = createServer({ noDelay: true }, (socket) => {
    const connection = connections;
    connections += 1;
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
    let received = '';
    let count = 0;
    socket.on('data', (bytes) => {
      received += bytes.toString('latin1');
      for (let end = received.indexOf('\r\n\r\n'); end !== -1; end = received.indexOf('\r\n\r\n')) {
        requests.push(received.slice(0, end));
        received = received.slice(end + 4);
        answer(socket, count, connection);
        count += 1;
      }
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    connections: () => connections,
    requests,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}

/** A response of status 200 with a length. */
export function okAnswer(body: string | Buffer, fields = 'Keep-Alive: timeout=1'): Buffer {
  const head = `HTTP/1.1 200 OK\r\n${fields}\r\nContent-Length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head, 'latin1'), Buffer.from(body)]);
}
