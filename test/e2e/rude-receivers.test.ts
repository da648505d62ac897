import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { waitFor } from '@dicom-dispatch/harness';
import { Circuits } from '@dicom-dispatch/state/circuit';
import { createServer as createDimseServer, type DimseServer } from 'dicom-dimse';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startFaultScp, type FaultScp } from './support/fault-scp.ts';
import { pacsTarget } from './support/pacs-target.ts';
import { startDispatch } from './support/start-dispatch.ts';
import { startInProcess } from './support/start-in-process.ts';
import { prefix, startSystem, type System, type UploadedStudy } from './support/system.ts';

let system: System;
beforeAll(async () => {
  system = await startSystem();
});
afterAll(() => system[Symbol.asyncDispose]());

/** PS3.8 section 9.3.8: A-ABORT by the service provider, reason not specified. */
const abort = Buffer.from([0x07, 0, 0, 0, 0, 4, 0, 0, 2, 0]);
const anything = ({ transferSyntaxes }: { readonly transferSyntaxes: readonly string[] }) => transferSyntaxes[0];

/** Servers in place of a receiver. Each is ended by `stop`, and the receiver then uses its port. */
const rude: Readonly<Record<string, () => Promise<{ readonly port: number; stop(): Promise<void> }>>> = {
  // A load balancer without a server behind it.
  closing: () => tcp((socket) => void socket.end()),
  aborting: () => tcp((socket) => void socket.once('data', () => socket.end(abort))),
  full: () => dimse({ presentationContexts: anything, maxAssociations: 0, handlers: {} }),
  silent: () => dimse({ presentationContexts: anything, handlers: { store: () => new Promise<number>(() => {}) } }),
};

async function tcp(answer: (socket: Socket) => void): Promise<{ port: number; stop(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server: Server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    answer(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    stop: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

async function dimse(
  options: Parameters<typeof createDimseServer>[0],
): Promise<{ port: number; stop(): Promise<void> }> {
  const server: DimseServer = createDimseServer(options);
  const { port } = await server.listen({ port: 0, host: '127.0.0.1' });
  return { port, stop: () => server.close() };
}

/** Studies of other tests of this file arrive too: they share one source. */
function expectAll(scp: FaultScp | undefined, { datasets }: UploadedStudy): void {
  const accepted = scp?.accepted() ?? new Map();
  expect(new Map([...datasets.keys()].map((uid) => [uid, accepted.get(uid)]))).toEqual(datasets);
}

it('receivers that are down behind a balancer, abort, are full or silent consume no attempt, and get the study when they are back', async () => {
  const peers = await Promise.all(Object.entries(rude).map(async ([name, start]) => ({ name, peer: await start() })));
  const targets = Object.fromEntries(
    peers.map(({ name, peer: { port } }) => [
      name,
      pacsTarget(
        { host: '127.0.0.1', port, aet: 'FAULTSCP' },
        { attempts: 1, timeout: '1s', associationTimeout: '2s' },
      ),
    ]),
  );
  const scps: FaultScp[] = [];
  await using running = await startInProcess({
    config: system.config(targets),
    circuitPauses: { firstMs: 200, maxMs: 400 },
  });
  try {
    const study = await system.upload({ seed: 'rude', instancesPerSeries: 3 });
    const circuits = new Circuits(system.client, prefix);
    for (const { name } of peers) {
      await waitFor(async () => (await circuits.state(name)).failures >= 3, {
        message: `three probes of ${name} have failed`,
      });
    }
    for (const { name, peer } of peers) {
      const waiting = await system.untilDelivery(study, name, ['waiting']);
      expect(waiting, name).toMatchObject({ attempts: 0, failures: 0 });
      await peer.stop();
      scps.push(await startFaultScp({ port: peer.port }));
    }
    for (const [index, { name }] of peers.entries()) {
      await system.untilDelivery(study, name, ['delivered']);
      expectAll(scps[index], study);
    }
    expect(running.redis.status).toBe('ready');
  } finally {
    await Promise.all(scps.map((scp) => scp.down()));
  }
});

it('a receiver that accepts one association at a time is served with one by several dispatchers, which remember the limit', async () => {
  await using scp = await startFaultScp({ maxAssociations: 1 });
  scp.delayMs = 150;
  const config = system.config(
    { single: pacsTarget(scp, { attempts: 1 }) },
    { dispatcher: { concurrency: 1, lockTime: '30s' } },
  );
  await using router = await startInProcess({ config, services: ['router'] });
  await using first = await startDispatch({ command: 'dispatcher', config });
  await using second = await startDispatch({ command: 'dispatcher', config });
  const studies = await Promise.all(
    [1, 2, 3, 4].map((number) => system.upload({ seed: `single ${number}`, instancesPerSeries: 15 })),
  );
  for (const study of studies) await system.untilDelivery(study, 'single', ['delivered']);
  const learnt = await router.redis.hget(`${prefix}:learnt`, 'single');
  expect(JSON.parse(learnt ?? '{}'), `${first.output()}${second.output()}`).toMatchObject({ concurrency: 1 });
  expect(await router.redis.hget(`${prefix}:target-single:meta`, 'concurrency')).toBe('1');
  for (const study of studies) expectAll(scp, study);
});

it('a receiver that ends the association after every tenth instance gets all of them: progress is no failure', async () => {
  await using scp = await startFaultScp({ associationEndsAfter: 10 });
  await using running = await startInProcess({
    config: system.config({
      tens: pacsTarget(scp, { attempts: 2, maxParallel: 1, backoff: { first: '50ms', max: '50ms' } }),
    }),
  });
  const study = await system.upload({ seed: 'tens', instancesPerSeries: 100, rows: 16, columns: 16 });
  const done = await system.untilDelivery(study, 'tens', ['delivered', 'partial', 'failed']);
  expect(done).toMatchObject({ state: 'delivered', quarantined: 0 });
  expectAll(scp, study);
  expect(running.redis.status).toBe('ready');
});
