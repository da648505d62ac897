import { describe, expect, it } from 'vitest';
import type { ObserverEvent } from '../observer.ts';
import { encodeFileMeta } from '../part10/encode-file-meta.ts';
import { openPair } from '../testing/open-pair.ts';
import { AE_TITLES, CT_CONTEXT, CT_IMAGE, opaqueFile } from '../testing/part10-fixture.ts';
import { COMMAND_ELEMENT, responseTo, startScriptedPeer } from '../testing/scripted-peer.ts';
import { connect } from '../association/connect.ts';
import { TRANSFER_SYNTAX } from '../uids.ts';
import type { StoreOptions } from './store-options.ts';

const { explicitVrLittleEndian: explicit, implicitVrLittleEndian: implicit } = TRANSFER_SYNTAX;
const body = Buffer.from('0800160055490400312e3200', 'hex');

/** A file with these values in its file meta information. */
function file(meta: Partial<Parameters<typeof encodeFileMeta>[0]> = {}): Buffer {
  const whole = { sopClassUid: CT_IMAGE, sopInstanceUid: '2.25.1', transferSyntaxUid: explicit, ...meta };
  return Buffer.concat([encodeFileMeta(whole), body]);
}

async function* async(chunks: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* chunks;
}

describe.each(['in memory', 'read asynchronously'])('an instance %s', (kind) => {
  const source = (bytes: Buffer) => (kind === 'in memory' ? [bytes] : async([bytes]));
  const contexts = [CT_CONTEXT, { abstractSyntax: CT_IMAGE, transferSyntaxes: [implicit] }];
  const pair = () =>
    openPair({ presentationContexts: contexts, handlers: { store: () => 0 } }, { presentationContexts: contexts });
  const missing =
    'source-not-dicom: the file meta information lacks SOP class (0002,0002), SOP instance (0002,0003) or transfer syntax (0002,0010)';

  it.each<[string, Buffer, StoreOptions, string]>([
    ['without a data set', file().subarray(0, -body.length), {}, 'source-not-dicom: the file has no data set'],
    ['without a SOP class', file({ sopClassUid: '' }), {}, missing],
    ['without a SOP instance', file({ sopInstanceUid: '' }), {}, missing],
    ['without a transfer syntax', file({ transferSyntaxUid: '' }), {}, missing],
    [
      'of another class',
      file(),
      { sopClassUid: '1.2.3' },
      `no-presentation-context: no accepted presentation context for SOP class 1.2.3 in transfer syntax ${explicit}`,
    ],
    [
      'in another transfer syntax than expected',
      file(),
      { transferSyntaxUid: implicit },
      `source-failed: the file has transfer syntax ${explicit}; expected ${implicit}`,
    ],
    [
      'without file meta information',
      body,
      { transferSyntaxUid: explicit, sopInstanceUid: '2.25.1', sopClassUid: CT_IMAGE },
      'source-not-dicom: not a DICOM file: the source ends inside its file meta information',
    ],
    [
      'without file meta information, of which nothing is known',
      body,
      { isTolerant: true },
      'source-not-dicom: not a DICOM file: the source ends inside its file meta information',
    ],
  ])('%s is not sent, and the association stays open', async (_name, bytes, options, expected) => {
    await using open = await pair();
    const failed = await open.association.store(source(bytes), options).catch((error: unknown) => error);
    expect(failed).toMatchObject({
      code: expected.slice(0, expected.indexOf(': ')),
      message: expected.slice(expected.indexOf(': ') + 2),
    });
    expect(await open.association.store([file()])).toMatchObject({ status: 0 });
  });

  it.each<[string, Buffer, StoreOptions]>([
    ['its own file meta information', file(), {}],
    ['a given SOP class', file({ sopClassUid: '' }), { sopClassUid: CT_IMAGE }],
    ['a given SOP instance', file({ sopInstanceUid: '2.25.9' }), { sopInstanceUid: '2.25.1' }],
    ['a given transfer syntax', file({ transferSyntaxUid: '' }), { transferSyntaxUid: explicit }],
    ['the expected transfer syntax', file(), { transferSyntaxUid: explicit }],
    [
      'no file meta information, if all is known',
      body,
      { isTolerant: true, transferSyntaxUid: explicit, sopInstanceUid: '2.25.1', sopClassUid: CT_IMAGE },
    ],
  ])('is sent with %s', async (_name, bytes, options) => {
    await using open = await pair();
    expect(await open.association.store(source(bytes), options)).toEqual({
      status: 0,
      class: 'success',
      text: 'Success',
      affectedSopInstanceUid: '2.25.1',
      sopClassUid: CT_IMAGE,
      transferSyntaxUid: explicit,
      dataSetBytes: body.length,
      errorComment: undefined,
    });
  });

  it('whose store is cancelled before it begins is not sent', async () => {
    const events: ObserverEvent[] = [];
    await using open = await openPair(
      { handlers: { store: () => 0 } },
      { observer: (event) => void events.push(event) },
    );
    const reason = new Error('enough');
    await expect(open.association.store(source(file()), { signal: AbortSignal.abort(reason) })).rejects.toMatchObject({
      code: 'cancelled',
      message: 'the store was cancelled',
      cause: reason,
    });
    expect(await open.association.store(source(file()))).toMatchObject({ status: 0 });
    expect(events.filter(({ type }) => type === 'message-sent')).toHaveLength(1);
  });
});

