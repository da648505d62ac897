import { createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net';
import { startFaultProxy, startStorescp, waitFor } from '@dicom-dispatch/harness';
import { createServer, type IncomingInstance, type ServerOptions } from 'dicom-dimse';
import { stopClock } from '@dicom-dispatch/harness/stop-clock';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { TestDelivery } from '@dicom-dispatch/target-kit/testing';
import { fixtureStudy, receivedFiles } from '../contract-suite/index.ts';
import { AssociationPool } from './association-pool.ts';
import { associationsFor } from './associations-for.ts';
import { dicomHandler } from './handler.ts';
import { dicomTarget, type DicomTarget } from './schema.ts';

const small = { rows: 8, columns: 8 } as const;

type Answer = number | 'abort' | 'answer and abort' | 'hang';

interface Receiver extends AsyncDisposable {
  readonly port: number;
  readonly stored: string[];
  /** Associations that were accepted. */
  readonly accepted: () => number;
  readonly maxAtOnce: () => number;
  config(more?: Record<string, unknown>): DicomTarget;
}

/** @param answer - response to the C-STORE with this number on its association, and with this number in all; both from 1 */
async function receiver(
  answer: (uid: string, onAssociation: number, inAll: number) => Answer = () => 0,
  options: Partial<ServerOptions> = {},
): Promise<Receiver> {
  const stored: string[] = [];
  const counts = new WeakMap<object, number>();
  let inAll = 0;
  let accepted = 0;
  let maxAtOnce = 0;
  async function store({ sopInstanceUid, dataSet, association }: IncomingInstance): Promise<number> {
    for await (const _chunk of dataSet);
    const count = (counts.get(association) ?? 0) + 1;
    counts.set(association, count);
    inAll += 1;
    const given = answer(sopInstanceUid, count, inAll);
    if (given === 'hang') return new Promise(() => {});
    if (given === 'abort') {
      association.abort();
      return 0;
    }
    if (given === 'answer and abort') setImmediate(() => association.abort());
    stored.push(sopInstanceUid);
    return typeof given === 'number' ? given : 0;
  }
  const server = createServer({
    presentationContexts: ({ transferSyntaxes }) => transferSyntaxes[0],
    onAssociation: () => {
      accepted += 1;
      maxAtOnce = Math.max(maxAtOnce, server.associationCount);
    },
    handlers: { store },
    ...options,
  });
  const { port } = await server.listen({ port: 0, host: '127.0.0.1' });
  return {
    port,
    stored,
    accepted: () => accepted,
    maxAtOnce: () => maxAtOnce,
    config: (more = {}) => configAt(port, more),
    [Symbol.asyncDispose]: () => server.close(),
  };
}

function configAt(port: number, more: Record<string, unknown> = {}): DicomTarget {
  return dicomTarget.parse({ type: 'dicom', host: '127.0.0.1', port, calledAeTitle: 'RECEIVER', ...more });
}

/** A server that accepts connections and does what a test defines. */
async function listener(onSocket: (socket: Socket) => void): Promise<AsyncDisposable & { port: number }> {
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const study = (seed: string, instances: number) =>
  fixtureStudy({ seed, series: 1, instancesPerSeries: instances, ...small });

describe('a receiver that is not there, behind something that is', () => {
  const abort = Buffer.from('07000000000400000000', 'hex');
  it.each<[string, (socket: Socket) => void, string]>([
    ['closes the connection', (socket) => socket.end(), 'target-unreachable'],
    ['resets the connection', (socket) => socket.resetAndDestroy(), 'target-unreachable'],
    ['closes it when the request has come', (socket) => socket.once('data', () => socket.end()), 'target-unreachable'],
    ['aborts instead of rejecting', (socket) => socket.once('data', () => socket.end(abort)), 'target-unreachable'],
    ['says nothing', (socket) => socket.resume(), 'target-timeout'],
  ])('%s: it waits', async (_name, act, code) => {
    await using peer = await listener(act);
    const delivery = new TestDelivery(dicomHandler, study('not there', 2));
    const { error, reported } = await delivery.attempt(
      configAt(peer.port, { associationTimeout: code === 'target-timeout' ? '200ms' : '600s' }),
    );
    expect(error).toMatchObject({ code, stage: 'connect', disposition: 'wait' });
    expect(error?.remedy).toMatch(/accepts connections/);
    expect(reported.size).toBe(0);
  });

  it.each(['local-limit-exceeded', 'temporary-congestion'] as const)('rejects with %s: it is busy', async (reason) => {
    await using scp = await receiver(undefined, {
      authorize: () => ({ accept: false, reason }),
    });
    const { error } = await new TestDelivery(dicomHandler, study('busy', 2)).attempt(scp.config());
    expect(error).toMatchObject({ code: 'target-busy', stage: 'connect' });
  });

  it('never answers a C-STORE: it waits, and nothing is blamed', async () => {
    await using scp = await receiver(() => 'hang');
    const delivery = new TestDelivery(dicomHandler, study('never answers', 8));
    for (const _ of [1, 2, 3, 4]) {
      const { error } = await delivery.attempt(scp.config({ timeout: '150ms' }));
      expect(error).toMatchObject({ code: 'target-timeout', disposition: 'wait' });
      expect(delivery.pending.length).toBe(8);
    }
  });

  it('aborts on every C-STORE (storescp): no instance is quarantined, for any number of attempts', async () => {
    await using scp = await startStorescp({ args: ['--abort-after'] });
    const delivery = new TestDelivery(dicomHandler, study('storage is down', 5));
    const config = configAt(scp.port, { calledAeTitle: scp.aet });
    for (const _ of [1, 2, 3, 4]) {
      const { error } = await delivery.attempt(config);
      expect(error).toMatchObject({ code: 'target-connection-lost' });
      expect(delivery.pending.length).toBe(5);
    }
  });

  it.each(['abort', 'hang'] as const)('fails when one instance is left (%s): that one is not blamed', async (how) => {
    let isDown = false;
    using clock = stopClock();
    await using scp = await receiver((_uid, _on, inAll) => {
      if (!isDown && inAll <= 5) return 0;
      if (how === 'hang') void clock.pass(60_000);
      return how;
    });
    const delivery = new TestDelivery(dicomHandler, study(`the last one ${how}`, 6));
    for (const _ of [1, 2, 3, 4, 5]) {
      const { error } = await delivery.attempt(scp.config({ maxParallel: 1, timeout: '60s' }));
      expect(error).toBeDefined();
      isDown = true;
    }
    expect([...delivery.ledger.values()].filter(({ kind }) => kind === 'quarantined')).toEqual([]);
    expect(delivery.pending.length).toBeGreaterThan(0);
  });
});

describe('a receiver that accepts one association at a time', () => {
  it('is served with one, and that is remembered for the next delivery', async () => {
    let rejected = 0;
    await using scp = await receiver(undefined, {
      maxAssociations: 1,
      observer: (event) => {
        if (event.type === 'pdu-sent' && event.pdu === 'A-ASSOCIATE-RJ') rejected += 1;
      },
    });
    const first = new TestDelivery(dicomHandler, study('one', 12));
    expect((await first.attempt(scp.config())).error).toBeUndefined();
    expect(rejected).toBeGreaterThan(0);
    expect(first.logged).toContainEqual({
      text: 'receiver accepts fewer associations',
      facts: { associations: 1, reason: 'target-busy' },
    });
    const before = rejected;
    const second = new TestDelivery(dicomHandler, study('one more', 12));
    expect((await second.attempt(scp.config())).error).toBeUndefined();
    expect(rejected).toBe(before);
    expect(scp.stored.length).toBe(24);
    expect(scp.maxAtOnce()).toBe(1);
  });

  it('lets a second delivery wait for the first, or reports the limit', async () => {
    await using scp = await receiver(undefined, { maxAssociations: 1 });
    const first = new TestDelivery(dicomHandler, study('a', 30));
    const second = new TestDelivery(dicomHandler, study('b', 30));
    const attempts = [first.attempt(scp.config()), second.attempt(scp.config())];
    const errors = (await Promise.all(attempts)).map(({ error }) => error);
    // One delivery had the association; the other was rejected, or was served afterwards.
    for (const error of errors.filter((one) => one !== undefined)) {
      expect(error).toMatchObject({
        code: 'target-busy',
        stage: 'connect',
        message: expect.stringContaining('the receiver accepts no more than 1 association at the same time'),
      });
    }
    expect(errors.some((one) => one === undefined)).toBe(true);
    const again = [first, second].filter(({ pending }) => pending.length > 0);
    for (const one of again) expect((await one.attempt(scp.config())).error).toBeUndefined();
    expect(new Set(scp.stored).size).toBe(60);
    // Now the limit is known: they are served sequentially.
    const third = new TestDelivery(dicomHandler, study('c', 10));
    const fourth = new TestDelivery(dicomHandler, study('d', 10));
    const both = await Promise.all([third.attempt(scp.config()), fourth.attempt(scp.config())]);
    expect(both.map(({ error }) => error)).toEqual([undefined, undefined]);
  });

  it('and leaves the others hanging (storescp without fork) gets one delivery after the other', async () => {
    await using scp = await startStorescp({ fork: false });
    const config = configAt(scp.port, { calledAeTitle: scp.aet, associationTimeout: '600s' });
    const both = await Promise.all(
      ['e', 'f'].map((seed) => new TestDelivery(dicomHandler, study(seed, 10)).attempt(config)),
    );
    expect(both.map(({ error }) => error)).toEqual([undefined, undefined]);
    expect((await receivedFiles(scp.receivedFolder)).length).toBe(20);
  });
});

describe('a receiver that ends associations', () => {
  it.each<[string, (uid: string, on: number, inAll: number) => Answer, Record<string, unknown>]>([
    ['after every 10th instance', (_uid, on) => (on === 10 ? 'answer and abort' : 0), {}],
    ['after every 10th, over one association', (_uid, on) => (on === 10 ? 'answer and abort' : 0), { maxParallel: 1 }],
    ['instead of answering every 10th', (_uid, on) => (on === 10 ? 'abort' : 0), {}],
    ['instead of answering every 7th in all', (_uid, _on, inAll) => (inAll % 7 === 0 ? 'abort' : 0), {}],
    ['after every single instance', () => 'answer and abort', {}],
    ['instead of answering every 2nd', (_uid, on) => (on === 2 ? 'abort' : 0), { maxParallel: 2 }],
  ])('%s gets all of a study in one attempt; no instance is blamed', async (_name, answer, more) => {
    await using scp = await receiver(answer);
    const delivery = new TestDelivery(dicomHandler, study('ends', 60));
    const { error } = await delivery.attempt(scp.config(more));
    expect(error).toBeUndefined();
    expect([...delivery.ledger.values()].every(({ kind }) => kind === 'delivered')).toBe(true);
    expect(new Set(scp.stored).size).toBe(60);
    expect(scp.accepted()).toBeGreaterThan(5);
  });

  it('because they were idle while the source was slow: the instance is sent on a new one', async () => {
    let open = 0;
    await using scp = await receiver(() => 0, {
      idleTimeoutMs: 100,
      onAssociation: (association) => {
        open += 1;
        void association.ended.then(() => (open -= 1));
      },
    });
    const delivery = new TestDelivery(dicomHandler, study('idle', 1));
    const { error } = await delivery.attempt(scp.config(), {
      onOpen: async () => {
        await waitFor(() => open === 0);
      },
    });
    expect(error).toBeUndefined();
    expect(delivery.ledger.size).toBe(1);
  });

  it('because of the network: instances in transit are sent on new ones', async () => {
    await using scp = await receiver();
    await using proxy = await startFaultProxy({ port: scp.port });
    const delivery = new TestDelivery(dicomHandler, study('network', 40));
    let reports = 0;
    const { error } = await delivery.attempt(configAt(proxy.port), {
      onReport: () => {
        reports += 1;
        if (reports === 10 || reports === 20) proxy.cut();
      },
    });
    expect(error).toBeUndefined();
    expect(new Set(scp.stored).size).toBe(40);
    // A failure of the network does not show a limit of the receiver.
    expect(delivery.logged.filter(({ text }) => text === 'receiver accepts fewer associations')).toEqual([]);
  });

  it.each(['abort', 'hang'] as const)(
    'on one instance, always (%s): the others arrive immediately, this one is identified',
    async (how) => {
      const one = study(`guilty ${how}`, 12);
      const bad = one.instances[3]!.manifest.sopInstanceUid;
      using clock = stopClock();
      const delivery = new TestDelivery(dicomHandler, one);
      await using scp = await receiver((uid) => (uid === bad ? how : 0));
      const config = scp.config({ timeout: '60s' });
      // In small steps: both ends are in this process, and have turns for all else before a minute has passed.
      const attempt = () => clock.passUntil(delivery.attempt(config), 500);
      await attempt();
      expect(delivery.pending.map(({ sopInstanceUid }) => sopInstanceUid)).toEqual([bad]);
      while (delivery.pending.length > 0 && delivery.attempts < 5) await attempt();
      expect(delivery.ledger.get(bad)).toMatchObject({ kind: 'quarantined', error: { code: 'instance-refused' } });
      expect(delivery.attempts).toBe(3);
    },
  );

  it('settles when it is cancelled meanwhile', async () => {
    await using scp = await receiver((_uid, on) => (on === 3 ? 'abort' : 0));
    const stop = new AbortController();
    const delivery = new TestDelivery(dicomHandler, study('cancelled', 40));
    const attempt = delivery.attempt(scp.config(), { signal: stop.signal });
    await waitFor(() => scp.stored.length > 5);
    stop.abort();
    expect((await attempt).error).toMatchObject({ code: 'cancelled' });
    expect(delivery.openNow).toBe(0);
  });
});

describe('maxParallel: auto', () => {
  it.each([
    { openMs: 1, count: 3 },
    { openMs: 12, count: 7 },
    { openMs: 40, count: 16 },
    { openMs: 5_000, count: 16 },
  ])('asks for $count where the first took $openMs ms to open', ({ openMs, count }) => {
    expect(associationsFor('auto', openMs)).toBe(count);
    expect(associationsFor(2, openMs)).toBe(2);
  });

  it('sends all to a receiver that accepts fewer', async () => {
    await using scp = await receiver(undefined, { maxAssociations: 2 });
    const delivery = new TestDelivery(dicomHandler, study('auto', 12));
    const { error } = await delivery.attempt(scp.config({ maxParallel: 'auto' }));
    expect(error).toBeUndefined();
    expect(new Set(scp.stored).size).toBe(12);
  });
});

describe('a part of a study that is being received', () => {
  it.each([
    { maxParallel: 'auto', instances: 8, allowed: 2 },
    { maxParallel: 8, instances: 16, allowed: 4 },
  ])('has at most $allowed of $instances instances unreported, with maxParallel $maxParallel', async (given) => {
    const near = vi.spyOn(AssociationPool.prototype, 'openMs', 'get').mockReturnValue(1);
    onTestFinished(() => near.mockRestore());
    let arrived = 0;
    let maxUnreported = 0;
    const delivery = new TestDelivery(dicomHandler, study('part', given.instances));
    await using scp = await receiver(() => {
      arrived += 1;
      maxUnreported = Math.max(maxUnreported, arrived - delivery.ledger.size);
      return 0;
    });
    const { error } = await delivery.attempt(scp.config({ maxParallel: given.maxParallel }), { run: { isPart: true } });
    expect(error).toBeUndefined();
    expect(delivery.ledger.size).toBe(given.instances);
    // Fewer if they are reported because of the time limit.
    expect(maxUnreported).toBeLessThanOrEqual(given.allowed);
    expect(scp.accepted()).toBeLessThanOrEqual(given.allowed / 2);
  });
});
