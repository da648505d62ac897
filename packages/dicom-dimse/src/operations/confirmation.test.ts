import { makeCertificates } from '@dicom-dispatch/harness';
import { stopClock } from '@dicom-dispatch/harness/stop-clock';
import { describe, expect, it } from 'vitest';
import { connect } from '../association/connect.ts';
import type { Association } from '../association/association.ts';
import { encodeCommandSet, HAS_DATA_SET, NO_DATA_SET } from '../dimse/command-set.ts';
import type { CommandFields, CommandSet } from '../dimse/command-set.ts';
import type { ObserverEvent } from '../observer.ts';
import { encodePdu } from '../pdu/encode-pdu.ts';
import { AE_TITLES, CT_CONTEXT, opaqueFile } from '../testing/part10-fixture.ts';
import { COMMAND_ELEMENT, COMMAND_FIELD, startScriptedPeer } from '../testing/scripted-peer.ts';
import type { PeerConnection, ScriptedPeer } from '../testing/scripted-peer.ts';
import { TRANSFER_SYNTAX } from '../uids.ts';

const MR_IMAGE = '1.2.840.10008.5.1.4.1.1.4';
const MB = 1024 * 1024;

type Overrides = Readonly<Record<number, number | string | undefined>>;

/** A C-STORE-RSP with success, with changes defined by the test. */
function response(command: CommandSet, overrides: Overrides = {}): Buffer {
  const fields: Record<number, number | string | undefined> = {
    [COMMAND_ELEMENT.affectedSopClassUid]: command.text(COMMAND_ELEMENT.affectedSopClassUid),
    [COMMAND_ELEMENT.commandField]: COMMAND_FIELD.storeRsp,
    [COMMAND_ELEMENT.messageIdBeingRespondedTo]: command.require(COMMAND_ELEMENT.messageId),
    [COMMAND_ELEMENT.commandDataSetType]: NO_DATA_SET,
    [COMMAND_ELEMENT.status]: 0,
    [COMMAND_ELEMENT.affectedSopInstanceUid]: command.text(COMMAND_ELEMENT.affectedSopInstanceUid),
    ...overrides,
  };
  return encodeCommandSet(
    Object.entries(fields)
      .map(([element, value]) => [Number(element), value] as const)
      .sort(([a], [b]) => a - b) as CommandFields,
  );
}

function pData(contextId: number, data: Uint8Array, isCommand = true, isLast = true): Buffer {
  return encodePdu({ type: 'p-data-tf', values: [{ contextId, isCommand, isLast, data }] });
}

type Script = (connection: PeerConnection, contextId: number, command: CommandSet) => void | Promise<void>;

/** A peer that accepts a complete instance and then does what a test defines. */
function answering(script: Script): Promise<ScriptedPeer> {
  return startScriptedPeer(async (connection) => {
    await connection.accept();
    const { contextId, command } = await connection.nextMessage();
    await script(connection, contextId, command);
    await connection.untilEnded();
  });
}

function open(port: number, more: object = {}): Promise<Association> {
  const second = { abstractSyntax: MR_IMAGE, transferSyntaxes: [TRANSFER_SYNTAX.explicitVrLittleEndian] };
  return connect({
    host: '127.0.0.1',
    port,
    ...AE_TITLES,
    presentationContexts: [CT_CONTEXT, second],
    artimTimeoutMs: 60_000,
    ...more,
  });
}

describe('what confirms an instance', () => {
  it.each<[string, Overrides]>([
    ['a response with all that a response has', {}],
    [
      'one without Affected SOP Class and Instance UID',
      { [COMMAND_ELEMENT.affectedSopClassUid]: undefined, [COMMAND_ELEMENT.affectedSopInstanceUid]: undefined },
    ],
    [
      'one in which they are empty',
      { [COMMAND_ELEMENT.affectedSopClassUid]: '', [COMMAND_ELEMENT.affectedSopInstanceUid]: '' },
    ],
    ['a warning', { [COMMAND_ELEMENT.status]: 0xb000 }],
  ])('is %s', async (_name, overrides) => {
    await using peer = await answering((connection, contextId, command) => {
      connection.socket.write(pData(contextId, response(command, overrides)));
    });
    const association = await open(peer.port);
    const result = await association.store([opaqueFile(5000).file]);
    expect(result).toMatchObject({
      affectedSopInstanceUid: '2.25.1',
      class: overrides[COMMAND_ELEMENT.status] === undefined ? 'success' : 'warning',
    });
    association.abort();
  });

  it('is a response with an unexpected data set, once it is complete', async () => {
    await using peer = await answering((connection, contextId, command) => {
      const bytes = response(command, { [COMMAND_ELEMENT.commandDataSetType]: HAS_DATA_SET });
      connection.socket.write(Buffer.concat([pData(contextId, bytes), pData(contextId, Buffer.alloc(100), false)]));
    });
    const association = await open(peer.port);
    expect(await association.store([opaqueFile(5000).file])).toMatchObject({ class: 'success' });
    association.abort();
  });
});

