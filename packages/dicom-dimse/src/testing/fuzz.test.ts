import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { describe, expect, it } from 'vitest';
import { connect } from '../association/connect.ts';
import { encodePdu } from '../pdu/encode-pdu.ts';
import { PDataWriter } from '../dimse/p-data-writer.ts';
import { UID } from '../uids.ts';
import { fuzzDecoders } from './fuzz-decoders.ts';
import { mutate } from './mutate.ts';
import { listen } from './open-pair.ts';
import { AE_TITLES, CT_CONTEXT, opaqueFile } from './part10-fixture.ts';
import { COMMAND_ELEMENT, COMMAND_FIELD } from './scripted-peer.ts';
import { encodeCommandSet } from '../dimse/command-set.ts';
import { Random } from './random.ts';

describe('mutated input', () => {
  it('never makes a decoder crash, hang, or allocate beyond its bounds', () => {
    const report = fuzzDecoders(30_000, 20_261_121);
    expect(Object.keys(report.outcomes).sort()).toEqual([
      'accepted',
      'limit-exceeded',
      'protocol-error',
      'source-not-dicom',
      'tls-expected',
    ]);
  });

  it('of a complete association never harms a server, which serves the next one', async () => {
    const errors: unknown[] = [];
    const { server, port } = await listen({
      artimTimeoutMs: 60_000,
      idleTimeoutMs: 60_000,
      handlers: {
        async store(instance) {
          for await (const chunk of instance.dataSet) void chunk;
          return 0;
        },
        onHandlerError: (error) => void errors.push(error),
      },
    });
    const conversation = wholeConversation();
    const random = new Random(7);
    for (let round = 0; round < 150; round += 1) {
      const socket = connectTcp(port, '127.0.0.1');
      socket.on('error', () => {});
      socket.resume();
      await once(socket, 'connect');
      const closed = once(socket, 'close');
      socket.end(mutate(conversation, random));
      await closed;
    }
    const association = await connect({ host: '127.0.0.1', port, ...AE_TITLES, presentationContexts: [CT_CONTEXT] });
    expect(await association.store([opaqueFile(1000).file])).toMatchObject({ status: 0 });
    await association.release();
    for (const error of errors) {
      expect((error as { code: string }).code).toMatch(
        /^(protocol-error|tls-expected|limit-exceeded|connection-closed|association-ended|aborted)$/,
      );
    }
    await server.close();
  });
});

/** The bytes that a client sends to store one instance, from the request to the release. */
function wholeConversation(): Buffer {
  const written: Buffer[] = [
    encodePdu({
      type: 'associate-rq',
      protocolVersion: 1,
      ...AE_TITLES,
      applicationContextName: UID.applicationContext,
      presentationContexts: [{ id: 1, ...CT_CONTEXT }],
      userItems: [{ type: 'maximum-length', maximumLengthBytes: 16_384 }],
      unknownItems: [],
    }),
  ];
  const writer = new PDataWriter(
    {
      write: (bytes: Buffer) => void written.push(bytes),
      writePDataHeader: (bytes: Buffer) => void written.push(bytes),
    } as never,
    4096,
  );
  const { dataSet } = opaqueFile(6000);
  writer.writeWhole(
    1,
    true,
    encodeCommandSet([
      [COMMAND_ELEMENT.affectedSopClassUid, CT_CONTEXT.abstractSyntax],
      [COMMAND_ELEMENT.commandField, COMMAND_FIELD.storeRq],
      [COMMAND_ELEMENT.messageId, 1],
      [COMMAND_ELEMENT.priority, 0],
      [COMMAND_ELEMENT.commandDataSetType, 0],
      [COMMAND_ELEMENT.affectedSopInstanceUid, '2.25.1'],
    ]),
  );
  const fragmenter = writer.beginDataSet(1);
  fragmenter.push(dataSet);
  fragmenter.end();
  written.push(encodePdu({ type: 'release-rq' }));
  return Buffer.concat(written);
}
