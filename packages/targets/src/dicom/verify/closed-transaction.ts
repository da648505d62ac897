import { createHash } from 'node:crypto';
import type { CommitmentReport, FailedReference } from 'dicom-dimse/dataset';
import type { Mailbox } from '@dicom-dispatch/target-kit';

/** Data that is stored about a transaction whose report was read. */
export interface ClosedTransaction {
  readonly deliveryId: string;
  /** AE title of the receiver: a report from another one is not accepted. */
  readonly aeTitle: string;
  /** Short hashes of the SOP Instance UIDs that the report listed as committed, concatenated. */
  readonly committed: string;
}

/** Characters of base64: 48 bits, so that equal hashes among 1000 failed and 1000 committed instances are improbable. */
const hashLength = 8;

/** @param asked - SOP Instance UIDs of the request */
export function closedTransaction(
  { committed, failed }: CommitmentReport,
  asked: readonly string[],
  delivery: Pick<ClosedTransaction, 'deliveryId' | 'aeTitle'>,
): ClosedTransaction {
  const named = new Set(committed.map(({ sopInstanceUid }) => sopInstanceUid));
  for (const { sopInstanceUid } of failed) named.delete(sopInstanceUid);
  return {
    ...delivery,
    committed: asked
      .filter((uid) => named.has(uid))
      .map(hashOf)
      .join(''),
  };
}

/**
 * Notes failures of a report on a closed transaction: the receiver reports now that it lacks instances to which it had committed. After
 * its report a transaction is not active any more (PS3.4 section J.3.3.1.2), so the failure changes no result, and nothing is sent
 * again; it is noted with the delivery, once for each instance.
 *
 * @param report - its Transaction UID is that of the closed transaction
 * @param from - AE title of the peer that sent it
 * @returns whether it contradicts the report that was read
 */
export async function noteContradiction(
  mailbox: Mailbox,
  name: string,
  report: CommitmentReport,
  from: string,
): Promise<boolean> {
  if (report.failed.length === 0) return false;
  const closed = await mailbox.closed<ClosedTransaction>(name);
  if (!closed || closed.aeTitle !== from) return false;
  const hashes = new Set(closed.committed.match(new RegExp(`.{${hashLength}}`, 'g')));
  const lacking = report.failed.filter(({ sopInstanceUid }) => hashes.delete(hashOf(sopInstanceUid)));
  if (lacking.length === 0) return false;
  await mailbox.doubt(closed.deliveryId, textOf(lacking));
  await mailbox.close(name, { ...closed, committed: [...hashes].join('') } satisfies ClosedTransaction);
  return true;
}

function textOf(lacking: readonly FailedReference[]): string {
  const reasons = new Set(
    lacking.map(({ reason, text }) => `${reason.toString(16).toUpperCase().padStart(4, '0')}H ${text}`),
  );
  const when = `${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC`;
  const what = lacking.length === 1 ? 'an instance' : `${lacking.length} instances`;
  return `On ${when} the receiver reported a storage commitment failure for ${what} to which it had committed before (${[...reasons].slice(0, 3).join(', ')}): it may lack ${lacking.length === 1 ? 'it' : 'them'}. Audit the target, or resend every instance of the study.`;
}

function hashOf(sopInstanceUid: string): string {
  return createHash('sha256').update(sopInstanceUid).digest('base64url').slice(0, hashLength);
}
