import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startFaultProxy } from './fault-proxy.ts';
import { waitFor } from './wait-for.ts';

let echo: ReturnType<typeof createServer>;
let port: number;

beforeEach(async () => {
  echo = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });
  echo.listen(0, '127.0.0.1');
  await once(echo, 'listening');
  port = (echo.address() as AddressInfo).port;
});
afterEach(() => {
  echo.close();
});

async function dial(to: number): Promise<Socket & { received(): string; failure(): string | undefined }> {
  const socket = connect({ port: to, host: '127.0.0.1', allowHalfOpen: true });
  let received = '';
  let failure: string | undefined;
  socket.on('data', (chunk) => {
    received += chunk.toString();
  });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    failure = error.code;
  });
  await Promise.race([once(socket, 'connect'), once(socket, 'close')]).catch(() => undefined);
  return Object.assign(socket, { received: () => received, failure: () => failure });
}

test('passes a large answer through a slow reader unchanged', async () => {
  await using proxy = await startFaultProxy({ port, latencyMs: 5 });
  const socket = await dial(proxy.port);
  const text = 'abcdefgh'.repeat(1_000_000);
  socket.end(text);
  await waitFor(() => socket.readableEnded);
  expect(socket.received() === text).toBe(true);
  expect(proxy.counters()).toMatchObject({ connections: 1, bytesUp: text.length, bytesDown: text.length, resets: 0 });
  await waitFor(() => proxy.counters().open === 0);
});

test('rejects connections, and accepts them again on the same port', async () => {
  await using proxy = await startFaultProxy({ port, refuse: true });
  expect((await dial(proxy.port)).failure()).toBe('ECONNREFUSED');
  await proxy.heal();
  const socket = await dial(proxy.port);
  socket.end('back');
  await waitFor(() => socket.received() === 'back');
});

test('resets each connection after so many bytes', async () => {
  await using proxy = await startFaultProxy({ port, resetAfterBytesUp: 10 });
  const socket = await dial(proxy.port);
  socket.write('0123456789abcdef');
  await waitFor(() => socket.failure() === 'ECONNRESET');
  expect(proxy.counters()).toMatchObject({ resets: 1, bytesUp: 10 });
});

test('loses the answer but not the request', async () => {
  await using proxy = await startFaultProxy({ port, resetAfterBytesDown: 0 });
  const socket = await dial(proxy.port);
  socket.write('request');
  await waitFor(() => socket.failure() === 'ECONNRESET');
  expect(socket.received()).toBe('');
  expect(proxy.counters()).toMatchObject({ bytesUp: 7, bytesDown: 0 });
});

test('holds bytes while paused, and swallows them in a black hole', async () => {
  await using proxy = await startFaultProxy({ port, paused: true });
  const socket = await dial(proxy.port);
  socket.write('later');
  await proxy.set({ paused: false });
  await waitFor(() => socket.received() === 'later');
  await proxy.set({ blackHole: true });
  socket.write('never');
  await proxy.set({ latencyMs: 1 });
  const before = proxy.counters().bytesUp;
  await proxy.heal();
  socket.write('again');
  await waitFor(() => socket.received().endsWith('again'));
  expect(before).toBe(5);
});

test('limits the rate', async () => {
  await using proxy = await startFaultProxy({ port, bytesPerSecond: 10_000 });
  const socket = await dial(proxy.port);
  socket.write('x'.repeat(2000));
  await waitFor(() => proxy.counters().bytesUp > 0);
  expect(proxy.counters().bytesUp).toBeLessThan(2000);
  await waitFor(() => socket.received().length === 2000);
});

test('cuts and half-closes what is open', async () => {
  await using proxy = await startFaultProxy({ port });
  const first = await dial(proxy.port);
  first.write('a');
  await waitFor(() => first.received() === 'a');
  proxy.halfClose('client');
  await waitFor(() => first.readableEnded);
  expect(first.writable).toBe(true);
  const second = await dial(proxy.port);
  second.write('b');
  await waitFor(() => second.received() === 'b');
  proxy.cut();
  await waitFor(() => second.failure() === 'ECONNRESET');
});
