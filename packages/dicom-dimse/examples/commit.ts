/**
 * Requests storage commitment and waits for the report, which may arrive on an association that the peer opens.
 * node examples/commit.ts HOST PORT CALLED_AE_TITLE OWN_PORT SOP_CLASS_UID SOP_INSTANCE_UID
 */
import { randomBytes } from 'node:crypto';
import { TRANSFER_SYNTAX, UID, connect, createServer } from 'dicom-dimse';
import { readCommitmentReport, requestStorageCommitment } from 'dicom-dimse/dataset';
import type { CommitmentReport } from 'dicom-dimse/dataset';
import type { IncomingHandlers } from 'dicom-dimse';

const [host = '', port = '', calledAeTitle = '', ownPort = '', sopClassUid = '', sopInstanceUid = ''] =
  process.argv.slice(2);
const context = {
  abstractSyntax: UID.storageCommitmentPushModel,
  transferSyntaxes: [TRANSFER_SYNTAX.implicitVrLittleEndian, TRANSFER_SYNTAX.explicitVrLittleEndian],
};

const reported = Promise.withResolvers<CommitmentReport>();
const handlers: IncomingHandlers = {
  async eventReport(request) {
    reported.resolve(await readCommitmentReport(request));
    return { status: 0 };
  },
};
const server = createServer({
  presentationContexts: [{ ...context, requestorRoles: { scu: false, scp: true } }],
  handlers,
});
await server.listen({ port: Number(ownPort) });
const association = await connect({
  host,
  port: Number(port),
  callingAeTitle: 'EXAMPLE',
  calledAeTitle,
  presentationContexts: [context],
  handlers,
});
// Store the Transaction UID: a report may arrive hours later.
const transactionUid = `2.25.${BigInt(`0x${randomBytes(16).toString('hex')}`)}`;
await requestStorageCommitment(association, { transactionUid, references: [{ sopClassUid, sopInstanceUid }] });
const { committed, failed } = await reported.promise;
console.log(`${committed.length} committed, ${failed.length} failed ${failed.map((one) => one.text).join(', ')}`);
await association.release();
await server.close();
