import { DimseError } from '../errors/dimse-error.ts';
import { ABORTS } from '../pdu/reasons.ts';
import type { AbortReason, RejectReason } from '../pdu/reasons.ts';
import type { Event } from './state-table.ts';

export function unexpected(event: Event): DimseError {
  return new DimseError('protocol-error', `the peer sent an unexpected PDU (${event})`, {
    abort: ABORTS['unexpected-pdu'],
  });
}

export function rejected(rejection: RejectReason, peer: string): DimseError {
  const { result, source, reason } = rejection;
  const text = `${peer} rejected the association: ${reason} (${result}, by ${source})`;
  return new DimseError('association-rejected', text, { rejection });
}

export function aborted(abort: AbortReason, peer: string): DimseError {
  return new DimseError('aborted', `${peer} aborted the association: ${abort.reason} (by ${abort.source})`, { abort });
}
