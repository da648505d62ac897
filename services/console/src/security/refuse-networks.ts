import type { Socket } from 'node:net';
import { networkMatcher } from '@dicom-dispatch/core';
import { isLoopback } from '@dicom-dispatch/runtime';
import type { FastifyInstance } from 'fastify';
import type { ConsoleContext } from '../console-context.ts';

/**
 * Closes connections from networks outside of `console.allowFrom` before they cost anything. Behind a proxy the address of
 * the client comes with the request, and `guardAccess` looks at it.
 */
export function refuseNetworks(server: FastifyInstance, context: ConsoleContext): void {
  server.server.on('connection', (socket: Socket) => {
    const { allowFrom, trustProxy } = context.config().console;
    if (allowFrom.length === 0 || trustProxy !== false) return;
    const address = (socket.remoteAddress ?? '').replace(/^::ffff:/, '');
    if (!isLoopback(address) && !networkMatcher(allowFrom)(address)) socket.destroy();
  });
}