describe('similar responses that confirm nothing', () => {
  const near: readonly (readonly [string, Script])[] = [
    [
      'the response to another message',
      (c, id, command) =>
        void c.socket.write(pData(id, response(command, { [COMMAND_ELEMENT.messageIdBeingRespondedTo]: 77 }))),
    ],
    [
      'a C-ECHO-RSP',
      (c, id, command) =>
        void c.socket.write(pData(id, response(command, { [COMMAND_ELEMENT.commandField]: COMMAND_FIELD.echoRsp }))),
    ],
    [
      'a C-FIND-RSP',
      (c, id, command) =>
        void c.socket.write(pData(id, response(command, { [COMMAND_ELEMENT.commandField]: COMMAND_FIELD.findRsp }))),
    ],
    [
      'another SOP instance',
      (c, id, command) =>
        void c.socket.write(pData(id, response(command, { [COMMAND_ELEMENT.affectedSopInstanceUid]: '2.25.2' }))),
    ],
    [
      'another SOP class',
      (c, id, command) =>
        void c.socket.write(pData(id, response(command, { [COMMAND_ELEMENT.affectedSopClassUid]: MR_IMAGE }))),
    ],
    [
      'a pending status',
      (c, id, command) => void c.socket.write(pData(id, response(command, { [COMMAND_ELEMENT.status]: 0xff00 }))),
    ],
    [
      'a cancel status',
      (c, id, command) => void c.socket.write(pData(id, response(command, { [COMMAND_ELEMENT.status]: 0xfe00 }))),
    ],
    ['another presentation context', (c, id, command) => void c.socket.write(pData(id + 2, response(command)))],
    [
      'a presentation context that was not accepted',
      (c, _id, command) => void c.socket.write(pData(99, response(command))),
    ],
    [
      'no status',
      (c, id, command) => void c.socket.write(pData(id, response(command, { [COMMAND_ELEMENT.status]: undefined }))),
    ],
    [
      'a status of four bytes',
      (c, id, command) =>
        void c.socket.write(
          pData(
            id,
            Buffer.concat([
              response(command, { [COMMAND_ELEMENT.status]: undefined }),
              Buffer.from('000000090400000000000000', 'hex'),
            ]),
          ),
        ),
    ],
    [
      'two statuses',
      (c, id, command) =>
        void c.socket.write(
          pData(
            id,
            Buffer.concat([
              response(command, { [COMMAND_ELEMENT.status]: 0xa700 }),
              Buffer.from('00000009020000000000', 'hex'),
            ]),
          ),
        ),
    ],
    [
      'half a response, then the end',
      (c, id, command) => void c.socket.end(pData(id, response(command)).subarray(0, 100)),
    ],
    [
      'a response whose last fragment is not marked, then the end',
      (c, id, command) => void c.socket.end(pData(id, response(command), true, false)),
    ],
    [
      'an endless data set behind it',
      async (c, id, command) => {
        c.socket.write(pData(id, response(command, { [COMMAND_ELEMENT.commandDataSetType]: HAS_DATA_SET })));
        for (let count = 0; count < 20; count += 1) c.socket.write(pData(id, Buffer.alloc(8000), false, false));
      },
    ],
    [
      'an instance UID with more behind a NUL',
      (c, id, command) =>
        void c.socket.write(pData(id, response(command, { [COMMAND_ELEMENT.affectedSopInstanceUid]: '2.25.1\0.2' }))),
    ],
    [
      'an instance UID that is the beginning of ours',
      (c, id, command) =>
        void c.socket.write(pData(id, response(command, { [COMMAND_ELEMENT.affectedSopInstanceUid]: '2.25' }))),
    ],
    [
      'the next message, which was not sent yet',
      (c, id, command) =>
        void c.socket.write(
          pData(
            id,
            response(command, {
              [COMMAND_ELEMENT.messageIdBeingRespondedTo]: 1 + command.require(COMMAND_ELEMENT.messageId),
            }),
          ),
        ),
    ],
    [
      'two responses in one command',
      (c, id, command) => void c.socket.write(pData(id, Buffer.concat([response(command), response(command)]))),
    ],
    [
      'a response in a fragment that is marked as data',
      (c, id, command) => void c.socket.write(pData(id, response(command), false)),
    ],
    [
      'a release, and then success',
      (c, id, command) => {
        c.send({ type: 'release-rq' });
        c.socket.write(pData(id, response(command)));
      },
    ],
    ['a release', (c) => void c.send({ type: 'release-rq' })],
    ['an abort', (c) => void c.send({ type: 'abort', source: 0, reason: 0 })],
    ['the end of the connection', (c) => void c.socket.end()],
  ];

  it.each(near)('%s', async (_name, script) => {
    await using peer = await answering(script);
    const association = await open(peer.port);
    const stored = association.store([opaqueFile(5000).file]);
    await expect(stored).rejects.toMatchObject({
      code: expect.stringMatching(
        /^(unexpected-response|protocol-error|limit-exceeded|connection-closed|association-ended|aborted)$/,
      ),
    });
    await association.ended;
  });

  it('our own request: the response is still awaited', async () => {
    await using peer = await answering((c, id, command) => {
      c.socket.write(pData(id, response(command, { [COMMAND_ELEMENT.commandField]: COMMAND_FIELD.cancelRq })));
    });
    const received = Promise.withResolvers<void>();
    using clock = stopClock();
    const association = await open(peer.port, {
      responseTimeoutMs: 300,
      observer: ({ type }: ObserverEvent) => type === 'message-received' && received.resolve(),
    });
    const stored = association.store([opaqueFile(5000).file]);
    const refused = expect(stored).rejects.toMatchObject({ code: 'response-timeout' });
    await received.promise;
    await clock.pass(299);
    expect(association.hasEnded).toBe(false);
    await clock.pass(300);
    await refused;
    await association.ended;
  });

  it.each(['tcp', 'tls'])('success before the last fragment was sent, over %s', async (kind) => {
    const certificates = kind === 'tls' ? await makeCertificates() : undefined;
    await using peer = await startScriptedPeer(async (connection) => {
      await connection.accept();
      await connection.until(() => connection.buffered.length > 4000);
      const { contextId, command } = await connection.nextCommand();
      connection.socket.write(pData(contextId, response(command)));
      await connection.untilEnded();
    }, certificates?.server);
    const association = await open(peer.port, certificates && { tls: { ca: certificates.ca.cert } });
    let release: () => void = () => {};
    async function* halting(): AsyncGenerator<Buffer> {
      yield opaqueFile(100_000).file;
      await new Promise<void>((resolve) => {
        release = resolve;
      });
      yield Buffer.alloc(100);
    }
    await expect(association.store(halting())).rejects.toMatchObject({
      code: 'unexpected-response',
      message: expect.stringContaining('before its last fragment was sent'),
    });
    release();
  });

  it('success while the last fragment waits for a peer that reads no more', async () => {
    await using peer = await startScriptedPeer(async (connection) => {
      await connection.accept();
      const { contextId, command } = await connection.nextCommand();
      connection.socket.pause();
      connection.socket.write(pData(contextId, response(command)));
      await connection.untilEnded();
    });
    const association = await open(peer.port);
    // More than the buffers of both systems hold, in one piece: all of it is written before the response is read.
    await expect(association.store([opaqueFile(64 * MB).file])).rejects.toMatchObject({ code: 'unexpected-response' });
  });

  it('a second response: the first one counts, the association does not live on', async () => {
    await using peer = await answering((connection, contextId, command) => {
      const bytes = pData(contextId, response(command));
      connection.socket.write(Buffer.concat([bytes, bytes]));
    });
    const association = await open(peer.port);
    expect(await association.store([opaqueFile(5000).file])).toMatchObject({ class: 'success' });
    expect((await association.ended)?.code).toBe('unexpected-response');
  });
});

