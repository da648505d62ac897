import { connect, type Socket } from 'node:net';
import { DispatchError } from '@dicom-dispatch/core';
import { within } from '@dicom-dispatch/target-kit/flow';
import { networkError } from '@dicom-dispatch/target-kit/checks';
import type { SftpTarget } from './schema.ts';

/**
 * A TCP connection for ssh2. ssh2 writes each packet in three or four pieces, each with a separate system call; here all
 * writes of one iteration of the event loop are sent together, which doubles the throughput.
 *
 * @throws {DispatchError} in stage `connect`
 */
export async function openSocket({ host, port, connectTimeout }: SftpTarget, signal: AbortSignal): Promise<Socket> {
  const socket = connect({ host, port, noDelay: true });
  const opening = new Promise<void>((resolve, reject) => {
    socket.once('connect', () => resolve());
    socket.once('error', reject);
  });
  const limit = {
    timeoutMs: connectTimeout,
    signal,
    onTimeout: () =>
      new DispatchError('target-unreachable', `${host} did not answer within ${connectTimeout / 1000} s`, {
        stage: 'connect',
      }),
  };
  try {
    await within(opening, limit);
  } catch (thrown) {
    socket.destroy();
    throw networkError(thrown, host, { stage: 'connect' });
  }
  batchWrites(socket);
  return socket;
}

function batchWrites(socket: Socket): void {
  const write = socket.write.bind(socket) as (...args: unknown[]) => boolean;
  let corked = false;
  socket.write = (...args: unknown[]): boolean => {
    if (!corked) {
      corked = true;
      socket.cork();
      setImmediate(() => {
        corked = false;
        socket.uncork();
      });
    }
    return write(...args);
  };
}