it.each<[StoreOptions, number, string | undefined, number | undefined]>([
  [{}, 0, undefined, undefined],
  [{ priority: 'high' }, 1, undefined, undefined],
  [{ priority: 'low', moveOriginator: { aeTitle: 'MOVER', messageId: 77 } }, 2, 'MOVER', 77],
])('the request has its priority and its originator: %j', async (options, priority, aeTitle, messageId) => {
  await using peer = await startScriptedPeer(async (connection) => {
    await connection.accept();
    const { contextId, command, dataSet } = await connection.nextMessage();
    expect(command.uint16(COMMAND_ELEMENT.priority)).toBe(priority);
    expect(command.text(COMMAND_ELEMENT.moveOriginatorAeTitle)).toBe(aeTitle);
    expect(command.uint16(COMMAND_ELEMENT.moveOriginatorMessageId)).toBe(messageId);
    expect(command.text(COMMAND_ELEMENT.affectedSopInstanceUid)).toBe('2.25.1');
    expect(command.hasDataSet).toBe(true);
    expect(dataSet.length).toBe(100);
    connection.socket.write(responseTo(contextId, command, 0xb007));
  });
  const association = await connect({ ...peer, ...AE_TITLES, presentationContexts: [CT_CONTEXT] });
  expect(await association.store([opaqueFile(100).file], options)).toMatchObject({ status: 0xb007, class: 'warning' });
  await peer.finished();
  association.abort();
});

it.each<[string, () => AsyncIterable<Uint8Array> | Iterable<Uint8Array>, string]>([
  [
    'yields texts',
    function* () {
      yield 'text' as never;
    },
    'the source yielded string; it must yield Uint8Array',
  ],
  [
    'throws',
    function* () {
      yield file().subarray(0, 10);
      throw new Error('disk');
    },
    'reading the source of the instance failed',
  ],
  [
    'rejects',
    async function* () {
      yield file().subarray(0, 10);
      throw new Error('disk');
    },
    'reading the source of the instance failed',
  ],
])('a source that %s has failed, and the association stays open', async (_name, source, message) => {
  await using pair = await openPair({ handlers: { store: () => 0 } });
  await expect(pair.association.store(source())).rejects.toMatchObject({ code: 'source-failed', message });
  expect(await pair.association.store([new Uint8Array(file())])).toMatchObject({ status: 0 });
});

it('a source that is not needed is closed, and its errors are ignored', async () => {
  await using pair = await openPair({ handlers: { store: () => 0 } });
  const closed: string[] = [];
  const odd = (kind: string) => ({
    next: () => ({ done: false as const, value: Buffer.from('no DICOM '.repeat(40)) }),
    return() {
      closed.push(kind);
      throw new Error('already closed');
    },
  });
  await expect(
    pair.association.store({ [Symbol.iterator]: () => odd('sync') } as Iterable<Uint8Array>),
  ).rejects.toMatchObject({ code: 'source-not-dicom' });
  await expect(
    pair.association.store({
      [Symbol.asyncIterator]: () => {
        const { next, return: close } = odd('async');
        return { next: async () => next(), return: async () => close() };
      },
    } as AsyncIterable<Uint8Array>),
  ).rejects.toMatchObject({ code: 'source-not-dicom' });
  expect(closed).toEqual(['sync', 'async']);
});
