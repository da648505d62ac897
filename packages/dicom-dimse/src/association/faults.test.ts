import { connect as connectTcp } from 'node:net';
import { once } from 'node:events';
import { makeCertificates } from '@dicom-dispatch/harness';
import { stopClock } from '@dicom-dispatch/harness/stop-clock';
import { describe, expect, it } from 'vitest';
import type { ObserverEvent } from '../observer.ts';
import { encodePdu } from '../pdu/encode-pdu.ts';
import { listen, openPair } from '../testing/open-pair.ts';
import { AE_TITLES, CT_CONTEXT, opaqueFile } from '../testing/part10-fixture.ts';
import { PeerConnection, responseTo, startScriptedPeer } from '../testing/scripted-peer.ts';
import { TRANSFER_SYNTAX, UID } from '../uids.ts';
import { connect } from './connect.ts';

const BASE = { host: '127.0.0.1', ...AE_TITLES, presentationContexts: [CT_CONTEXT] };
const MB = 1024 * 1024;

describe('failures of a peer', () => {
  it('is a rejection with result, source and reason', async () => {
    const { server, port } = await listen({
      aeTitle: 'OTHER',
      authorize: ({ callingAeTitle }) =>
        callingAeTitle === 'FRIEND' ? { accept: true } : { accept: false, reason: 'calling-ae-title-not-recognized' },
    });
    await expect(connect({ ...BASE, port })).rejects.toMatchObject({
      code: 'association-rejected',
      rejection: {
        result: 'permanent',
        source: 'service-user',
        reason: 'called-ae-title-not-recognized',
        reasonCode: 7,
      },
    });
    await expect(connect({ ...BASE, port, calledAeTitle: 'OTHER' })).rejects.toMatchObject({
      code: 'association-rejected',
      rejection: { reason: 'calling-ae-title-not-recognized' },
    });
    const friend = await connect({ ...BASE, port, calledAeTitle: 'OTHER', callingAeTitle: 'FRIEND' });
    await friend.release();
    await server.close();
  });

  it('is a transient rejection beyond the limit of associations', async () => {
    await using pair = await openPair({ maxAssociations: 1 });
    await expect(connect({ ...BASE, port: pair.server.address?.port ?? 0 })).rejects.toMatchObject({
      code: 'association-rejected',
      rejection: { result: 'transient', source: 'service-provider-presentation', reason: 'local-limit-exceeded' },
    });
  });

  it('is silence after the connection', async () => {
    await using peer = await startScriptedPeer((connection) => connection.untilEnded());
    await expect(connect({ ...BASE, port: peer.port, associationTimeoutMs: 50 })).rejects.toMatchObject({
      code: 'association-timeout',
    });
    await peer.finished();
  });

  it('is silence after a request', async () => {
    const asked = Promise.withResolvers<void>();
    await using peer = await startScriptedPeer(async (connection) => {
      await connection.accept();
      await connection.nextMessage();
      asked.resolve();
      expect(await connection.nextPdu()).toMatchObject({ type: 'abort', source: 0 });
    });
    using clock = stopClock();
    const association = await connect({ ...BASE, port: peer.port, responseTimeoutMs: 50 });
    const stored = expect(association.store([opaqueFile(100).file])).rejects.toMatchObject({
      code: 'response-timeout',
    });
    await asked.promise;
    await clock.pass(49);
    expect(association.hasEnded).toBe(false);
    await clock.pass(1);
    await stored;
    expect((await association.ended)?.code).toBe('response-timeout');
    await peer.finished();
  });

  it('is a peer that accepts no more data', async () => {
    await using peer = await startScriptedPeer(async (connection) => {
      await connection.accept();
      connection.socket.pause();
      await connection.untilEnded();
    });
    const association = await connect({ ...BASE, port: peer.port, responseTimeoutMs: 100, artimTimeoutMs: 100 });
    let pulledBytes = 0;
    function* endless(): Generator<Buffer> {
      yield opaqueFile(MB).file;
      for (;;) {
        pulledBytes += MB;
        yield Buffer.alloc(MB);
      }
    }
    await expect(association.store(endless())).rejects.toMatchObject({ code: 'send-timeout' });
    // Only the content of the socket buffers of two kernels: the source was held back.
    expect(pulledBytes).toBeLessThan(64 * MB);
  });

  it('is an A-ABORT within a store, with source and reason', async () => {
    await using peer = await startScriptedPeer(async (connection) => {
      await connection.accept();
      await connection.nextPdu();
      connection.send({ type: 'abort', source: 2, reason: 1 });
      connection.socket.resume();
      await connection.untilEnded();
    });
    const association = await connect({ ...BASE, port: peer.port });
    const settled = await Promise.allSettled([
      association.store([opaqueFile(100_000).file]),
      association.store([opaqueFile(100_000).file]),
    ]);
    for (const one of settled) {
      expect(one).toMatchObject({
        status: 'rejected',
        reason: { code: 'aborted', abort: { source: 'service-provider', reason: 'unrecognized-pdu' } },
      });
    }
    await expect(association.store([opaqueFile(100).file])).rejects.toMatchObject({ code: 'aborted' });
  });

  it('is a connection that closes, at any point', async () => {
    await using early = await startScriptedPeer(async (connection) => {
      await connection.nextPdu();
      connection.socket.destroy();
    });
    await expect(connect({ ...BASE, port: early.port })).rejects.toMatchObject({ code: 'connection-closed' });
    await using late = await startScriptedPeer(async (connection) => {
      await connection.accept();
      await connection.nextMessage();
      connection.socket.resetAndDestroy();
    });
    const association = await connect({ ...BASE, port: late.port });
    await expect(association.store([opaqueFile(100).file])).rejects.toMatchObject({ code: 'connection-closed' });
  });

  it('is a response to a message that was not sent', async () => {
    await using peer = await startScriptedPeer(async (connection) => {
      await connection.accept();
      const { contextId, command } = await connection.nextMessage();
      const response = responseTo(contextId, command, 0);
      response.writeUInt16LE(99, response.indexOf(Buffer.from('2001', 'hex')) + 6);
      connection.socket.write(response);
      expect(await connection.nextPdu()).toMatchObject({ type: 'abort', source: 2, reason: 5 });
    });
    const association = await connect({ ...BASE, port: peer.port });
    await expect(association.store([opaqueFile(100).file])).rejects.toMatchObject({ code: 'unexpected-response' });
    await peer.finished();
  });

  it('is garbage instead of an answer', async () => {
    await using peer = await startScriptedPeer(async (connection) => {
      await connection.nextPdu();
      connection.socket.write('HTTP/1.1 400 Bad Request\r\n\r\n');
      expect(await connection.nextPdu()).toMatchObject({ type: 'abort', source: 2, reason: 1 });
    });
    await expect(connect({ ...BASE, port: peer.port })).rejects.toMatchObject({ code: 'protocol-error' });
    await peer.finished();
  });

  it('is a simultaneous release by both ends, which succeeds', async () => {
    const events: ObserverEvent[] = [];
    await using peer = await startScriptedPeer(async (connection) => {
      await connection.accept();
      expect((await connection.nextPdu()).type).toBe('release-rq');
      connection.send({ type: 'release-rq' });
      expect((await connection.nextPdu()).type).toBe('release-rp');
      connection.send({ type: 'release-rp' });
      await connection.untilEnded();
    });
    const association = await connect({ ...BASE, port: peer.port, observer: (event) => void events.push(event) });
    await association.release();
    expect(await association.ended).toBeUndefined();
    const states = events.flatMap((event) => (event.type === 'state' ? [event.to] : []));
    expect(states.slice(-4)).toEqual(['Sta7', 'Sta9', 'Sta11', 'Sta1']);
    await peer.finished();
  });

  it('is a release by the peer while it owes a response', async () => {
    await using peer = await startScriptedPeer(async (connection) => {
      await connection.accept();
      await connection.nextMessage();
      connection.send({ type: 'release-rq' });
      expect((await connection.nextPdu()).type).toBe('release-rp');
    });
    const association = await connect({ ...BASE, port: peer.port });
    await expect(association.store([opaqueFile(100).file])).rejects.toMatchObject({ code: 'association-ended' });
    await peer.finished();
  });

  it('ends a connect, a store in the queue, and a store that is being sent, when the caller cancels', async () => {
    await using silent = await startScriptedPeer((connection) => connection.untilEnded());
    const reason = new Error('enough');
    await expect(connect({ ...BASE, port: silent.port, signal: AbortSignal.abort(reason) })).rejects.toMatchObject({
      code: 'cancelled',
      cause: reason,
    });
    const connecting = new AbortController();
    const opening = connect({ ...BASE, port: silent.port, signal: connecting.signal });
    setImmediate(() => connecting.abort(reason));
    await expect(opening).rejects.toMatchObject({ code: 'cancelled', cause: reason });

    const sending = new AbortController();
    const queued = new AbortController();
    let isClosed = false;
    async function* stalling(): AsyncGenerator<Buffer> {
      try {
        yield opaqueFile(100_000).file;
        queued.abort();
        sending.abort();
        yield Buffer.alloc(MB);
      } finally {
        isClosed = true;
      }
    }
    await using pair = await openPair({ handlers: { store: () => 0 } });
    const [first, second] = await Promise.allSettled([
      pair.association.store(stalling(), { signal: sending.signal }),
      pair.association.store([opaqueFile(100).file], { signal: queued.signal }),
    ]);
    expect(first).toMatchObject({ status: 'rejected', reason: { code: 'cancelled' } });
    expect(second).toMatchObject({ status: 'rejected', reason: { code: 'cancelled' } });
    expect((await pair.association.ended)?.code).toBe('association-ended');
    expect(isClosed).toBe(true);
  });

  it('keeps the association open when only a response is no longer awaited', async () => {
    const cancel = new AbortController();
    await using pair = await openPair({
      handlers: {
        store(instance) {
          if (instance.sopInstanceUid === '2.25.1') cancel.abort();
          return 0;
        },
      },
    });
    await expect(pair.association.store([opaqueFile(100).file], { signal: cancel.signal })).rejects.toMatchObject({
      code: 'cancelled',
    });
    expect(await pair.association.store([opaqueFile(100, '2.25.2').file])).toMatchObject({ status: 0 });
  });

  it('keeps the association open when a source fails before its first byte is sent', async () => {
    await using pair = await openPair({ handlers: { store: () => 0 } });
    const { association } = pair;
    async function* dead(): AsyncGenerator<Buffer> {
      yield Buffer.alloc(100);
      throw new Error('no such file');
    }
    await expect(association.store(dead())).rejects.toMatchObject({ code: 'source-failed' });
    await expect(association.store([Buffer.from('not DICOM')])).rejects.toMatchObject({ code: 'source-not-dicom' });
    await expect(association.store([])).rejects.toMatchObject({ code: 'source-not-dicom' });
    await expect(association.store([opaqueFile(0).file])).rejects.toMatchObject({ code: 'source-not-dicom' });
    await expect(
      association.store([opaqueFile(10).file], { transferSyntaxUid: TRANSFER_SYNTAX.rleLossless }),
    ).rejects.toMatchObject({ code: 'no-presentation-context' });
    await expect(association.echo()).rejects.toMatchObject({ code: 'no-presentation-context' });
    expect(await association.store(opaqueFile(10).file)).toMatchObject({ class: 'success', dataSetBytes: 10 });
  });
});

