import { DispatchError } from '@dicom-dispatch/core';
import type { Association } from 'dicom-dimse';
import type { CommitmentReport } from 'dicom-dimse/dataset';
import type { DeliveryRun, ManifestInstance } from '@dicom-dispatch/target-kit';
import { dicomError } from '../errors.ts';
import type { AnyDicomTarget, DicomListener } from '../schema.ts';
import { askCommitment, openForCommitment } from './ask-commitment.ts';
import { closedTransaction } from './closed-transaction.ts';
import { CommitmentState } from './commitment-state.ts';
import { judgeReport, type NotCommitted } from './judge-report.ts';
import { isTakenByUs, openReportListener } from './report-listener.ts';
import { ReportQueue } from './report-queue.ts';

/** How long the requesting association is kept open, if there is a listener, for receivers that report on it. */
const sameAssociationMs = 3_000;

/**
 * Storage Commitment Push Model (PS3.4 annex J): requests commitment for instances without an open request, then waits for the reports, on
 * the requesting association, at our listener, or at that of another dispatcher. Transactions are stored in the state of the delivery
 * before their request, and reports in the mailbox until they are read: a later attempt, also in another process, continues to wait.
 * Instances that the receiver will never store are quarantined.
 *
 * @throws DispatchError `verify-missing` after removing the confirmations of instances that the receiver lacks, `verify-pending` while
 *   instances have no result
 */
export async function verifyByCommitment(
  run: DeliveryRun<AnyDicomTarget>,
  instances: readonly ManifestInstance[],
): Promise<void> {
  const { timeout, listener } = run.config.commitment;
  // A receiver commits to SOP Instance UIDs, and a study may have one in several series.
  const byUid = Map.groupBy(instances, ({ sopInstanceUid }) => sopInstanceUid);
  const state = await CommitmentState.load(run.state);
  state.keepOnly(new Set(byUid.keys()), new Set(run.pending.map(({ sopInstanceUid }) => sopInstanceUid)));
  // Without a listener a report can only arrive on the requesting association, which has been closed.
  if (!listener) state.allOverdue();
  const reports = new ReportQueue(run.mailbox, run.signal);
  const closeListener = listener && (await openListener(run, listener));
  let association: Association | undefined;
  let hold: NodeJS.Timeout | undefined;
  try {
    for (const { transactionUid } of state.transactions) reports.goOn(transactionUid);
    const toAsk = state.notAsked(byUid.keys());
    if (toAsk.length > 0) {
      const asking = await openForCommitment(run);
      association = asking;
      await askCommitment(
        run,
        asking,
        state,
        reports,
        toAsk.flatMap((uid) => byUid.get(uid)?.slice(0, 1) ?? []),
      );
      if (!listener) void asking.ended.then(() => reports.end());
      else hold = setTimeout(() => void asking.release(), sameAssociationMs);
    }
    reports.limit(timeout);
    await settle(run, byUid, state, await collect(run, byUid, state, reports));
    for (const { transactionUid } of state.transactions) await reports.forget(transactionUid);
  } catch (error) {
    association?.abort();
    throw dicomError(error, 'verify');
  } finally {
    clearTimeout(hold);
    reports.close();
    void closeListener?.();
    await association?.release();
  }
}

/** If another dispatcher on this machine listens, it receives the reports for us. */
async function openListener(
  run: DeliveryRun<AnyDicomTarget>,
  listener: DicomListener,
): Promise<(() => Promise<void>) | undefined> {
  try {
    return await openReportListener(listener, run.mailbox);
  } catch (error) {
    if (await isTakenByUs(listener, error, run.signal)) return undefined;
    throw error;
  }
}

/** Processes reports until each instance has its result, or no more arrive. */
async function collect(
  run: DeliveryRun<AnyDicomTarget>,
  byUid: ReadonlyMap<string, readonly ManifestInstance[]>,
  state: CommitmentState,
  reports: ReportQueue,
): Promise<NotCommitted> {
  const not: NotCommitted = { missing: new Set(), refused: new Map(), later: new Set() };
  const isOpen = (uid: string): boolean =>
    !state.committed.has(uid) && !not.missing.has(uid) && !not.refused.has(uid) && !not.later.has(uid);
  while ([...byUid.keys()].some(isOpen)) {
    const next = await reports.next();
    if (!next) {
      state.allOverdue();
      break;
    }
    const asked = state.transactions.find((one) => one.transactionUid === next.transactionUid)?.sopInstanceUids ?? [];
    const classes = new Map(asked.map((uid) => [uid, byUid.get(uid)?.[0]?.sopClassUid]));
    judgeReport(next, classes, state.committed, not);
    const superseded = state.answered(next.transactionUid);
    // Saved before the report is removed from the mailbox, so that its results are not lost if the process ends in between.
    await state.save();
    const last = await closeTransaction(run, reports, next, asked);
    if (last.failed.length !== next.failed.length || last.committed.length !== next.committed.length) {
      judgeReport(last, classes, state.committed, not);
      await state.save();
    }
    for (const transactionUid of superseded) await reports.forget(transactionUid);
  }
  await state.save();
  return not;
}

/** A failure may be added to a report until its transaction is closed. @returns the report with all failures */
async function closeTransaction(
  { deliveryId, config }: DeliveryRun<AnyDicomTarget>,
  reports: ReportQueue,
  next: CommitmentReport,
  asked: readonly string[],
): Promise<CommitmentReport> {
  const close = async (report: CommitmentReport): Promise<CommitmentReport> => {
    const facts = closedTransaction(report, asked, { deliveryId, aeTitle: config.calledAeTitle });
    return (await reports.conclude(report.transactionUid, facts)) ?? report;
  };
  // The second call stores facts that include failures that were added before the first.
  return close(await close(next));
}

async function settle(
  run: DeliveryRun<AnyDicomTarget>,
  byUid: ReadonlyMap<string, readonly ManifestInstance[]>,
  state: CommitmentState,
  { missing, refused }: NotCommitted,
): Promise<void> {
  let open = 0;
  for (const [uid, instances] of byUid) {
    const reason = refused.get(uid);
    if (state.committed.has(uid)) continue;
    if (!missing.has(uid) && reason === undefined) {
      open += 1;
      continue;
    }
    for (const instance of instances) {
      await run.revoke(instance);
      if (missing.has(uid)) continue;
      const text = `the receiver will not store the instance: ${reason}`;
      await run.report(instance, {
        kind: 'quarantined',
        error: new DispatchError('instance-refused', text, { stage: 'verify' }),
      });
    }
  }
  if (missing.size > 0) {
    const text = `the receiver confirmed ${byUid.size} instances, but reports that ${missing.size} of them are missing`;
    throw new DispatchError('verify-missing', text, { stage: 'verify' });
  }
  if (open > 0) {
    const text = `the receiver has not yet committed ${open} of ${byUid.size} instances`;
    throw new DispatchError('verify-pending', text, {
      stage: 'verify',
      remedy: run.config.commitment.listener
        ? 'The report is requested again. Check that the calling AE title is registered at the receiver with the address of commitment.listener.'
        : 'The report is requested again. If the receiver reports on a separate association, set commitment.listener.',
    });
  }
}
