import type { IncomingNRequest, NAnswer } from 'dicom-dimse';
import { readCommitmentReport } from 'dicom-dimse/dataset';
import type { Mailbox } from '../../contract/index.ts';

const processingFailure = 0x0110;

/** Told when a report has come to this process, so that nobody here waits for the next look into the mailbox. */
export const reportArrived = new EventTarget();

/**
 * An N-EVENT-REPORT (PS3.4 section J.3.3) goes into the mailbox, for the dispatcher that asked. One that nobody of us has
 * asked for is refused, so that it may come again; so is one that cannot be kept now.
 */
export async function takeReport(request: IncomingNRequest, mailboxes: Iterable<Mailbox>): Promise<NAnswer> {
  const report = await readCommitmentReport(request);
  for (const mailbox of mailboxes) {
    const isKept = await mailbox.leave(mailboxName(report.transactionUid), report).catch(() => false);
    if (!isKept) continue;
    reportArrived.dispatchEvent(new Event('report'));
    return { status: 0 };
  }
  return { status: processingFailure };
}

export function mailboxName(transactionUid: string): string {
  return `storage-commitment:${transactionUid}`;
}