describe('failures of a peer of our server', () => {
  /** A raw connection to one of our servers. */
  async function dial(port: number): Promise<PeerConnection> {
    const socket = connectTcp(port, '127.0.0.1');
    await once(socket, 'connect');
    return new PeerConnection(socket);
  }

  it.each([
    ['garbage', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
    ['a length of 4 GiB', Buffer.from('0100ffffffff', 'hex')],
    ['data before an association', encodePdu({ type: 'release-rq' })],
  ])('is %s, at once or one byte at a time: it gets an A-ABORT', async (_name, bytes) => {
    const { server, port } = await listen();
    const chunked = [[bytes], [...bytes].map((byte) => Buffer.of(byte))];
    for (const chunks of chunked) {
      const peer = await dial(port);
      peer.socket.setNoDelay(true);
      for (const chunk of chunks) peer.socket.write(chunk);
      expect(await peer.nextPdu()).toMatchObject({ type: 'abort' });
      await peer.untilEnded();
      peer.socket.destroy();
    }
    expect(server.associationCount).toBe(0);
    await server.close();
  });

  it('is silence, before the request and within an association', async () => {
    const { server, port } = await listen({ artimTimeoutMs: 50, idleTimeoutMs: 0 });
    const mute = await dial(port);
    await mute.untilEnded();
    mute.socket.destroy();
    await server.close();
    await using pair = await openPair({ artimTimeoutMs: 60_000, idleTimeoutMs: 50 });
    expect((await pair.association.ended)?.code).toBe('aborted');
  });

  it('is a wrong application context or protocol version', async () => {
    const { server, port } = await listen();
    const request = {
      type: 'associate-rq',
      protocolVersion: 1,
      calledAeTitle: 'A',
      callingAeTitle: 'B',
      applicationContextName: UID.applicationContext,
      presentationContexts: [],
      userItems: [],
      unknownItems: [],
    } as const;
    for (const [change, reason] of [
      [{ applicationContextName: '1.2.3' }, { result: 1, source: 1, reason: 2 }],
      [{ protocolVersion: 2 }, { result: 1, source: 2, reason: 2 }],
    ] as const) {
      const peer = await dial(port);
      peer.send({ ...request, ...change });
      expect(await peer.nextPdu()).toEqual({ type: 'associate-rj', ...reason });
      peer.socket.destroy();
    }
    await server.close();
  });

  it('is a handler that throws: the peer gets 0110, the association lives', async () => {
    const errors: unknown[] = [];
    let isFirst = true;
    await using pair = await openPair({
      handlers: {
        store() {
          if (!isFirst) return { status: 0xb000, errorComment: 'coerced' };
          isFirst = false;
          throw new Error('disk full');
        },
        onHandlerError: (error) => void errors.push(error),
      },
    });
    expect(await pair.association.store([opaqueFile(2 * MB).file])).toMatchObject({ status: 0x0110, class: 'failure' });
    expect(await pair.association.store([opaqueFile(100).file])).toMatchObject({
      status: 0xb000,
      class: 'warning',
      errorComment: 'coerced',
    });
    expect(errors).toHaveLength(1);
  });

  it('is an association that ends within a data set: the handler hears of it', async () => {
    let reason: unknown;
    let heard: () => void = () => {};
    const hasHeard = new Promise<void>((resolve) => {
      heard = resolve;
    });
    await using pair = await openPair({
      handlers: {
        async store(instance) {
          for await (const chunk of instance.dataSet) expect(chunk.length).toBeGreaterThan(0);
          return 0;
        },
        onHandlerError(error) {
          reason = error;
          heard();
        },
      },
    });
    async function* dying(): AsyncGenerator<Buffer> {
      yield opaqueFile(500_000).file;
      throw new Error('gone');
    }
    await expect(pair.association.store(dying())).rejects.toMatchObject({ code: 'source-failed' });
    await hasHeard;
    expect(reason).toMatchObject({ code: 'aborted', abort: { source: 'service-user' } });
  });

  it('is a handler or a reader that takes longer than any timeout: no peer is aborted for it', async () => {
    using clock = stopClock();
    await using pair = await openPair(
      {
        idleTimeoutMs: 30_000,
        responseTimeoutMs: 600_000,
        presentationContexts: [
          { ...CT_CONTEXT, requestorRoles: { scu: true, scp: true } },
          { abstractSyntax: UID.studyRootGet, transferSyntaxes: CT_CONTEXT.transferSyntaxes },
        ],
        handlers: {
          async store() {
            await clock.pass(60_000);
            return 0;
          },
          get: () => ({ count: 1, instances: [[opaqueFile(3 * MB).file]] }),
        },
      },
      {
        presentationContexts: [
          CT_CONTEXT,
          { abstractSyntax: UID.studyRootGet, transferSyntaxes: CT_CONTEXT.transferSyntaxes },
        ],
        roles: [{ sopClassUid: CT_CONTEXT.abstractSyntax, scu: true, scp: true }],
        responseTimeoutMs: 90_000,
        handlers: {
          async store(instance) {
            // Longer than our own response timeout for the C-GET.
            await clock.pass(120_000);
            for await (const chunk of instance.dataSet) expect(chunk.length).toBeGreaterThan(0);
            return 0;
          },
        },
      },
    );
    expect(await pair.association.store([opaqueFile(100).file])).toMatchObject({ status: 0 });
    expect(await pair.association.get({ sopClassUid: UID.studyRootGet, identifier: Buffer.alloc(0) })).toMatchObject({
      status: 0,
      completed: 1,
    });
  });

  it('is an invalid SOP Instance UID', async () => {
    await using pair = await openPair({ handlers: { store: () => 0 } });
    expect(await pair.association.store([opaqueFile(100).file], { sopInstanceUid: '../../etc/passwd' })).toMatchObject({
      status: 0x0117,
      class: 'failure',
    });
  });

  it('is a TLS client that sends nothing: the server closes nevertheless', async () => {
    const { ca, server: identity } = await makeCertificates();
    const { server, port } = await listen({ tls: { cert: identity.cert, key: identity.key, ca: ca.cert } });
    const mute = await dial(port);
    await server.close();
    await mute.untilEnded();
    mute.socket.destroy();
  });

  it('is a slow handler: the sender is held back, and nothing accumulates', async () => {
    let go: () => void = () => {};
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    let pulledBytes = 0;
    let gotBytes = 0;
    await using pair = await openPair({
      handlers: {
        async store(instance) {
          await gate;
          for await (const chunk of instance.dataSet) gotBytes += chunk.length;
          return 0;
        },
      },
    });
    async function* large(): AsyncGenerator<Buffer> {
      yield opaqueFile(1000).file;
      for (let count = 0; count < 100; count += 1) {
        // Once no data is transferred any more the reader starts: with back-pressure this is long before the end.
        const timer = setTimeout(go, 200);
        pulledBytes += MB;
        yield Buffer.alloc(MB);
        clearTimeout(timer);
        if (gotBytes === 0) expect(pulledBytes).toBeLessThan(40 * MB);
      }
    }
    expect(await pair.association.store(large())).toMatchObject({ status: 0, dataSetBytes: 100 * MB + 1000 });
    expect(gotBytes).toBe(100 * MB + 1000);
  });
});
