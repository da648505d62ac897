import { expect, it } from 'vitest';
import { connect } from '../association/connect.ts';
import { openPair } from '../testing/open-pair.ts';
import { AE_TITLES } from '../testing/part10-fixture.ts';
import { responseTo, startScriptedPeer } from '../testing/scripted-peer.ts';
import { TRANSFER_SYNTAX, UID } from '../uids.ts';
import { dataSet, encodeDataSet } from './codec.ts';
import { findDataSets } from './find-data-sets.ts';
import { readCommitmentReport, readCommitmentRequest } from './storage-commitment.ts';

const FIND = { abstractSyntax: UID.studyRootFind, transferSyntaxes: [TRANSFER_SYNTAX.explicitVrLittleEndian] };
const request = { sopClassUid: UID.studyRootFind, query: { QueryRetrieveLevel: 'STUDY' } };

/** The error, or the final status, of a search that a peer ends with this status. */
async function endedWith(status: number): Promise<unknown> {
  await using peer = await startScriptedPeer(async (connection) => {
    await connection.accept();
    const { contextId, command } = await connection.nextMessage();
    connection.socket.write(responseTo(contextId, command, status));
    await connection.untilEnded();
  });
  const association = await connect({
    host: '127.0.0.1',
    port: peer.port,
    ...AE_TITLES,
    presentationContexts: [FIND],
  });
  const step = await findDataSets(association, request)
    .next()
    .catch((error: unknown) => error);
  association.abort();
  return step;
}

it.each<[number, object]>([
  [0x0000, { done: true, value: { status: 0, class: 'success' } }],
  [
    0xfe00,
    {
      code: 'answer-cut',
      message:
        'the peer ended its list with status FE00H (Matching or sub-operations terminated by a cancel request): the list may be incomplete',
    },
  ],
  [0xb000, { code: 'answer-cut', message: expect.stringContaining('status B000H (Warning)') }],
  [0xa700, { code: 'unexpected-response', message: 'the C-FIND failed with status A700H (Refused: out of resources)' }],
  [0x0122, { code: 'unexpected-response', message: expect.stringContaining('status 0122H (SOP class not supported)') }],
])('a search that ends with %s is complete, cut or failed', async (status, expected) => {
  expect(await endedWith(status)).toMatchObject(expected);
});

it('a broken match does not hide the others, and a caller that leaves cancels the search', async () => {
  const aborted = Promise.withResolvers<void>();
  let isEndless = false;
  await using pair = await openPair(
    {
      presentationContexts: [FIND],
      handlers: {
        async *find({ signal }) {
          signal.addEventListener('abort', () => aborted.resolve());
          yield dataSet({ PatientID: 'A' });
          yield Buffer.concat([Buffer.from('100020004c4f020042201000', 'hex'), Buffer.from('garbage')]);
          yield dataSet({ PatientID: 'C' });
          if (isEndless) await aborted.promise;
        },
      },
    },
    { presentationContexts: [FIND] },
  );
  const found: unknown[] = [];
  for await (const match of findDataSets(pair.association, request)) found.push(match['PatientID']);
  expect(found).toEqual(['A', 'B', 'C']);
  isEndless = true;
  for await (const match of findDataSets(pair.association, request)) {
    expect(match['PatientID']).toBe('A');
    break;
  }
  await aborted.promise;
  await pair.association.release();
});

it('storage commitment needs a data set, and reads what a peer leaves out as empty', async () => {
  const message = {
    sopClassUid: UID.storageCommitmentPushModel,
    sopInstanceUid: UID.storageCommitmentPushModelInstance,
    typeId: 1,
    association: undefined as never,
  };
  for (const read of [readCommitmentRequest, readCommitmentReport]) {
    await expect(read({ ...message, dataSet: undefined })).rejects.toMatchObject({
      code: 'dataset-invalid',
      message: 'the storage commitment message has no data set',
    });
  }
  const { implicitVrLittleEndian: transferSyntaxUid } = TRANSFER_SYNTAX;
  const encoded = (values: object) => ({
    ...message,
    dataSet: { transferSyntaxUid, bytes: Buffer.from(encodeDataSet({ ...values }, transferSyntaxUid)) },
  });
  expect(await readCommitmentReport(encoded({ TransactionUID: '2.25.1' }))).toEqual({
    transactionUid: '2.25.1',
    committed: [],
    failed: [],
  });
  const item = { ReferencedSOPClassUID: '1.2', ReferencedSOPInstanceUID: '2.25.7' };
  const failed = [{ ...item, FailureReason: 0x0999 }, item];
  expect(await readCommitmentReport(encoded({ FailedSOPSequence: failed }))).toEqual({
    transactionUid: '',
    committed: [],
    failed: [
      { sopClassUid: '1.2', sopInstanceUid: '2.25.7', reason: 0x0999, text: 'Unknown reason' },
      { sopClassUid: '1.2', sopInstanceUid: '2.25.7', reason: 0, text: 'Unknown reason' },
    ],
  });
  expect(await readCommitmentRequest(encoded({}))).toEqual({ transactionUid: '', references: [] });
});
