import type { Association } from '../association/association.ts';
import { DimseError } from '../errors/dimse-error.ts';
import type { IncomingNRequest } from '../operations/incoming.ts';
import type { NResult } from '../operations/n-services.ts';
import { UID } from '../uids.ts';
import { dataSet, decodeDataSet } from './codec.ts';

/** Storage Commitment Push Model: PS3.4 annex J. */
export interface SopReference {
  readonly sopClassUid: string;
  readonly sopInstanceUid: string;
}

export interface FailedReference extends SopReference {
  /** Failure Reason (0008,1197). */
  readonly reason: number;
  readonly text: string;
}

/** Request of an SCU. The report may arrive on this association or on a later one: store the Transaction UID. */
export interface CommitmentRequest {
  readonly transactionUid: string;
  readonly references: readonly SopReference[];
}

export interface CommitmentReport {
  readonly transactionUid: string;
  readonly committed: readonly SopReference[];
  readonly failed: readonly FailedReference[];
}

/** PS3.3 section C.14.1.1. */
export const COMMITMENT_FAILURES: Readonly<Record<number, string>> = {
  0x0110: 'Processing failure',
  0x0112: 'No such object instance',
  0x0119: 'Class / instance conflict',
  0x0122: 'Referenced SOP class not supported',
  0x0131: 'Duplicate transaction UID',
  0x0213: 'Resource limitation',
};

const REQUEST_ACTION = 1;
const ALL_COMMITTED = 1;
const SOME_FAILED = 2;

/**
 * Requests storage commitment (PS3.4 section J.3.2). The association must have a context for
 * `UID.storageCommitmentPushModel`.
 */
export function requestStorageCommitment(
  association: Association,
  request: CommitmentRequest,
  signal?: AbortSignal,
): Promise<NResult> {
  return association.action({
    sopClassUid: UID.storageCommitmentPushModel,
    sopInstanceUid: UID.storageCommitmentPushModelInstance,
    actionTypeId: REQUEST_ACTION,
    dataSet: dataSet({
      TransactionUID: request.transactionUid,
      ReferencedSOPSequence: request.references.map(toItem),
    }),
    signal,
  });
}

/** Reports to the requestor (PS3.4 section J.3.3), on the same association or on one of our own with the SCP role. */
export function reportStorageCommitment(
  association: Association,
  report: Omit<CommitmentReport, 'failed'> & { readonly failed: readonly Omit<FailedReference, 'text'>[] },
  signal?: AbortSignal,
): Promise<NResult> {
  const hasFailed = report.failed.length > 0;
  return association.eventReport({
    sopClassUid: UID.storageCommitmentPushModel,
    sopInstanceUid: UID.storageCommitmentPushModelInstance,
    eventTypeId: hasFailed ? SOME_FAILED : ALL_COMMITTED,
    dataSet: dataSet({
      TransactionUID: report.transactionUid,
      ...(report.committed.length > 0 ? { ReferencedSOPSequence: report.committed.map(toItem) } : {}),
      ...(hasFailed
        ? { FailedSOPSequence: report.failed.map((one) => ({ ...toItem(one), FailureReason: one.reason })) }
        : {}),
    }),
    signal,
  });
}

/** Reads the N-ACTION that `handlers.action` received. @throws DimseError `dataset-invalid`. */
export async function readCommitmentRequest(request: IncomingNRequest): Promise<CommitmentRequest> {
  const values = await decode(request);
  return { transactionUid: text(values['TransactionUID']), references: references(values['ReferencedSOPSequence']) };
}

/** Reads the N-EVENT-REPORT that `handlers.eventReport` received. @throws DimseError `dataset-invalid`. */
export async function readCommitmentReport(request: IncomingNRequest): Promise<CommitmentReport> {
  const values = await decode(request);
  return {
    transactionUid: text(values['TransactionUID']),
    committed: references(values['ReferencedSOPSequence']),
    failed: items(values['FailedSOPSequence']).map(failure),
  };
}

function failure(item: Readonly<Record<string, unknown>>): FailedReference {
  const { sopClassUid, sopInstanceUid } = reference(item);
  const reason = Number(item['FailureReason'] ?? 0);
  return { sopClassUid, sopInstanceUid, reason, text: COMMITMENT_FAILURES[reason] ?? 'Unknown reason' };
}

async function decode(request: IncomingNRequest): Promise<Readonly<Record<string, unknown>>> {
  if (request.dataSet === undefined) {
    throw new DimseError('dataset-invalid', 'the storage commitment message has no data set');
  }
  return decodeDataSet(request.dataSet);
}

function toItem({ sopClassUid, sopInstanceUid }: SopReference): Record<string, unknown> {
  return { ReferencedSOPClassUID: sopClassUid, ReferencedSOPInstanceUID: sopInstanceUid };
}

function references(value: unknown): SopReference[] {
  return items(value).map(reference);
}

function reference(item: Readonly<Record<string, unknown>>): SopReference {
  return {
    sopClassUid: text(item['ReferencedSOPClassUID']),
    sopInstanceUid: text(item['ReferencedSOPInstanceUID']),
  };
}

/** The items of a sequence; some decoders represent a sequence of one item as that item. */
function items(value: unknown): Readonly<Record<string, unknown>>[] {
  if (value === undefined || value === null || value === '') return [];
  return [...(Array.isArray(value) ? value : [value])] as Readonly<Record<string, unknown>>[];
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
