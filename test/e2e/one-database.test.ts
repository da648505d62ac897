import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { startOrthanc, waitFor, type OrthancServer } from '@dicom-dispatch/harness';
import { makeStudy } from '@dicom-dispatch/samples';
import { readSourceStatus } from '@dicom-dispatch/state/feed';
import { redisNow } from '@dicom-dispatch/state/redis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startFaultScp, type FaultScp } from './support/fault-scp.ts';
import { pacsTarget } from './support/pacs-target.ts';
import { startFollowing, type FollowingServices } from './support/start-in-process.ts';
import { startSystem, type System } from './support/system.ts';

/** Two sources that have two databases, until one of them gets that of the other while it is followed. */
let system: System;
let other: OrthancServer;
let scp: FaultScp;
let dispatch: FollowingServices;
let fronts: { readonly main: Front; readonly again: Front };

interface Front extends AsyncDisposable {
  readonly url: string;
  /** Leads to another Orthanc from now on. */
  lead(to: OrthancServer): void;
}

async function startFront(first: OrthancServer): Promise<Front> {
  let to = first;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    const upstream = connect(to.httpPort, '127.0.0.1');
    for (const [one, next] of [[socket, upstream] as const, [upstream, socket] as const]) {
      sockets.add(one);
      one
        .on('error', () => {})
        .on('close', () => {
          sockets.delete(one);
          next.destroy();
        });
    }
    socket.pipe(upstream).pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = (): void => sockets.forEach((socket) => void socket.destroy());
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    lead(next) {
      to = next;
      cut();
    },
    async [Symbol.asyncDispose]() {
      cut();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

beforeAll(async () => {
  [system, other, scp] = await Promise.all([startSystem(), startOrthanc(), startFaultScp()]);
  fronts = { main: await startFront(system.orthanc), again: await startFront(other) };
  const source = ({ url }: Front) => ({
    url,
    pollInterval: '200ms',
    startFrom: 'everything',
    sweep: { every: '1s', settle: '2s' },
  });
  dispatch = await startFollowing({
    config: system.config(
      { pacs: pacsTarget(scp) },
      { sources: { main: source(fronts.main), again: source(fronts.again) } },
    ),
  });
});
afterAll(async () => {
  await dispatch?.[Symbol.asyncDispose]();
  for (const one of [fronts?.main, fronts?.again, scp, system]) await one?.[Symbol.asyncDispose]();
  await other?.stop();
});

const small = { instancesPerSeries: 2, rows: 16, columns: 16 };
const message = (): string => dispatch.output();

it('notices it, and sends no study of the database again', async () => {
  const one = await system.upload({ seed: 'of main', ...small });
  await system.untilDelivery(one, 'pacs', ['delivered']);
  // The two are found to differ.
  const expected = scp.stores.length + 2;
  for (const { bytes } of makeStudy({ seed: 'of again', ...small })) await other.upload(bytes);
  await waitFor(() => scp.stores.length === expected, { message });
  fronts.again.lead(system.orthanc);
  await waitFor(() => dispatch.output().includes('"sameAs":"main"'), { message });
  const next = await system.upload({ seed: 'of main, later', ...small });
  await system.untilDelivery(next, 'pacs', ['delivered']);
  // A report from after the delivery: the source is still not followed, so that nothing is sent later.
  const { prefix } = dispatch.config.redis;
  const now = await redisNow(dispatch.redis, prefix);
  const isRefused = async (): Promise<boolean> => {
    const status = await readSourceStatus(dispatch.redis, prefix, 'again');
    return status?.sameAs === 'main' && status.at > now;
  };
  await waitFor(isRefused, { message });
  expect(scp.stores).toHaveLength(expected + 2);
});
