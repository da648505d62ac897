import { describe, expect, it } from 'vitest';
import { openPair } from '../testing/open-pair.ts';
import type { Association } from '../association/association.ts';
import type { IncomingHandlers } from '../operations/incoming.ts';
import { TRANSFER_SYNTAX, UID } from '../uids.ts';
import { decodeDataSet, encodeDataSet } from './codec.ts';
import {
  readCommitmentReport,
  readCommitmentRequest,
  reportStorageCommitment,
  requestStorageCommitment,
} from './storage-commitment.ts';
import type { CommitmentReport, CommitmentRequest } from './storage-commitment.ts';

const { implicitVrLittleEndian, explicitVrLittleEndian, explicitVrBigEndian, deflatedExplicitVrLittleEndian } =
  TRANSFER_SYNTAX;

describe('small data sets', () => {
  it.each([implicitVrLittleEndian, explicitVrLittleEndian, explicitVrBigEndian, deflatedExplicitVrLittleEndian])(
    'are encoded and decoded in %s',
    async (transferSyntaxUid) => {
      const bytes = encodeDataSet(
        {
          QueryRetrieveLevel: 'STUDY',
          PatientName: 'Müller^Jürg',
          PatientID: '',
          ModalitiesInStudy: ['CT', 'MR'],
          NumberOfStudyRelatedInstances: 3,
          ReferencedSOPSequence: [{ ReferencedSOPClassUID: '1.2', ReferencedSOPInstanceUID: '2.25.1' }],
        },
        transferSyntaxUid,
      );
      expect(bytes.length % 2).toBe(0);
      expect(await decodeDataSet({ transferSyntaxUid, bytes: Buffer.from(bytes) })).toMatchObject({
        SpecificCharacterSet: 'ISO_IR 192',
        QueryRetrieveLevel: 'STUDY',
        PatientName: [{ Alphabetic: 'Müller^Jürg' }],
        PatientID: '',
        ModalitiesInStudy: ['CT', 'MR'],
        NumberOfStudyRelatedInstances: 3,
        ReferencedSOPSequence: [{ ReferencedSOPClassUID: '1.2', ReferencedSOPInstanceUID: '2.25.1' }],
      });
    },
  );

  it('that cannot be decoded are an error that names no content', async () => {
    const bytes = Buffer.from('not a data set at all');
    await expect(decodeDataSet({ transferSyntaxUid: explicitVrLittleEndian, bytes })).rejects.toMatchObject({
      code: 'dataset-invalid',
      message: 'the data set received from the peer cannot be decoded',
    });
  });

  it('inflate to no more than a bound', async () => {
    const bytes = Buffer.from(encodeDataSet({ PatientComments: 'x'.repeat(60_000) }, deflatedExplicitVrLittleEndian));
    expect(bytes.length).toBeLessThan(1000);
    expect(await decodeDataSet({ transferSyntaxUid: deflatedExplicitVrLittleEndian, bytes })).toHaveProperty(
      'PatientComments',
    );
  });
});

describe('storage commitment', () => {
  const COMMITMENT = { abstractSyntax: UID.storageCommitmentPushModel, transferSyntaxes: [implicitVrLittleEndian] };
  const references = [
    { sopClassUid: '1.2.840.10008.5.1.4.1.1.2', sopInstanceUid: '2.25.1' },
    { sopClassUid: '1.2.840.10008.5.1.4.1.1.2', sopInstanceUid: '2.25.2' },
  ];

  /** A pair whose requestor requests storage commitment, and the received report. */
  async function commit(report: (association: Association, request: CommitmentRequest) => Promise<void>) {
    const reports: CommitmentReport[] = [];
    const reporting = Promise.withResolvers<void>();
    const eventReport: IncomingHandlers['eventReport'] = async (request) => {
      reports.push(await readCommitmentReport(request));
      return { status: 0 };
    };
    await using pair = await openPair(
      {
        presentationContexts: [{ ...COMMITMENT, requestorRoles: { scu: true, scp: true } }],
        handlers: {
          async action(request) {
            const wanted = await readCommitmentRequest(request);
            setImmediate(() => reporting.resolve(report(request.association, wanted)));
            return { status: 0 };
          },
          eventReport,
        },
      },
      { presentationContexts: [COMMITMENT], handlers: { eventReport } },
    );
    const answer = await requestStorageCommitment(pair.association, { transactionUid: '2.25.99', references });
    expect(answer).toMatchObject({ status: 0, class: 'success' });
    await reporting.promise;
    return { reports, port: pair.server.address?.port ?? 0 };
  }

  it('is reported on the same association', async () => {
    const { reports } = await commit(async (association, { transactionUid, references: wanted }) => {
      const answer = await reportStorageCommitment(association, { transactionUid, committed: wanted, failed: [] });
      expect(answer.class).toBe('success');
    });
    expect(reports).toEqual([{ transactionUid: '2.25.99', committed: references, failed: [] }]);
  });

  it('names what failed, and why', async () => {
    const { reports } = await commit(async (association, { transactionUid, references: [first, second] }) => {
      if (first === undefined || second === undefined) return;
      await reportStorageCommitment(association, {
        transactionUid,
        committed: [first],
        failed: [{ ...second, reason: 0x0112 }],
      });
    });
    expect(reports).toEqual([
      {
        transactionUid: '2.25.99',
        committed: [references[0]],
        failed: [{ ...references[1], reason: 0x0112, text: 'No such object instance' }],
      },
    ]);
  });

  it('is reported on a later association, by the SCP as requestor', async () => {
    const reports: CommitmentReport[] = [];
    await using pair = await openPair(
      {
        presentationContexts: [{ ...COMMITMENT, requestorRoles: { scu: false, scp: true } }],
        handlers: {
          async eventReport(request) {
            reports.push(await readCommitmentReport(request));
            return { status: 0 };
          },
        },
      },
      {
        presentationContexts: [COMMITMENT],
        roles: [{ sopClassUid: UID.storageCommitmentPushModel, scu: false, scp: true }],
      },
    );
    await reportStorageCommitment(pair.association, { transactionUid: '2.25.5', committed: references, failed: [] });
    expect(reports).toHaveLength(1);
    await expect(
      requestStorageCommitment(pair.association, { transactionUid: '2.25.6', references }),
    ).rejects.toMatchObject({ code: 'no-presentation-context' });
  });

  it('needs the SCP role for a report', async () => {
    await using pair = await openPair({ presentationContexts: [COMMITMENT] }, { presentationContexts: [COMMITMENT] });
    await expect(
      reportStorageCommitment(pair.association, { transactionUid: '2.25.5', committed: references, failed: [] }),
    ).rejects.toMatchObject({ code: 'no-presentation-context' });
  });
});
