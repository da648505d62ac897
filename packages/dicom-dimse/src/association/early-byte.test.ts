import { makeCertificates } from '@dicom-dispatch/harness';
import { describe, expect, it } from 'vitest';
import { AE_TITLES, CT_CONTEXT, opaqueFile } from '../testing/part10-fixture.ts';
import { COMMAND_FIELD, responseTo, startScriptedPeer } from '../testing/scripted-peer.ts';
import type { PeerConnection } from '../testing/scripted-peer.ts';
import { UID } from '../uids.ts';
import { connect } from './connect.ts';
import type { Association } from './association.ts';
import type { ConnectOptions } from './connect.ts';

const VERIFICATION = { abstractSyntax: UID.verification, transferSyntaxes: ['1.2.840.10008.1.2'] };
const P_DATA = 0x04;
const HALF = 12;

/** Runs a peer's script against an association, over TCP or TLS. */
async function against(
  isTls: boolean,
  script: (peer: PeerConnection) => Promise<void>,
  act: (association: Association) => Promise<void>,
  options: Partial<ConnectOptions> = {},
): Promise<void> {
  const certificates = isTls ? await makeCertificates() : undefined;
  await using peer = await startScriptedPeer(async (connection) => {
    await connection.accept();
    await script(connection);
  }, certificates?.server);
  const association = await connect({
    host: 'localhost',
    port: peer.port,
    ...AE_TITLES,
    presentationContexts: [CT_CONTEXT],
    tls: certificates && { ca: certificates.ca.cert },
    artimTimeoutMs: 60_000,
    ...options,
  });
  try {
    await act(association);
    await peer.finished();
  } finally {
    association.abort();
  }
}

/** Reads a C-STORE and sends the first half of a response; returns the other half. */
async function answerHalf(peer: PeerConnection, status = 0): Promise<Buffer> {
  const { contextId, command } = await peer.nextMessage();
  const response = responseTo(contextId, command, status);
  peer.socket.write(response.subarray(0, HALF));
  return response.subarray(HALF);
}

