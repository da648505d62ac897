import { connect, type Socket } from 'node:net';
import { httpRequest, waitFor } from '@dicom-dispatch/harness';
import { expect, it, onTestFinished, vi } from 'vitest';
import { createMetrics } from '../process/metrics.ts';
import type { RunningService } from '../process/dependency.ts';
import { startHealthServer } from './health-server.ts';

const metrics = createMetrics();

function service(ok: boolean): RunningService {
  return { name: 'test', dependencies: async () => [{ name: 'redis', ok, detail: '' }], stop: async () => {} };
}

it('reports that the process is alive, its dependencies, and its metrics', async () => {
  let ok = false;
  const server = await startHealthServer('127.0.0.1:0', { services: () => [service(ok)], metrics });
  const get = (path: string) => httpRequest(`${server.url}${path}`);
  expect((await get('/healthz')).body.toString()).toBe('{"status":"ok"}');
  expect((await get('/readyz')).status).toBe(503);
  ok = true;
  const ready = await get('/readyz?verbose=1');
  expect(ready.status).toBe(200);
  expect(JSON.parse(ready.body.toString())).toMatchObject({ status: 'ready', services: [{ service: 'test' }] });
  expect((await get('/metrics')).body.toString()).toContain('process_cpu');
  expect((await get('/elsewhere')).status).toBe(404);
  expect((await fetch(`${server.url}/healthz`, { method: 'HEAD' })).status).toBe(200);
  expect((await fetch(`${server.url}/healthz`, { method: 'POST' })).status).toBe(404);
  await server.stop();
  await expect(get('/healthz')).rejects.toThrow();
});

it('answers 500 if a dependency cannot report its state', async () => {
  const failing: RunningService = { ...service(true), dependencies: () => Promise.reject(new Error('no answer')) };
  const server = await startHealthServer('127.0.0.1:0', { services: () => [failing], metrics });
  expect((await httpRequest(`${server.url}/readyz`)).status).toBe(500);
  await server.stop();
});

it('lets one address take few connections and answers a second, so that the process continues its work', async () => {
  let looked = 0;
  const busy: RunningService = {
    ...service(true),
    dependencies: async () => {
      looked += 1;
      return [];
    },
  };
  const server = await startHealthServer('127.0.0.1:0', { services: () => [busy], metrics });
  const { port } = new URL(server.url);
  const sockets = await Promise.all(
    Array.from({ length: 60 }, () => {
      const { promise, resolve } = Promise.withResolvers<Socket>();
      const socket = connect(Number(port), '127.0.0.1', () => resolve(socket));
      socket.on('error', () => {}).resume();
      return promise;
    }),
  );
  await waitFor(() => sockets.filter(({ destroyed }) => destroyed).length === 40);
  const open = sockets.filter(({ destroyed }) => !destroyed);
  // The newest ones: a probe succeeds.
  expect(sockets.slice(40).every(({ destroyed }) => !destroyed)).toBe(true);
  for (const socket of open) socket.write('GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(400));
  // Rejected at the end of the second; requests in the next second are answered.
  await waitFor(() => open.every(({ destroyed }) => destroyed));
  expect(looked).toBeLessThan(1500);
  await waitFor(async () => (await httpRequest(`${server.url}/readyz`)).status === 200);
  await server.stop();
});

it('counts the requests of an address in a second, also those of closed connections', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  onTestFinished(() => void vi.useRealTimers());
  vi.advanceTimersByTime(950);
  const server = await startHealthServer('127.0.0.1:0', { services: () => [], metrics });
  const statuses: number[] = [];
  for (let count = 0; count < 102; count += 1) {
    const { status } = await httpRequest(`${server.url}/readyz`, { headers: { connection: 'close' } });
    statuses.push(status);
  }
  expect(statuses).toEqual([...Array<number>(100).fill(200), 429, 429]);
  // A liveness probe is always answered.
  expect((await httpRequest(`${server.url}/healthz`)).status).toBe(200);
  vi.advanceTimersByTime(100);
  expect((await httpRequest(`${server.url}/readyz`)).status).toBe(200);
  await server.stop();
});

it('rejects an address in use', async () => {
  const first = await startHealthServer('127.0.0.1:0', { services: () => [], metrics });
  await expect(startHealthServer(new URL(first.url).host, { services: () => [], metrics })).rejects.toMatchObject({
    code: 'EADDRINUSE',
  });
  await first.stop();
});

it('serves localhost on all its addresses', async () => {
  const server = await startHealthServer('localhost:0', { services: () => [], metrics });
  expect((await httpRequest(`${server.url}/healthz`)).status).toBe(200);
  await server.stop();
});

it('lists what needs a person, which makes no service less ready, and does not wait for it', async () => {
  const clock = { name: 'clock', ok: false, detail: '40 s ahead', isNeeded: false };
  const skewed: RunningService = { ...service(true), dependencies: async () => [clock] };
  const found = { kind: 'clock-skew', severity: 'warning', subject: '' };
  let findings = () => Promise.resolve([found]);
  const options = { services: () => [skewed], metrics, findings: () => findings() };
  const server = await startHealthServer('127.0.0.1:0', options);
  const ready = async () => {
    const { status, body } = await httpRequest(`${server.url}/readyz`);
    return { code: status, ...(JSON.parse(body.toString()) as { findings?: unknown }) };
  };
  expect(await ready()).toMatchObject({ code: 200, status: 'ready', findings: [found] });
  findings = () => new Promise(() => {});
  expect((await ready()).findings).toBeUndefined();
  findings = () => Promise.reject(new Error('no answer'));
  expect((await ready()).findings).toBeUndefined();
  await server.stop();
});
