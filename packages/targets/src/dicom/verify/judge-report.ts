import type { CommitmentReport } from 'dicom-dimse/dataset';

/** How to handle instances that the receiver did not commit to. */
export interface NotCommitted {
  /** The receiver lacks them: they are sent again. */
  readonly missing: Set<string>;
  /** The receiver will never store them, with the reason. */
  readonly refused: Map<string, string>;
  /** The receiver could not commit now: they are requested again, in a new transaction. */
  readonly later: Set<string>;
}

const noSuchInstance = 0x0112;
const classInstanceConflict = 0x0119;
const classNotSupported = 0x0122;

/**
 * Evaluates a report for its request (Failure Reason: PS3.3 section C.14.1.1). It is the latest result for
 * these instances: results of older transactions are replaced.
 *
 * @param asked - SOP Instance UID to SOP class of the instances in the transaction
 */
export function judgeReport(
  report: CommitmentReport,
  asked: ReadonlyMap<string, string | undefined>,
  committed: Set<string>,
  { missing, refused, later }: NotCommitted,
): void {
  const named = new Map(report.committed.map((one) => [one.sopInstanceUid, one.sopClassUid]));
  const failed = new Map(report.failed.map((one) => [one.sopInstanceUid, one]));
  for (const [uid, sopClassUid] of asked) {
    committed.delete(uid);
    missing.delete(uid);
    refused.delete(uid);
    later.delete(uid);
    const failure = failed.get(uid);
    if (!failure) {
      const namedClass = named.get(uid);
      const isNamed = namedClass !== undefined && (namedClass === '' || namedClass === (sopClassUid ?? namedClass));
      if (isNamed) committed.add(uid);
      // Neither committed nor failed, or an instance of another class: treated as no result.
      else later.add(uid);
      continue;
    }
    const { reason, text } = failure;
    if (reason === noSuchInstance) missing.add(uid);
    else if (reason === classInstanceConflict || reason === classNotSupported) {
      refused.set(uid, `${reason.toString(16).toUpperCase().padStart(4, '0')}H (${text})`);
    } else later.add(uid);
  }
}
