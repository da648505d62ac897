import { randomBytes } from 'node:crypto';
import { DispatchError } from '@dicom-dispatch/core';
import { connect, UID, type Association } from 'dicom-dimse';
import { requestStorageCommitment } from 'dicom-dimse/dataset';
import type { DeliveryRun, ManifestInstance } from '@dicom-dispatch/target-kit';
import { connectOptions } from '../connect-options.ts';
import { littleEndian } from '../little-endian.ts';
import type { AnyDicomTarget } from '../schema.ts';
import { maxReportBytes, takeReport } from './commitment-reports.ts';
import type { CommitmentState } from './commitment-state.ts';
import type { ReportQueue } from './report-queue.ts';

/** Maximum number of references in one request: a report must repeat them all. */
const instancesPerRequest = 1_000;
const duplicateTransactionUid = 0x0131;

/** An association for N-ACTION, on which reports are accepted too. @throws DispatchError, DimseError */
export async function openForCommitment(run: DeliveryRun<AnyDicomTarget>): Promise<Association> {
  const contexts = [{ abstractSyntax: UID.storageCommitmentPushModel, transferSyntaxes: littleEndian }];
  const association = await connect({
    ...(await connectOptions(run.config, contexts, run.signal)),
    maxDataSetBytes: maxReportBytes,
    handlers: { eventReport: (request) => takeReport(request, [run.mailbox]) },
  });
  if (association.acceptedContexts.length > 0) return association;
  await association.release();
  throw new DispatchError('target-misconfigured', 'the receiver does not offer storage commitment', {
    stage: 'verify',
    remedy: 'Allow it for the calling AE title at the receiver, or set verify: find or verify: none.',
  });
}

/**
 * Requests storage commitment for these instances; each transaction is stored in the state before its request.
 *
 * @throws DispatchError `verify-pending` if the receiver does not accept the request now
 */
export async function askCommitment(
  run: DeliveryRun<AnyDicomTarget>,
  association: Association,
  state: CommitmentState,
  reports: ReportQueue,
  instances: readonly ManifestInstance[],
): Promise<void> {
  for (let at = 0; at < instances.length; at += instancesPerRequest) {
    const part = instances.slice(at, at + instancesPerRequest);
    const answer = await ask(part);
    const last = answer.status === duplicateTransactionUid ? await ask(part) : answer;
    if (last.class !== 'failure') continue;
    const shown = `${last.status.toString(16).toUpperCase().padStart(4, '0')}H (${last.text})`;
    throw new DispatchError('verify-pending', `the receiver rejected a storage commitment request: ${shown}`, {
      stage: 'verify',
    });
  }

  async function ask(part: readonly ManifestInstance[]) {
    const transactionUid = newUid();
    state.add({ transactionUid, sopInstanceUids: part.map(({ sopInstanceUid }) => sopInstanceUid) });
    await state.save();
    await reports.expect(transactionUid);
    const references = part.map(({ sopClassUid = '', sopInstanceUid }) => ({ sopClassUid, sopInstanceUid }));
    const answer = await requestStorageCommitment(association, { transactionUid, references }, run.signal);
    if (answer.class === 'failure') {
      await reports.forget(transactionUid);
      state.end(transactionUid);
      await state.save();
    }
    return answer;
  }
}

/** A UID from a random number of 128 bits (PS3.5 section B.2). */
function newUid(): string {
  return `2.25.${BigInt(`0x${randomBytes(16).toString('hex')}`)}`;
}
