import { once } from 'node:events';
import { connect as connectTcp, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { stopClock } from '@dicom-dispatch/harness/stop-clock';
import { describe, expect, it } from 'vitest';
import { DimseError } from '../errors/dimse-error.ts';
import type { ObserverEvent } from '../observer.ts';
import type { AssociateAcPdu, AssociateRqPdu, Pdu } from '../pdu/pdu.ts';
import { REJECTIONS } from '../pdu/reasons.ts';
import { AE_TITLES } from '../testing/part10-fixture.ts';
import { PeerConnection } from '../testing/scripted-peer.ts';
import { UID } from '../uids.ts';
import { Transport } from './transport.ts';
import { UpperLayer } from './upper-layer.ts';
import type { UpperLayerOptions } from './upper-layer-user.ts';

const common = {
  protocolVersion: 1,
  ...AE_TITLES,
  applicationContextName: UID.applicationContext,
  presentationContexts: [],
  userItems: [],
  unknownItems: [],
};
const RQ: AssociateRqPdu = { type: 'associate-rq', ...common };
const AC: AssociateAcPdu = { type: 'associate-ac', ...common };
const RJ: Pdu = { type: 'associate-rj', result: 1, source: 1, reason: 1 };
const DATA: Pdu = {
  type: 'p-data-tf',
  values: [{ contextId: 1, isCommand: true, isLast: true, data: Buffer.of(1, 2) }],
};
const RELEASE_RQ: Pdu = { type: 'release-rq' };
const RELEASE_RP: Pdu = { type: 'release-rp' };
const ABORT: Pdu = { type: 'abort', source: 0, reason: 0 };
/** A PDU of type 99H. */
const UNKNOWN = Buffer.from('990000000000', 'hex');

type State = 'Sta2' | 'Sta3' | 'Sta5' | 'Sta6' | 'Sta7' | 'Sta8' | 'Sta10' | 'Sta13';

/** An Upper Layer in a state, over a real connection to a peer. */
async function inState(state: State, options: Partial<UpperLayerOptions> = {}) {
  // The peer closes only when a test does.
  const server = createServer({ allowHalfOpen: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connectTcp((server.address() as AddressInfo).port, '127.0.0.1');
  const [[accepted]] = (await Promise.all([once(server, 'connection'), once(socket, 'connect')])) as [
    [Socket],
    unknown,
  ];
  const peer = new PeerConnection(accepted);
  const events: ObserverEvent[] = [];
  const calls: string[] = [];
  const happened = new Set<string>();
  const over = Promise.withResolvers<DimseError | undefined>();
  let failure: Error | undefined;
  let wake: () => void = () => {};
  const call = (name: string): void => {
    calls.push(name);
    wake();
  };
  const upper = new UpperLayer(
    new Transport(socket, 'the peer'),
    {
      onAssociateRq: () => call('associate-rq'),
      onAssociateAc: () => call('associate-ac'),
      onPDataPiece(contextId, _control, piece) {
        if (failure !== undefined) throw failure;
        call(`data on ${contextId}: ${piece.toString('hex')}`);
      },
      onReleaseRq: () => call('release-rq'),
      onProgress: () => {},
      onEnd(error) {
        call('end');
        over.resolve(error);
      },
    },
    {
      role: state === 'Sta2' || state === 'Sta3' || state === 'Sta10' ? 'acceptor' : 'requestor',
      maxPDataBytes: 16_384,
      maxAssociateBytes: 16_384,
      artimTimeoutMs: 60_000,
      idleTimeoutMs: 0,
      minBytesPerSecond: 0,
      isBusy: () => false,
      observer(event) {
        events.push(event);
        if (event.type === 'state') happened.add(event.event);
        wake();
      },
      ...options,
    },
  );
  const until = async (name: string): Promise<void> => {
    while (!calls.includes(name) && !happened.has(name)) await new Promise<void>((resolve) => (wake = resolve));
  };
  if (state === 'Sta2' || state === 'Sta3' || state === 'Sta10') {
    upper.open();
    if (state !== 'Sta2') {
      peer.send(RQ);
      await until('associate-rq');
    }
    if (state === 'Sta10') {
      upper.accept(AC);
      upper.requestRelease();
      for (const type of ['associate-ac', 'release-rq']) expect(await peer.nextPdu()).toMatchObject({ type });
      peer.send(RELEASE_RQ);
      await until('release-rq');
    }
  } else {
    upper.open(RQ);
    expect(await peer.nextPdu()).toMatchObject({ type: 'associate-rq' });
    if (state !== 'Sta5') {
      peer.send(AC);
      await until('associate-ac');
    }
    if (state === 'Sta7') {
      upper.requestRelease();
      expect(await peer.nextPdu()).toEqual(RELEASE_RQ);
    }
    if (state === 'Sta8' || state === 'Sta13') {
      peer.send(RELEASE_RQ);
      await until('release-rq');
    }
    if (state === 'Sta13') {
      upper.answerRelease();
      expect(await peer.nextPdu()).toEqual(RELEASE_RP);
    }
  }
  expect(upper.state).toBe(state);
  calls.length = 0;
  return {
    upper,
    peer,
    failWith: (error: Error) => void (failure = error),
    calls,
    events,
    ended: over.promise,
    until,
    async [Symbol.asyncDispose]() {
      socket.destroy();
      accepted.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

const asUser = { type: 'abort', source: 0, reason: 0 };
/** PS3.8 table 9-26: unexpected PDU. */
const asProvider = { type: 'abort', source: 2, reason: 2 };

describe('a PDU that is not expected ends the association with an A-ABORT', () => {
  it.each<[State, Pdu, object]>([
    ['Sta2', AC, asUser],
    ['Sta2', RJ, asUser],
    ['Sta2', DATA, asUser],
    ['Sta2', RELEASE_RQ, asUser],
    ['Sta2', RELEASE_RP, asUser],
    ['Sta3', RQ, asProvider],
    ['Sta3', AC, asProvider],
    ['Sta3', DATA, asProvider],
    ['Sta5', RQ, asProvider],
    ['Sta5', DATA, asProvider],
    ['Sta5', RELEASE_RQ, asProvider],
    ['Sta6', RQ, asProvider],
    ['Sta6', AC, asProvider],
    ['Sta6', RJ, asProvider],
    ['Sta6', RELEASE_RP, asProvider],
    ['Sta7', AC, asProvider],
    ['Sta8', DATA, asProvider],
    ['Sta8', RELEASE_RQ, asProvider],
    ['Sta10', DATA, asProvider],
  ])('in %s: %o', async (state, pdu, abort) => {
    await using one = await inState(state);
    one.peer.send(pdu);
    expect(await one.peer.nextPdu()).toEqual(abort);
    expect(await one.ended).toMatchObject({
      code: 'protocol-error',
      message: `the peer sent an unexpected PDU (${pdu.type.replace('-tf', '')}-received)`,
    });
    await one.peer.untilEnded();
    expect(one.calls).toEqual(['end']);
  });

  it.each<[State, object]>([
    ['Sta2', asUser],
    ['Sta6', asProvider],
  ])('in %s: one of an unknown type', async (state, abort) => {
    await using one = await inState(state);
    one.peer.socket.write(UNKNOWN);
    expect(await one.peer.nextPdu()).toMatchObject({ type: 'abort', source: (abort as typeof asUser).source });
    expect((await one.ended)?.code).toBe('protocol-error');
  });
});

describe('the end of an association', () => {
  it.each<[State, string]>([
    ['Sta2', 'connection-closed: the peer: connection closed before an association was established'],
    ['Sta3', 'aborted: the peer aborted the association: not-specified (by service-user)'],
    ['Sta5', 'aborted: the peer aborted the association: not-specified (by service-user)'],
    ['Sta6', 'aborted: the peer aborted the association: not-specified (by service-user)'],
    ['Sta7', 'aborted: the peer aborted the association: not-specified (by service-user)'],
  ])('by an A-ABORT of the peer in %s has its reason', async (state, expected) => {
    await using one = await inState(state);
    one.peer.send(ABORT);
    const error = await one.ended;
    expect(`${error?.code}: ${error?.message}`).toBe(expected);
    expect(one.upper.state).toBe('Sta1');
    await one.peer.untilEnded();
  });

  it.each<State>(['Sta2', 'Sta3', 'Sta5', 'Sta6', 'Sta7', 'Sta8'])(
    'by a closed connection in %s is an error',
    async (state) => {
      await using one = await inState(state);
      one.peer.socket.end();
      expect(await one.ended).toMatchObject({ code: 'connection-closed', message: 'the peer closed the connection' });
      expect(one.upper.state).toBe('Sta1');
    },
  );

  it('by a rejection of the peer has result, source and reason', async () => {
    await using one = await inState('Sta5');
    one.peer.send({ type: 'associate-rj', result: 2, source: 3, reason: 1 });
    expect(await one.ended).toMatchObject({
      code: 'association-rejected',
      message: 'the peer rejected the association: temporary-congestion (transient, by service-provider-presentation)',
      rejection: { resultCode: 2, sourceCode: 3, reasonCode: 1 },
    });
    await one.peer.untilEnded();
  });

  it('by our rejection is sent to the peer, which then closes', async () => {
    await using one = await inState('Sta3');
    one.upper.reject(REJECTIONS['calling-ae-title-not-recognized']);
    expect(await one.peer.nextPdu()).toEqual({ type: 'associate-rj', result: 1, source: 1, reason: 3 });
    expect(await one.ended).toMatchObject({
      code: 'association-rejected',
      message: 'this end rejected the association: calling-ae-title-not-recognized (permanent, by service-user)',
    });
    expect(one.upper.state).toBe('Sta13');
  });

  it('by a release of the peer is no error', async () => {
    await using one = await inState('Sta6');
    one.peer.send(RELEASE_RQ);
    await one.until('release-rq');
    expect(one.upper.canSendData).toBe(true);
    one.upper.answerRelease();
    expect(await one.peer.nextPdu()).toEqual(RELEASE_RP);
    expect(await one.ended).toBeUndefined();
    expect(one.upper.canSendData).toBe(false);
  });

  it('by our release is no error, and data may still arrive before', async () => {
    await using one = await inState('Sta7');
    expect(one.upper.canSendData).toBe(false);
    one.peer.send(DATA);
    one.peer.send(RELEASE_RP);
    expect(await one.ended).toBeUndefined();
    expect(one.calls).toEqual(['data on 1: 0102', 'end']);
    await one.peer.untilEnded();
  });

  it('by releases of both ends is confirmed by the acceptor last', async () => {
    await using one = await inState('Sta10');
    one.peer.send(RELEASE_RP);
    expect(await one.peer.nextPdu()).toEqual(RELEASE_RP);
    expect(await one.ended).toBeUndefined();
    const states = one.events.flatMap((event) => (event.type === 'state' ? [event.to] : []));
    expect(states.slice(-3)).toEqual(['Sta10', 'Sta12', 'Sta13']);
  });

  it('is reported once, and what the peer sends afterwards is dropped', async () => {
    await using one = await inState('Sta13');
    one.peer.send(DATA);
    one.peer.send(RQ);
    one.peer.socket.end();
    await one.peer.untilEnded();
    one.upper.abort(new DimseError('association-ended', 'x'));
    one.upper.requestRelease();
    expect(one.calls).toEqual([]);
  });

  it.each<State>(['Sta2', 'Sta13'])('comes in %s when the peer neither asks nor closes in time', async (state) => {
    using clock = stopClock();
    await using one = await inState(state, { artimTimeoutMs: 3_000 });
    await clock.pass(2_999);
    expect(one.upper.state).toBe(state);
    await clock.pass(1);
    await one.until('artim-expired');
    expect(one.upper.state).toBe('Sta1');
    await one.peer.untilEnded();
    if (state !== 'Sta2') return;
    expect(await one.ended).toMatchObject({
      code: 'connection-closed',
      message: 'the peer: connection closed before an association was established',
    });
  });

  it('comes after silence, with the limits', async () => {
    const of = async (minBytesPerSecond: number): Promise<string | undefined> => {
      using clock = stopClock();
      await using one = await inState('Sta6', { idleTimeoutMs: 50, minBytesPerSecond });
      await clock.pass(50);
      expect(await one.peer.nextPdu()).toEqual(asUser);
      const error = await one.ended;
      return `${error?.code}: ${error?.message}`;
    };
    expect(await of(0)).toBe('idle-timeout: the peer: no message received for 50 ms');
    expect(await of(1000)).toBe(
      'idle-timeout: the peer: no message received for 50 ms, or less than 1000 bytes a second',
    );
  });
});

it('an error of a handler ends the association, and is its cause', async () => {
  await using one = await inState('Sta6');
  const cause = new Error('broken');
  one.failWith(cause);
  one.peer.send(DATA);
  expect(await one.peer.nextPdu()).toEqual({ type: 'abort', source: 2, reason: 0 });
  expect(await one.ended).toMatchObject({
    code: 'handler-failed',
    message: 'a handler of this association threw an error',
    cause,
  });
});
