import type { Socket } from 'node:net';
import { isLoopback, networkMatcher } from '@dicom-dispatch/core';
import type { FastifyInstance } from 'fastify';
import type { ConsoleContext } from '../console-context.ts';
import { clientKey } from './client-key.ts';

/** Maximum number of open connections of one client: more would wait for `AnonymousPace` without end. */
const maxConnectionsOfOne = 600;

/**
 * Closes connections from networks outside of `console.allowFrom`, and excessive ones of one client, before a request is read.
 * Behind a proxy the address of the client is in the request, and `guardAccess` checks it.
 */
export function refuseNetworks(server: FastifyInstance, context: ConsoleContext): void {
  const open = new Map<string, number>();
  server.server.on('connection', (socket: Socket) => {
    const { allowFrom, trustProxy } = context.config().console;
    if (trustProxy !== false) return;
    const address = (socket.remoteAddress ?? '').replace(/^::ffff:/, '');
    if (allowFrom.length > 0 && !isLoopback(address) && !networkMatcher(allowFrom)(address)) {
      socket.destroy();
      return;
    }
    const client = clientKey(address);
    const count = open.get(client) ?? 0;
    if (count >= maxConnectionsOfOne) {
      socket.destroy();
      return;
    }
    open.set(client, count + 1);
    socket.once('close', () => {
      const left = (open.get(client) ?? 1) - 1;
      if (left > 0) open.set(client, left);
      else open.delete(client);
    });
  });
}