describe.each([
  ['TCP', false],
  ['TLS', true],
])('the early byte over %s', (_name, isTls) => {
  const first = opaqueFile(40_000, '2.25.1');
  const second = opaqueFile(50_000, '2.25.2');

  it('is sent when a part of the response and the next instance are available, and is the first of the next PDU', async () => {
    await against(
      isTls,
      async (peer) => {
        const rest = await answerHalf(peer);
        // The other half is withheld until the byte has arrived, as by Nagle's algorithm.
        await peer.until(() => peer.buffered.length > 0);
        expect([...peer.buffered]).toEqual([P_DATA]);
        peer.socket.write(rest);
        const next = await peer.nextMessage();
        expect(next.dataSet.equals(second.dataSet)).toBe(true);
        peer.socket.write(responseTo(next.contextId, next.command, 0));
        expect((await peer.nextPdu()).type).toBe('release-rq');
        peer.send({ type: 'release-rp' });
      },
      async (association) => {
        const results = await Promise.all([association.store([first.file]), association.store([second.file])]);
        expect(results.map((result) => result.status)).toEqual([0, 0]);
        await association.release();
      },
    );
  });

  it('is sent later, when the next instance becomes ready while the response is still incomplete', async () => {
    let give: (file: Buffer) => void = () => {};
    const given = new Promise<Buffer>((resolve) => {
      give = resolve;
    });
    async function* late(): AsyncGenerator<Buffer> {
      yield await given;
    }
    await against(
      isTls,
      async (peer) => {
        const rest = await answerHalf(peer);
        give(second.file);
        await peer.until(() => peer.buffered.length > 0);
        expect([...peer.buffered]).toEqual([P_DATA]);
        peer.socket.write(rest);
        const next = await peer.nextMessage();
        peer.socket.write(responseTo(next.contextId, next.command, 0));
      },
      async (association) => {
        const results = await Promise.all([association.store([first.file]), association.store(late())]);
        expect(results.map((result) => result.dataSetBytes)).toEqual([40_000, 50_000]);
      },
    );
  });

  it('is not sent when it is switched off, nor without a next instance', async () => {
    const script = async (peer: PeerConnection): Promise<void> => {
      const rest = await answerHalf(peer);
      // Our next request would have to be sent after the response: a marker for which the peer can wait.
      peer.socket.write(rest);
      const next = await peer.nextMessage();
      peer.socket.write(responseTo(next.contextId, next.command, 0));
    };
    const events: string[] = [];
    const observer = (event: { type: string }): void => void events.push(event.type);
    await against(
      isTls,
      script,
      async (association) => {
        await Promise.all([association.store([first.file]), association.store([second.file])]);
      },
      { earlyByte: false, observer },
    );
    await against(
      isTls,
      script,
      async (association) => {
        await association.store([first.file]);
        await association.store([second.file]);
      },
      { observer },
    );
    expect(events).not.toContain('early-byte-sent');
  });

  it('is followed by the next instance although the response turns out a failure', async () => {
    await against(
      isTls,
      async (peer) => {
        const rest = await answerHalf(peer, 0xa700);
        await peer.until(() => peer.buffered.length > 0);
        peer.socket.write(rest);
        const next = await peer.nextMessage();
        expect(next.dataSet.equals(second.dataSet)).toBe(true);
        peer.socket.write(responseTo(next.contextId, next.command, 0));
      },
      async (association) => {
        const [failed, stored] = await Promise.all([association.store([first.file]), association.store([second.file])]);
        expect(failed).toMatchObject({ status: 0xa700, class: 'failure' });
        expect(stored.class).toBe('success');
      },
    );
  });

  it('leaves both instances with the reason when the peer aborts right after it', async () => {
    await against(
      isTls,
      async (peer) => {
        await answerHalf(peer);
        await peer.until(() => peer.buffered.length > 0);
        // The response stays incomplete: the abort is signalled by the close of the socket.
        peer.socket.end();
        await peer.untilEnded();
      },
      async (association) => {
        const results = await Promise.allSettled([association.store([first.file]), association.store([second.file])]);
        expect(results.map((result) => result.status === 'rejected' && result.reason.code)).toEqual([
          'connection-closed',
          'connection-closed',
        ]);
      },
    );
  });

  it('reports an A-ABORT that follows the response immediately', async () => {
    await against(
      isTls,
      async (peer) => {
        const rest = await answerHalf(peer);
        await peer.until(() => peer.buffered.length > 0);
        peer.socket.write(rest);
        peer.send({ type: 'abort', source: 2, reason: 6 });
        await peer.untilEnded();
      },
      async (association) => {
        const [stored, lost] = await Promise.allSettled([
          association.store([first.file]),
          association.store([second.file]),
        ]);
        expect(stored).toMatchObject({ status: 'fulfilled', value: { class: 'success' } });
        expect(lost).toMatchObject({
          status: 'rejected',
          reason: { code: 'aborted', abort: { source: 'service-provider', reason: 'invalid-pdu-parameter-value' } },
        });
      },
    );
  });

  it('is used by another instance if its own one is cancelled', async () => {
    const cancel = new AbortController();
    const third = opaqueFile(3000, '2.25.3');
    await against(
      isTls,
      async (peer) => {
        const rest = await answerHalf(peer);
        await peer.until(() => peer.buffered.length > 0);
        cancel.abort();
        peer.socket.write(rest);
        const next = await peer.nextMessage();
        expect(next.dataSet.equals(third.dataSet)).toBe(true);
        peer.socket.write(responseTo(next.contextId, next.command, 0));
      },
      async (association) => {
        const [stored, cancelled] = await Promise.allSettled([
          association.store([first.file]),
          association.store([second.file], { signal: cancel.signal }),
        ]);
        expect(stored.status).toBe('fulfilled');
        expect(cancelled).toMatchObject({ status: 'rejected', reason: { code: 'cancelled' } });
        expect(await association.store([third.file])).toMatchObject({ status: 0, dataSetBytes: 3000 });
      },
    );
  });

  it('is used by a C-ECHO at the release if nothing else follows and Verification was accepted', async () => {
    const cancel = new AbortController();
    await against(
      isTls,
      async (peer) => {
        const rest = await answerHalf(peer);
        await peer.until(() => peer.buffered.length > 0);
        cancel.abort();
        peer.socket.write(rest);
        const next = await peer.nextMessage();
        expect(next.command.commandField).toBe(COMMAND_FIELD.echoRq);
        peer.socket.write(responseTo(next.contextId, next.command, 0));
        expect((await peer.nextPdu()).type).toBe('release-rq');
        peer.send({ type: 'release-rp' });
      },
      async (association) => {
        await Promise.allSettled([
          association.store([first.file]),
          association.store([second.file], { signal: cancel.signal }),
        ]);
        await association.release();
        expect(await association.ended).toBeUndefined();
      },
      { presentationContexts: [CT_CONTEXT, VERIFICATION] },
    );
  });

  it('is followed only by the close of the socket if nothing else follows', async () => {
    const cancel = new AbortController();
    await against(
      isTls,
      async (peer) => {
        const rest = await answerHalf(peer);
        await peer.until(() => peer.buffered.length > 0);
        cancel.abort();
        peer.socket.write(rest);
        await peer.untilEnded();
        expect([...peer.buffered]).toEqual([P_DATA]);
      },
      async (association) => {
        await Promise.allSettled([
          association.store([first.file]),
          association.store([second.file], { signal: cancel.signal }),
        ]);
        await association.release();
        expect(association.hasEnded).toBe(true);
      },
    );
  });

  it('survives a source that dies before its turn, and aborts cleanly for one that dies after', async () => {
    let hasBegun = false;
    async function* dying(): AsyncGenerator<Buffer> {
      yield second.file.subarray(0, 1000);
      hasBegun = true;
      throw new Error('disk on fire');
    }
    await against(
      isTls,
      async (peer) => {
        const rest = await answerHalf(peer);
        await peer.until(() => peer.buffered.length > 0);
        peer.socket.write(rest);
        const command = await peer.nextPdu();
        expect(command).toMatchObject({ type: 'p-data-tf', values: [{ isCommand: true, isLast: true }] });
        // Only complete PDUs were written, so that an A-ABORT can follow.
        expect(await peer.nextPdu()).toMatchObject({ type: 'abort', source: 0 });
      },
      async (association) => {
        const [stored, dead, after] = await Promise.allSettled([
          association.store([first.file]),
          association.store(dying()),
          association.store([opaqueFile(100).file]),
        ]);
        expect(hasBegun).toBe(true);
        expect(stored.status).toBe('fulfilled');
        expect(dead).toMatchObject({ status: 'rejected', reason: { code: 'source-failed' } });
        expect(after).toMatchObject({ status: 'rejected', reason: { code: 'association-ended' } });
      },
    );
  });
});
