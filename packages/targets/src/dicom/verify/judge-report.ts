import type { CommitmentReport } from 'dicom-dimse/dataset';

/** What is to be done about instances that the receiver did not commit to. */
export interface NotCommitted {
  /** It lacks them: they are sent again. */
  readonly missing: Set<string>;
  /** It will never keep them, with the reason. */
  readonly refused: Map<string, string>;
  /** It could not say now: they are asked for again, under a new transaction. */
  readonly later: Set<string>;
}

const noSuchInstance = 0x0112;
const classInstanceConflict = 0x0119;
const classNotSupported = 0x0122;

/**
 * Reads a report in the light of what it was asked for (Failure Reason: PS3.3 section C.14.1.1). It is the newest word on
 * these instances: what an older transaction has said of them is replaced.
 *
 * @param asked - SOP Instance UID to SOP class of what the transaction asked for
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
      // Neither committed nor failed, or an instance of another class: as good as no answer.
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
