import { isUid, type IncomingNRequest, type NAnswer } from 'dicom-dimse';
import { readCommitmentReport, type CommitmentReport } from 'dicom-dimse/dataset';
import type { Mailbox } from '@dicom-dispatch/target-kit';
import { noteContradiction } from './closed-transaction.ts';

const processingFailure = 0x0110;
const noSuchEventType = 0x0113;
const invalidArgument = 0x0115;
/** PS3.4 section J.3.3: all committed, some failed. */
const eventTypes: ReadonlySet<number> = new Set([1, 2]);
/** Enough for a report on 1000 references, the maximum per request, each with two UIDs. */
export const maxReportBytes = 1024 * 1024;
/** Two dispatchers may receive reports on one transaction at the same time. */
const maxTries = 5;

/** Emits `report` when this process has received a report, so that deliveries do not wait for the next check of the mailbox. */
export const reportArrived = new EventTarget();

/**
 * Puts an N-EVENT-REPORT (PS3.4 section J.3.3) into the mailbox, for the dispatcher that requested it. A report that is not expected,
 * or cannot be stored now, is rejected: the receiver may send it again. A failure that contradicts an earlier report, which was already
 * read, is noted with its delivery.
 */
export async function takeReport(request: IncomingNRequest, mailboxes: Iterable<Mailbox>): Promise<NAnswer> {
  if (!eventTypes.has(request.typeId)) return { status: noSuchEventType };
  const report = await readCommitmentReport(request);
  // The UID becomes part of a key.
  if (!isUid(report.transactionUid)) return { status: invalidArgument };
  for (const mailbox of mailboxes) {
    const isKept = await keep(mailbox, report).catch(() => false);
    if (!isKept) continue;
    reportArrived.dispatchEvent(new Event('report'));
    return { status: 0 };
  }
  const from = request.association.peer.aeTitle;
  for (const mailbox of mailboxes) {
    const isNoted = noteContradiction(mailbox, mailboxName(report.transactionUid), report, from);
    if (await isNoted.catch(() => false)) return { status: 0 };
  }
  return { status: processingFailure };
}

export function mailboxName(transactionUid: string): string {
  return `storage-commitment:${transactionUid}`;
}

/** Adds a report to an unread one on the same transaction; false if no delivery expects it. */
async function keep(mailbox: Mailbox, report: CommitmentReport): Promise<boolean> {
  const name = mailboxName(report.transactionUid);
  let wanted = report;
  for (let tries = 0; tries < maxTries; tries += 1) {
    const there = await mailbox.look<CommitmentReport>(name);
    if (there && tries > 0 && failuresOf(wanted).every((uid) => failuresOf(there).includes(uid))) return true;
    wanted = there ? together(there, wanted) : wanted;
    if (!(await mailbox.leave(name, wanted))) return false;
  }
  return true;
}

/** A failure is final for its transaction: only a new transaction can have another result. */
function together(first: CommitmentReport, second: CommitmentReport): CommitmentReport {
  const failed = new Map([...second.failed, ...first.failed].map((one) => [one.sopInstanceUid, one]));
  const committed = new Map([...first.committed, ...second.committed].map((one) => [one.sopInstanceUid, one]));
  for (const uid of failed.keys()) committed.delete(uid);
  return {
    transactionUid: first.transactionUid,
    committed: [...committed.values()],
    failed: [...failed.values()],
  };
}

function failuresOf({ failed }: CommitmentReport): string[] {
  return failed.map(({ sopInstanceUid }) => sopInstanceUid);
}
