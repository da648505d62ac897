import { stopClock, type StoppedClock } from '@dicom-dispatch/harness/stop-clock';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { encodePdu } from '../pdu/encode-pdu.ts';
import { encodeCommandSet, HAS_DATA_SET } from '../dimse/command-set.ts';
import { listen } from '../testing/open-pair.ts';
import { AE_TITLES, CT_CONTEXT, CT_IMAGE, opaqueFile } from '../testing/part10-fixture.ts';
import {
  COMMAND_ELEMENT,
  COMMAND_FIELD,
  PeerConnection,
  responseTo,
  startScriptedPeer,
} from '../testing/scripted-peer.ts';
import { TRANSFER_SYNTAX, UID } from '../uids.ts';
import { connect as connectTcp } from 'node:net';
import { connect } from './connect.ts';
import type { ConnectOptions } from './connect.ts';
import { ProgressTimeout } from './progress-timeout.ts';

const FIND = { abstractSyntax: UID.studyRootFind, transferSyntaxes: [TRANSFER_SYNTAX.implicitVrLittleEndian] };
const GET = { abstractSyntax: UID.studyRootGet, transferSyntaxes: [TRANSFER_SYNTAX.implicitVrLittleEndian] };
const KB = 1024;

function open(port: number, more: Partial<ConnectOptions> = {}) {
  return connect({
    host: '127.0.0.1',
    port,
    ...AE_TITLES,
    presentationContexts: [CT_CONTEXT, FIND, GET],
    responseTimeoutMs: 150,
    minBytesPerSecond: 10 * KB,
    ...more,
  });
}

let clock: StoppedClock;

/** Calls `act` again and again, by our clock after each `everyMs`, until the connection has ended. */
async function trickle(connection: PeerConnection, everyMs: number, act: () => void): Promise<void> {
  const { pass } = clock;
  const ended = connection.untilEnded().then(() => true);
  do act();
  while (!(await Promise.race([ended, pass(everyMs)])));
}