describe('a failure before the last fragment was sent', () => {
  it('counts when the rest is out', async () => {
    await using peer = await startScriptedPeer(async (connection) => {
      await connection.accept();
      await connection.until(() => connection.buffered.length > 50_000);
      const { contextId, command } = await connection.nextCommand();
      connection.socket.write(pData(contextId, response(command, { [COMMAND_ELEMENT.status]: 0xa700 })));
      await connection.untilEnded();
    });
    const failed = Promise.withResolvers<void>();
    const association = await open(peer.port, {
      observer: ({ type }: ObserverEvent) => type === 'message-received' && failed.resolve(),
    });
    async function* halting(): AsyncGenerator<Buffer> {
      yield opaqueFile(100_000).file;
      await failed.promise;
      yield Buffer.alloc(100);
    }
    expect(await association.store(halting())).toMatchObject({
      class: 'failure',
      status: 0xa700,
      dataSetBytes: 100_100,
    });
    association.abort();
  });
});

describe('other requests', () => {
  it('are neither answered by a response of another kind nor by one that is not final', async () => {
    for (const overrides of [
      { [COMMAND_ELEMENT.commandField]: COMMAND_FIELD.storeRsp },
      { [COMMAND_ELEMENT.status]: 0xff00 },
    ]) {
      await using peer = await answering((connection, contextId, command) => {
        connection.socket.write(
          pData(contextId, response(command, { [COMMAND_ELEMENT.commandField]: COMMAND_FIELD.echoRsp, ...overrides })),
        );
      });
      const association = await connect({
        host: '127.0.0.1',
        port: peer.port,
        ...AE_TITLES,
        presentationContexts: [{ abstractSyntax: '1.2.840.10008.1.1', transferSyntaxes: ['1.2.840.10008.1.2'] }],
        artimTimeoutMs: 60_000,
      });
      await expect(association.echo()).rejects.toMatchObject({ code: 'unexpected-response' });
    }
  });
});
