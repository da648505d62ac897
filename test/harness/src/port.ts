import { createSocket } from 'node:dgram';
import type { Socket } from 'node:dgram';
import { createServer } from 'node:net';

export interface PortLease {
  readonly port: number;
  release(): void;
}

// Below the ports that the kernel assigns to outgoing connections (32768 and up), which could conflict.
const lowest = 20_000;
const highest = 31_999;

/**
 * A free TCP port that no other test process gets while the lease lasts. The lease is the UDP port of the same number, which the
 * kernel releases when its process ends.
 */
export async function leasePort(): Promise<PortLease> {
  for (let attempt = 0; attempt < 500; attempt += 1) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest + 1));
    const lease = await takeLease(port);
    if (!lease) continue;
    if (await isFree(port)) return { port, release: () => closeQuietly(lease) };
    closeQuietly(lease);
  }
  throw new Error(`no free port from ${lowest} to ${highest}; end what listens there`);
}

/** A free port, reserved for this process until it ends. */
export async function freePort(): Promise<number> {
  const { port } = await leasePort();
  return port;
}

function takeLease(port: number): Promise<Socket | undefined> {
  const socket = createSocket({ type: 'udp4', reuseAddr: false });
  return new Promise((resolve) => {
    socket.once('error', () => resolve(undefined));
    socket.bind({ port, address: '127.0.0.1', exclusive: true }, () => {
      socket.unref();
      resolve(socket);
    });
  });
}

/** Whether a port is free on every address: some servers listen on all of them. */
function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen({ port, host: '0.0.0.0', exclusive: true }, () => server.close(() => resolve(true)));
  });
}

function closeQuietly(socket: Socket): void {
  try {
    socket.close();
  } catch {
    // Closed already.
  }
}