describe('the least progress of a peer', () => {
  beforeEach(() => void (clock = stopClock()));
  afterEach(() => clock[Symbol.dispose]());

  it('ends a response that arrives byte by byte', async () => {
    await using peer = await startScriptedPeer(async (connection) => {
      await connection.accept();
      const { contextId, command } = await connection.nextMessage();
      const bytes = responseTo(contextId, command, 0);
      let at = 0;
      await trickle(connection, 30, () => connection.socket.write(bytes.subarray(at, (at += 1))));
    });
    const association = await open(peer.port);
    await expect(association.store([opaqueFile(100).file])).rejects.toMatchObject({
      code: 'response-timeout',
      message: expect.stringContaining('less than 10240 bytes a second (minBytesPerSecond)'),
    });
  });

  it('ends a peer that sends everything but its response', async () => {
    await using peer = await startScriptedPeer(async (connection) => {
      await connection.accept();
      const { contextId } = await connection.nextMessage();
      const echo = encodeCommandSet([
        [COMMAND_ELEMENT.affectedSopClassUid, UID.verification],
        [COMMAND_ELEMENT.commandField, COMMAND_FIELD.echoRq],
        [COMMAND_ELEMENT.messageId, 9],
        [COMMAND_ELEMENT.commandDataSetType, 0x0101],
      ]);
      const bytes = encodePdu({
        type: 'p-data-tf',
        values: [{ contextId, isCommand: true, isLast: true, data: echo }],
      });
      await trickle(connection, 10, () => connection.socket.write(bytes));
    });
    const association = await open(peer.port);
    await expect(association.store([opaqueFile(100).file])).rejects.toMatchObject({ code: 'response-timeout' });
  });

  it('ends a peer that accepts data very slowly', async () => {
    await using peer = await startScriptedPeer(async (connection) => {
      await connection.accept();
      const { socket } = connection;
      socket.removeAllListeners('data');
      socket.pause();
      await trickle(connection, 10, () => void socket.read(1));
    });
    const association = await open(peer.port, { minBytesPerSecond: 1024 * KB });
    function* endless(): Generator<Buffer> {
      yield opaqueFile(KB).file;
      for (;;) yield Buffer.alloc(256 * KB);
    }
    await expect(association.store(endless())).rejects.toMatchObject({ code: 'send-timeout' });
  });

  it('does not end a peer that accepts one large write slowly, but fast enough', async () => {
    await using peer = await startScriptedPeer(async (connection) => {
      await connection.accept();
      const { socket } = connection;
      const { contextId, command } = await connection.nextCommand();
      socket.pause();
      let read = connection.buffered.length;
      socket.removeAllListeners('data');
      // 16 MB in at least 6 seconds: longer than the silence that is allowed.
      for (let next = 200 * KB; read < 16_000 * KB; await clock.pass(0)) {
        read += (socket.read(Math.min(socket.readableLength, 200 * KB)) as Buffer | null)?.length ?? 0;
        if (read < next) continue;
        next += 200 * KB;
        await clock.pass(75);
      }
      socket.write(responseTo(contextId, command, 0));
      await connection.untilEnded();
    });
    const association = await open(peer.port, { responseTimeoutMs: 5_000 });
    expect(await association.store([opaqueFile(16_000 * KB).file])).toMatchObject({ status: 0 });
    association.abort();
  });

  it('ends matches that come more slowly than a slow archive finds them, and those that never end', async () => {
    const pending = async (connection: PeerConnection, everyMs: number): Promise<void> => {
      await connection.accept();
      const { contextId, command } = await connection.nextMessage();
      await trickle(connection, everyMs, () => connection.socket.write(responseTo(contextId, command, 0xff00)));
    };
    const find = async (port: number, more: Partial<ConnectOptions>, maxMatches?: number): Promise<number> => {
      const association = await open(port, more);
      const matches = association.find({ sopClassUid: UID.studyRootFind, identifier: Buffer.alloc(8), maxMatches });
      let count = 0;
      for await (const _match of matches) count += 1;
      return count;
    };
    await using endless = await startScriptedPeer((connection) => pending(connection, 1));
    await expect(find(endless.port, { responseTimeoutMs: 60_000 }, 100)).rejects.toMatchObject({
      code: 'limit-exceeded',
    });
    // With a rate of 0 any match is a sign of life; with one, each is worth five seconds of it.
    await using slow = await startScriptedPeer((connection) => pending(connection, 300));
    await expect(find(slow.port, { responseTimeoutMs: 100 })).rejects.toMatchObject({ code: 'response-timeout' });
  });

  it('ends a search that continues after its cancellation', async () => {
    await using peer = await startScriptedPeer(async (connection) => {
      await connection.accept();
      const { contextId, command } = await connection.nextMessage();
      await trickle(connection, 50, () => connection.socket.write(responseTo(contextId, command, 0xff00)));
    });
    const association = await open(peer.port, { responseTimeoutMs: 3_000 });
    for await (const _match of association.find({ sopClassUid: UID.studyRootFind, identifier: Buffer.alloc(8) })) break;
    expect(association.hasEnded).toBe(false);
    await association.release();
    expect(association.hasEnded).toBe(true);
  });

  it('ends a retrieval that stays pending without progress', async () => {
    await using peer = await startScriptedPeer(async (connection) => {
      await connection.accept();
      const { contextId, command } = await connection.nextMessage();
      await trickle(connection, 10, () => connection.socket.write(responseTo(contextId, command, 0xff00)));
    });
    const association = await open(peer.port);
    const got = association.get({ sopClassUid: UID.studyRootGet, identifier: Buffer.alloc(8), maxStallMs: 300 });
    await expect(got).rejects.toMatchObject({
      code: 'response-timeout',
      message: expect.stringContaining('maxStallMs'),
    });
  });

  it('ends an instance that arrives very slowly, at either end of an association', async () => {
    const request = encodeCommandSet([
      [COMMAND_ELEMENT.affectedSopClassUid, CT_IMAGE],
      [COMMAND_ELEMENT.commandField, COMMAND_FIELD.storeRq],
      [COMMAND_ELEMENT.messageId, 1],
      [COMMAND_ELEMENT.priority, 0],
      [COMMAND_ELEMENT.commandDataSetType, HAS_DATA_SET],
      [COMMAND_ELEMENT.affectedSopInstanceUid, '2.25.1'],
    ]);
    const begin = (contextId: number): Buffer =>
      encodePdu({ type: 'p-data-tf', values: [{ contextId, isCommand: true, isLast: true, data: request }] });
    const drop = (contextId: number): Buffer =>
      encodePdu({ type: 'p-data-tf', values: [{ contextId, isCommand: false, isLast: false, data: Buffer.alloc(1) }] });
    let failed: unknown;
    const handlers = {
      async store({ dataSet }: { dataSet: AsyncIterable<Buffer> }) {
        try {
          for await (const _chunk of dataSet);
        } catch (error) {
          failed = error;
        }
        return 0;
      },
    };

    // As requestor: the requested instance.
    await using peer = await startScriptedPeer(async (connection) => {
      const { userItems: _, presentationContexts } = await connection.accept();
      await connection.nextMessage();
      const contextId = presentationContexts[0]?.id ?? 1;
      connection.socket.write(begin(contextId));
      await trickle(connection, 10, () => connection.socket.write(drop(contextId)));
    });
    const association = await open(peer.port, {
      roles: [{ sopClassUid: CT_IMAGE, scu: true, scp: true }],
      handlers,
    });
    const got = association.get({ sopClassUid: UID.studyRootGet, identifier: Buffer.alloc(8) });
    await expect(got).rejects.toMatchObject({ code: 'response-timeout' });

    // As acceptor.
    const { server, port } = await listen({ idleTimeoutMs: 150, minBytesPerSecond: 10 * KB, handlers });
    const socket = connectTcp(port, '127.0.0.1');
    const client = new PeerConnection(socket);
    client.send({
      type: 'associate-rq',
      protocolVersion: 1,
      calledAeTitle: 'ANY',
      callingAeTitle: 'ME',
      applicationContextName: UID.applicationContext,
      presentationContexts: [{ id: 1, abstractSyntax: CT_IMAGE, transferSyntaxes: [...CT_CONTEXT.transferSyntaxes] }],
      userItems: [{ type: 'maximum-length', maximumLengthBytes: 16_384 }],
      unknownItems: [],
    });
    expect((await client.nextPdu()).type).toBe('associate-ac');
    socket.write(begin(1));
    await trickle(client, 10, () => socket.write(drop(1)));
    expect(failed).toMatchObject({ code: 'idle-timeout' });
    socket.destroy();
    await server.close();
  });
});

