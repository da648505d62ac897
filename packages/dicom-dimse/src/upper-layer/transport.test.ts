import { once } from 'node:events';
import { connect as connectTcp, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { setImmediate as tick } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { DimseError } from '../errors/dimse-error.ts';
import { Transport } from './transport.ts';

let socket: Socket;
let peer: Socket;
let close: () => Promise<void>;

beforeEach(async () => {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  socket = connectTcp((server.address() as AddressInfo).port, '127.0.0.1');
  [[peer]] = (await Promise.all([once(server, 'connection'), once(socket, 'connect')])) as [[Socket], unknown];
  close = async () => {
    socket.destroy();
    peer.destroy();
    server.close();
    await once(server, 'close');
  };
});
afterEach(() => close());

/** A started transport, with the reports of its end. */
function started() {
  const transport = new Transport(socket, 'pacs:104');
  const ends: (DimseError | undefined)[] = [];
  const ended = Promise.withResolvers<void>();
  transport.start({
    onChunk: () => {},
    onClosed(error) {
      ends.push(error);
      ended.resolve();
    },
  });
  return { transport, ends, ended: ended.promise };
}

it('the end of a connection is reported once, with an error only if it is broken', async () => {
  const { transport, ends, ended } = started();
  expect(transport.isClosed).toBe(false);
  peer.end();
  await ended;
  socket.destroy();
  await tick();
  expect(ends).toEqual([undefined]);
  expect(transport.isClosed).toBe(true);
});

it('a broken connection is reported with its error', async () => {
  const { ends, ended } = started();
  peer.resetAndDestroy();
  await ended;
  expect(ends).toMatchObject([
    { code: 'connection-closed', message: 'pacs:104: the peer closed the connection abruptly' },
  ]);
});

it('a connection that has ended before it is used is reported then', async () => {
  const transport = new Transport(socket, 'pacs:104');
  socket.destroy();
  await once(socket, 'close');
  const ends: unknown[] = [];
  transport.start({ onChunk: () => {}, onClosed: (error) => ends.push(error) });
  expect(ends).toEqual([undefined]);
});

it('reading stops until each pause is resumed', () => {
  const { transport } = started();
  transport.pause();
  transport.pause();
  transport.resume();
  expect([transport.isPaused, socket.isPaused()]).toEqual([true, true]);
  transport.resume();
  expect([transport.isPaused, socket.isPaused()]).toEqual([false, false]);
});

it('counts the bytes that the system has accepted, and those that wait', async () => {
  const { transport } = started();
  expect([transport.takenBytes, transport.hasUnsent]).toEqual([0, false]);
  const { promise, resolve } = Promise.withResolvers<void>();
  transport.write(Buffer.alloc(1000), resolve);
  await promise;
  expect([transport.takenBytes, transport.hasUnsent]).toEqual([1000, false]);
  transport.cork();
  transport.write(Buffer.alloc(10));
  expect(transport.hasUnsent).toBe(true);
  transport.uncork();
  transport.destroy();
  expect(transport.hasUnsent).toBe(false);
});

it('what is written after the end is released at once', () => {
  const { transport } = started();
  transport.destroy();
  let isReleased = false;
  transport.write(Buffer.alloc(1), () => {
    isReleased = true;
  });
  expect(isReleased).toBe(true);
});

it('waits for lent chunks above a megabyte, until enough of them are released', async () => {
  const { transport } = started();
  await transport.whenDrained();
  const done: string[] = [];
  const releaseOne = transport.lend(1024 * 1024, () => done.push('one'));
  expect(transport.needsDrain).toBe(false);
  const releaseTwo = transport.lend(1, () => done.push('two'));
  expect(transport.needsDrain).toBe(true);
  let isDrained = false;
  const drained = transport.whenDrained().then(() => {
    isDrained = true;
  });
  await tick();
  expect(isDrained).toBe(false);
  releaseTwo();
  await drained;
  expect([transport.needsDrain, done]).toEqual([false, ['two']]);
  releaseOne();
  expect(done).toEqual(['two', 'one']);
});

it('nothing waits for a connection that has ended', async () => {
  const { transport } = started();
  transport.lend(2 * 1024 * 1024, () => {});
  const drained = transport.whenDrained();
  transport.destroy();
  await drained;
  expect(transport.needsDrain).toBe(false);
});

it('the early byte is the first of the next PDU of data', async () => {
  const { transport } = started();
  transport.writeEarlyByte();
  expect(transport.isCommitted).toBe(true);
  transport.writePDataHeader(Buffer.of(4, 0, 1));
  expect(transport.isCommitted).toBe(false);
  transport.writePDataHeader(Buffer.of(4, 0, 2));
  transport.end();
  const chunks: Buffer[] = [];
  for await (const chunk of peer) chunks.push(chunk as Buffer);
  expect(Buffer.concat(chunks)).toEqual(Buffer.of(4, 0, 1, 4, 0, 2));
});