describe('patience', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('lasts as long as enough moves, or what happens is excused, and no longer', () => {
    let moved = 0;
    let isExcused = false;
    let isOver = false;
    const progressTimeout = new ProgressTimeout({
      graceMs: 40,
      minBytesPerSecond: 1000,
      moved: () => moved,
      isExcused: () => isExcused,
      onExhausted: () => {
        isOver = true;
      },
    });
    progressTimeout.start();
    const feeding = setInterval(() => (moved += 5), 5);
    vi.advanceTimersByTime(200);
    expect(isOver).toBe(false);
    clearInterval(feeding);
    isExcused = true;
    vi.advanceTimersByTime(200);
    expect(isOver).toBe(false);
    isExcused = false;
    vi.advanceTimersByTime(80);
    expect(isOver).toBe(true);
    progressTimeout.stop();
  });

  it('does not end after it was stopped or interrupted, and begins anew', () => {
    let count = 0;
    const progressTimeout = new ProgressTimeout({
      graceMs: 40,
      minBytesPerSecond: 0,
      moved: () => 0,
      isExcused: () => false,
      onExhausted: () => (count += 1),
    });
    for (const end of ['stop', 'rest'] as const) {
      progressTimeout.start();
      vi.advanceTimersByTime(30);
      progressTimeout[end]();
      vi.advanceTimersByTime(200);
      expect([end, count]).toEqual([end, 0]);
    }
    progressTimeout.start();
    vi.advanceTimersByTime(30);
    progressTimeout.start();
    vi.advanceTimersByTime(39);
    expect(count).toBe(0);
    vi.advanceTimersByTime(1);
    expect(count).toBe(1);
    vi.advanceTimersByTime(200);
    expect(count).toBe(1);
  });
});
